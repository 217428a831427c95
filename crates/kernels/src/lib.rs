//! Slices in, slices out: the kernels that Cohort's sampler and trainer share.
//!
//! Every forward kernel is row-independent: the numbers of a row are a function of that row (and of the rows it
//! attends to) alone, bit for bit, whatever else is in the batch, wherever it stands and however rows are packed.
//! Reductions have a fixed order: products are chains of fused multiply-adds over chunks of 512 ([`linear()`]),
//! or, of operands rounded to bf16 ([`Weight::Rounded`]), over chunks of 512
//! pairs; attention adds keys in order ([`attention()`]), sums along a row use sixteen accumulators that are combined in a
//! fixed tree. All matrices are row-major and contiguous; lengths are checked, and a wrong one panics with the shapes.
//!
//! A kernel runs on the calling thread. A [`Team`] shares a call among scoped threads, with the same bits.

mod adamw;
mod allocator;
mod attention;
mod attention_backward;
mod attention_both_ways;
mod attention_rows;
mod bf16;
mod draw;
mod exp;
mod gelu;
mod head;
mod head_divergence;
mod head_logp;
mod kv_cache;
mod layer_norm;
mod level;
mod linear;
mod logits;
mod matrix;
mod mixture;
mod ranges;
mod reduce;
mod rms_norm;
mod rope;
mod sequences;
mod stored;
mod swiglu;
mod team;
#[cfg(test)]
mod testing;
mod transpose;
mod truncation;
mod weight;

pub use adamw::{AdamW, adamw};
pub use allocator::keep_freed_memory;
pub use attention::{AttentionShape, attend, attention};
pub use attention_backward::attention_backward;
pub use attention_both_ways::{BothWaysShape, Distances, attention_both_ways};
pub use bf16::{PackedBf16, has_dot_products};
pub use draw::{Drawn, categorical, greedy};
pub use exp::{exp, sigmoid};
pub use gelu::{gelu, gelu_tanh};
pub use head::{
    Asked, Head, HeadColumns, HeadGradients, HeadShape, head_logits, head_relative, head_relative_backward,
};
pub use head_divergence::{Distributions, Divergence, head_divergence, head_divergence_backward};
pub use head_logp::{head_backward, head_rows};
pub use kv_cache::KvCache;
pub use layer_norm::layer_norm;
pub use level::{Level, level};
pub use linear::{
    LinearShape, linear, linear_grad_bias, linear_grad_input, linear_grad_weight, linear_grad_weight_by,
    linear_transposed, transpose_weight,
};
pub use logits::{Statistics, logits_relative, logits_row, logits_statistics};
pub use mixture::{RoutingShape, RoutingWeights, combine, combine_backward, route, route_backward};
pub use rms_norm::{rms_norm, rms_norm_backward};
pub use rope::{RopeTable, rope, rope_backward};
pub use sequences::Sequences;
pub use stored::{Matrix, gather};
pub use swiglu::{swiglu, swiglu_backward};
pub use team::Team;
pub use truncation::Truncation;
pub use weight::{Arithmetic, Weight};
