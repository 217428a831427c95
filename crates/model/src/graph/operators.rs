//! The operations that a layer is written in.

use std::sync::Arc;

use burn::tensor::Tensor;
use cohort_kernels::RoutingShape;

use super::{attention::Layout, head::Targets, mixture::Routes, rope::Rotation};
use crate::{
    experts::Choice,
    given::Given,
    layer::{Place, Projection},
};

/// The vocabulary of the graph. Activations are tensors, `[rows, features]`; parameters are named by their place, and
/// belong to whoever implements this.
pub(crate) trait Operators {
    /// The rows of a table that `ids` name, but for those that are given: where a model begins.
    fn embed(&self, table: Place, ids: &Arc<Vec<u32>>, given: &Given) -> Tensor<2>;
    /// `x W' + b`.
    fn linear(&self, x: Tensor<2>, projection: Projection) -> Tensor<2>;
    /// `x / sqrt(mean(x^2) + eps) * gain` over groups of the gain's length.
    fn rms_norm(&self, x: Tensor<2>, gain: usize, eps: f32) -> Tensor<2>;
    /// Heads rotated by position.
    fn rope(&self, x: Tensor<2>, rotation: &Arc<Rotation>) -> Tensor<2>;
    /// Causal attention within each sequence.
    fn attention(&self, queries: Tensor<2>, keys: Tensor<2>, values: Tensor<2>, layout: &Arc<Layout>) -> Tensor<2>;
    /// [`Operators::linear`] of `silu(gate) * up`.
    fn gated(&self, gate: Tensor<2>, up: Tensor<2>, projection: Projection) -> Tensor<2>;
    /// Experts and weights from a router's logits, `[rows, experts]`.
    fn route(&self, logits: Tensor<2>, routing: RoutingShape) -> Routes;
    /// The weighted sum of what the chosen experts gave, `[rows * top_k, width]` in the choice's places.
    fn combine(&self, given: Tensor<2>, weights: Tensor<2>, choice: &Arc<Choice>) -> Tensor<2>;
    /// The named rows of `x`.
    fn pick(&self, x: Tensor<2>, rows: &Arc<Vec<u32>>) -> Tensor<2>;
    /// `[rows, columns]`: logp (of soft tokens the density) of the targets, entropy and divergences, from hidden states and the head's weight.
    fn head(&self, hidden: Tensor<2>, weight: Place, targets: &Arc<Targets>) -> Tensor<2>;
}
