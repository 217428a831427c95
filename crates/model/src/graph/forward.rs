//! The layers, written in [`Operators`].

use std::sync::Arc;

use burn::tensor::Tensor;

use super::{attention::Layout, head::Targets, operators::Operators, rope::Rotation};
use crate::{layer::LayerParameters, pack::Pack, slices::Model};

/// The parts of a model over one pack. Run one after the other they are the forward pass.
#[derive(Clone, Debug)]
pub(super) struct Parts<'a> {
    pub model: Model<'a>,
    pub tokens: Arc<Vec<u32>>,
    scored: Arc<Vec<u32>>,
    targets: Arc<Targets>,
    layout: Arc<Layout>,
    query_rotation: Arc<Rotation>,
    key_rotation: Arc<Rotation>,
    eps: f32,
}

impl<'a> Parts<'a> {
    pub(super) fn new(model: Model<'a>, pack: &Pack, temperature: f32) -> Self {
        let shape = model.attention_shape();
        let table = model.rotations.table(pack.longest());
        let rotation = |heads: usize| {
            Arc::new(Rotation {
                positions: Arc::clone(&pack.positions),
                heads,
                rope: model.architecture.layer.attention.rope,
                table: Arc::clone(&table),
            })
        };
        Self {
            model,
            tokens: Arc::clone(&pack.tokens),
            scored: Arc::clone(&pack.scored),
            targets: Arc::new(Targets { ids: Arc::clone(&pack.ids), inverse_temperature: 1.0 / temperature }),
            layout: Arc::new(Layout { shape, starts: Arc::clone(&pack.starts) }),
            query_rotation: rotation(shape.query_heads),
            key_rotation: rotation(shape.kv_heads),
            eps: model.architecture.layer.norm_eps as f32,
        }
    }

    /// `[tokens, width]`.
    pub(super) fn embed(&self, operators: &impl Operators) -> Tensor<2> {
        operators.embed(self.model.parameters.embedding, &self.tokens)
    }

    /// `[tokens, width]`, from and to the residual stream.
    pub(super) fn layer(&self, operators: &impl Operators, index: usize, x: Tensor<2>) -> Tensor<2> {
        let places = &self.model.parameters.layers[index];
        let normed = operators.rms_norm(x.clone(), places.attention_norm, self.eps);
        let x = x + self.attention(operators, normed, places);
        let normed = operators.rms_norm(x.clone(), places.mlp_norm, self.eps);
        x + mlp(operators, normed, places)
    }

    /// `[actions, 2]`: logp and entropy, of all samples in their order.
    pub(super) fn rows(&self, operators: &impl Operators, x: Tensor<2>) -> Tensor<2> {
        let picked = operators.pick(x, &self.scored);
        let hidden = operators.rms_norm(picked, self.model.parameters.final_norm, self.eps);
        operators.head(hidden, self.model.parameters.head, &self.targets)
    }

    fn attention(&self, operators: &impl Operators, x: Tensor<2>, places: &LayerParameters) -> Tensor<2> {
        let mut queries = operators.linear(x.clone(), places.query);
        let mut keys = operators.linear(x.clone(), places.key);
        let values = operators.linear(x, places.value);
        if let Some(norms) = places.head_norms {
            queries = operators.rms_norm(queries, norms.query, self.eps);
            keys = operators.rms_norm(keys, norms.key, self.eps);
        }
        let queries = operators.rope(queries, &self.query_rotation);
        let keys = operators.rope(keys, &self.key_rotation);
        operators.linear(operators.attention(queries, keys, values, &self.layout), places.output)
    }
}

fn mlp(operators: &impl Operators, x: Tensor<2>, places: &LayerParameters) -> Tensor<2> {
    let gate = operators.linear(x.clone(), places.gate);
    let up = operators.linear(x, places.up);
    operators.linear(operators.swiglu(gate, up), places.down)
}
