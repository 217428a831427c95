//! The layers, written in [`Operators`].

use std::{
    ops::Range,
    sync::{Arc, Mutex, PoisonError},
};

use burn::tensor::Tensor;
use cohort_core::metric::{Metric, Metrics};

use super::{attention::Layout, head::Targets, mixture::Routes, operators::Operators, rope::Rotation};
use crate::{
    divergence::Measured,
    experts::Load,
    given::Given,
    layer::{Experts, Feed, Gated, LayerParameters},
    pack::Pack,
    slices::Model,
};

/// [`Load::balance`] over the tokens of a pass, a mean over tokens.
const LOAD_BALANCE: &str = "router_load_balance";

/// The parts of a model over one pack. Run one after the other they are the forward pass.
#[derive(Clone, Debug)]
pub(crate) struct Parts<'a> {
    pub model: Model<'a>,
    pub tokens: Arc<Vec<u32>>,
    /// Of the tokens those whose embedding is given.
    pub given: Given,
    pub scored: Arc<Vec<u32>>,
    pub targets: Arc<Targets>,
    /// Of the layers with and without a window, in their order.
    layouts: Vec<Arc<Layout>>,
    query_rotation: Arc<Rotation>,
    key_rotation: Arc<Rotation>,
    eps: f32,
    /// How each layer with experts spread the rows, once it has run.
    loads: Arc<Mutex<Vec<Option<Load>>>>,
}

impl<'a> Parts<'a> {
    pub(crate) fn new(model: Model<'a>, pack: &Pack, temperature: f32, measured: Measured) -> Self {
        let attention = model.architecture.layer.attention;
        let count = model.parameters.layers.len();
        let mut layouts: Vec<Arc<Layout>> = Vec::with_capacity(count);
        for layer in 0..count {
            // Layers that see as far share one.
            let shape = model.attention_shape(layer);
            let same = layouts.iter().find(|layout| layout.shape == shape).cloned();
            layouts.push(same.unwrap_or_else(|| {
                let (starts, after) = (Arc::clone(&pack.starts), Arc::clone(&pack.after));
                Arc::new(Layout { shape, starts, after })
            }));
        }
        let table = model.rotations.table(pack.longest());
        let rotation = |heads: usize| {
            Arc::new(Rotation {
                positions: Arc::clone(&pack.positions),
                heads,
                rope: attention.rope,
                table: Arc::clone(&table),
            })
        };
        Self {
            model,
            tokens: Arc::clone(&pack.tokens),
            given: pack.given.clone(),
            scored: Arc::clone(&pack.scored),
            targets: Arc::new(Targets {
                chosen: pack.chosen.clone(),
                inverse_temperature: 1.0 / temperature,
                measured,
            }),
            layouts,
            query_rotation: rotation(attention.query_heads),
            key_rotation: rotation(attention.kv_heads),
            eps: model.architecture.layer.norm_eps as f32,
            loads: Arc::new(Mutex::new(vec![None; count])),
        }
    }

    /// `[tokens, width]`.
    pub(crate) fn embed(&self, operators: &impl Operators) -> Tensor<2> {
        operators.embed(self.model.parameters.embedding, &self.tokens, &self.given)
    }

    /// `[tokens, width]`, from and to the residual stream.
    pub(crate) fn layer(&self, operators: &impl Operators, index: usize, x: Tensor<2>) -> Tensor<2> {
        let places = &self.model.parameters.layers[index];
        let normed = operators.rms_norm(x.clone(), places.attention_norm, self.eps);
        let x = x + self.attention(operators, normed, places, &self.layouts[index]);
        let normed = operators.rms_norm(x.clone(), places.mlp_norm, self.eps);
        x + match &places.feed {
            Feed::Dense(places) => gated(operators, normed, places),
            Feed::Experts(places) => {
                let (y, load) = experts(operators, normed, places);
                self.loads.lock().unwrap_or_else(PoisonError::into_inner)[index] = Some(load);
                y
            }
        }
    }

    /// What there is to say of a pass: how evenly the layers with experts spread the rows.
    pub(crate) fn metrics(&self) -> Metrics {
        let loads = self.loads.lock().unwrap_or_else(PoisonError::into_inner);
        let mut metrics = Metrics::default();
        if let Some(balance) = Load::balance(&loads.iter().flatten().cloned().collect::<Vec<_>>()) {
            let weight = self.tokens.len() as f64;
            metrics.add(LOAD_BALANCE, Metric::Mean { total: balance * weight, weight });
        }
        metrics
    }

    /// What the head is given of the named rows.
    pub(crate) fn hidden(&self, operators: &impl Operators, x: Tensor<2>, rows: &Arc<Vec<u32>>) -> Tensor<2> {
        let picked = operators.pick(x, rows);
        operators.rms_norm(picked, self.model.parameters.final_norm, self.eps)
    }

    /// `[actions, columns]`: logp, entropy and divergences, of all samples in their order.
    pub(super) fn rows(&self, operators: &impl Operators, x: Tensor<2>) -> Tensor<2> {
        let hidden = self.hidden(operators, x, &self.scored);
        operators.head(hidden, self.model.parameters.head, &self.targets)
    }

    /// Those of some actions.
    pub(crate) fn rows_of(&self, operators: &impl Operators, x: Tensor<2>, actions: Range<usize>) -> Tensor<2> {
        let hidden = self.hidden(operators, x, &Arc::new(self.scored[actions.clone()].to_vec()));
        let targets = Arc::new(self.targets.part(actions));
        operators.head(hidden, self.model.parameters.head, &targets)
    }

    fn attention(
        &self,
        operators: &impl Operators,
        x: Tensor<2>,
        places: &LayerParameters,
        layout: &Arc<Layout>,
    ) -> Tensor<2> {
        let mut queries = operators.linear(x.clone(), places.query);
        let mut keys = operators.linear(x.clone(), places.key);
        let values = operators.linear(x, places.value);
        if let Some(norms) = places.head_norms {
            queries = operators.rms_norm(queries, norms.query, self.eps);
            keys = operators.rms_norm(keys, norms.key, self.eps);
        }
        let queries = operators.rope(queries, &self.query_rotation);
        let keys = operators.rope(keys, &self.key_rotation);
        operators.linear(operators.attention(queries, keys, values, layout), places.output)
    }
}

fn gated(operators: &impl Operators, x: Tensor<2>, places: &Gated) -> Tensor<2> {
    let gate = operators.linear(x.clone(), places.gate);
    let up = operators.linear(x, places.up);
    operators.gated(gate, up, places.down)
}

/// Each expert over the rows that chose it, and their weighted sum.
fn experts(operators: &impl Operators, x: Tensor<2>, places: &Experts) -> (Tensor<2>, Load) {
    let logits = operators.linear(x.clone(), places.router);
    let Routes { weights, choice, load } = operators.route(logits, places.routing);
    let given = places.experts.iter().enumerate().filter(|(e, _)| !choice.rows_of(*e).is_empty()).map(|(e, expert)| {
        let taken = operators.pick(x.clone(), &Arc::new(choice.rows_of(e).to_vec()));
        gated(operators, taken, expert)
    });
    let given = Tensor::cat(given.collect(), 0);
    (operators.combine(given, weights, &choice), load)
}
