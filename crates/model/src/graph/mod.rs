//! The description executed as a graph on Burn's autodiff: for training.
//!
//! Each step of a layer is an operation with a backward of its own that calls the slice kernels
//! ([`kernels`]), and has a twin of ordinary Burn operations ([`plain`]) that tests compare it with
//! and that other devices run. Sequences lie end to end; nothing is padded.
//!
//! Only activations are tensors of the graph. Operations name parameters by their place, and add their derivatives to
//! one [`sink`] themselves. Each layer is a graph of its own, a [`segment`].

mod attention;
mod forward;
mod gated;
mod head;
mod held;
mod kernels;
mod linear;
mod mixture;
mod operation;
mod operators;
mod padded;
mod parameter;
mod pick;
mod plain;
mod rms_norm;
mod rope;
mod row_gradients;
mod segment;
mod sink;
mod tape;
#[cfg(test)]
mod tests;

pub(crate) use attention::Layout;
pub(crate) use forward::Parts;
pub(crate) use head::Targets;
pub(crate) use mixture::Routes;
pub(crate) use operators::Operators;
pub(crate) use padded::UNSEEN;
pub(crate) use plain::{Constants, Leaves, Plain, Purpose, indices, numbers, upload, upload_all};
pub(crate) use rope::Rotation;
pub(crate) use row_gradients::packed;
pub(crate) use sink::Sink;
pub(crate) use tape::GraphTape;
