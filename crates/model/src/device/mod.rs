//! A policy whose passes run on a device: on a GPU, or wherever Burn has a backend.
//!
//! The layers are those of every interpreter, in ordinary Burn operations (`graph::Plain`). On the device are the parameters, the
//! passes forward and back, the sums of gradients over the parts of one pass, and the sampler's caches; on the host the values
//! that the optimizer changes (each parameter is sent again once it was written), the sum over micro-batches, and every draw.

mod cache;
mod decode;
mod name;
mod peak;
mod policy;
mod tape;

pub use name::{Device, DeviceError, DeviceKind, DeviceNameError};
pub use peak::DevicePeak;
pub use policy::DevicePolicy;
