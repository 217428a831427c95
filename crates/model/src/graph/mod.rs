//! The description executed as a graph on Burn's autodiff: for training.
//!
//! Each step of a layer is an operation with a backward of its own that calls the slice kernels
//! ([`kernels`]), and has a twin of ordinary Burn operations (`plain`) that tests compare it with
//! and that other devices can use. Sequences lie end to end; nothing is padded.

mod attention;
mod forward;
mod gather;
mod head;
mod held;
mod kernels;
mod linear;
mod operation;
mod operators;
#[cfg(test)]
mod plain;
mod rms_norm;
mod rope;
mod swiglu;
mod tape;
#[cfg(test)]
mod tests;

pub(crate) use forward::{Graph, forward};
pub(crate) use kernels::Kernels;
pub(crate) use tape::GraphTape;
