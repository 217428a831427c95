//! Products of operands rounded to bf16, summed in f32.
//!
//! Law: with the `k` terms of an element taken in pairs, an odd last one with a zero behind it, each chunk of 512 pairs is one chain
//! from 0, `acc = fma(x[2p + 1], w[2p + 1], acc)` and then `acc = fma(x[2p], w[2p], acc)`, and the sums of the chunks are added in
//! order. Numbers below the least normal f32 count as 0, going in and coming out of a step. So does the dot product of AVX-512
//! BF16; the plain twin does it by ordinary instructions, for machines without. An element is therefore a function of its own row
//! and column: neither other rows, nor how a call is cut over threads, nor the machine changes a bit.

mod pack;
mod product;
mod tile;

pub use pack::PackedBf16;
pub(crate) use pack::Panels;
pub(crate) use product::{Write, grad_input, grad_weight, linear};
pub(crate) use tile::PANEL;
pub use tile::has_dot_products;

#[cfg(test)]
mod tests;
