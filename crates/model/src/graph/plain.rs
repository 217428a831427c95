//! The twins: every operation in ordinary Burn operations, for tests and for devices without kernels of their own.

use std::{ops::Range, sync::Arc};

use burn::tensor::{Device, Int, Tensor, TensorData, activation};
use cohort_kernels::{RoutingShape, RoutingWeights};

use super::{
    attention::Layout,
    head::Targets,
    mixture::{Route, Routes},
    operation::{slice, values},
    operators::Operators,
    rope::Rotation,
};
use crate::{
    experts::Choice,
    layer::{Adapter, Place, Projection},
    weights::Weights,
};

/// [`Operators`] that any Burn device runs, with every parameter as a leaf of the graph.
#[derive(Debug)]
pub(crate) struct Plain {
    /// In the order of the parameters, each as a matrix `[.., columns]`.
    pub leaves: Vec<Tensor<2>>,
}

impl Plain {
    pub(crate) fn new(weights: &Weights, device: &Device) -> Self {
        let leaf = |index: usize| {
            let (values, columns) = (weights.slice(index).to_vec(), weights.columns(index));
            let rows = values.len() / columns;
            Tensor::from_data(TensorData::new(values, [rows, columns]), device).require_grad()
        };
        Self { leaves: (0..weights.count()).map(leaf).collect() }
    }

    fn matrix(&self, place: Place) -> Tensor<2> {
        self.leaves[place.parameter].clone().narrow(0, place.from, place.rows)
    }
}

/// A constant matrix beside `like`.
fn constant(values: Vec<f32>, rows: usize, columns: usize, like: &Tensor<2>) -> Tensor<2> {
    Tensor::from_data(TensorData::new(values, [rows, columns]), &like.device())
}

fn indices(ids: &[u32], like: &Tensor<2>) -> Tensor<1, Int> {
    let ids: Vec<i32> = ids.iter().map(|&id| id as i32).collect();
    let count = ids.len();
    Tensor::from_data(TensorData::new(ids, [count]), &like.device())
}

impl Operators for Plain {
    fn embed(&self, table: Place, ids: &Arc<Vec<u32>>) -> Tensor<2> {
        let table = self.matrix(table);
        let ids = indices(ids, &table);
        table.select(0, ids)
    }

    fn linear(&self, x: Tensor<2>, projection: Projection) -> Tensor<2> {
        let product = x.clone().matmul(self.matrix(projection.weight).transpose());
        let product = match projection.bias {
            Some(bias) => product + self.leaves[bias].clone(),
            None => product,
        };
        match projection.adapter {
            Some(Adapter { a, b, scale }) => {
                let low = x.matmul(self.leaves[a].clone().transpose());
                product + low.matmul(self.leaves[b].clone().transpose()) * scale
            }
            None => product,
        }
    }

    fn rms_norm(&self, x: Tensor<2>, gain: usize, eps: f32) -> Tensor<2> {
        let gain = self.leaves[gain].clone();
        let ([rows, columns], [_, width]) = (x.dims(), gain.dims());
        let x = x.reshape([rows * columns / width, width]);
        let mean = x.clone().powf_scalar(2.0).mean_dim(1);
        (x / (mean + eps).sqrt() * gain).reshape([rows, columns])
    }

    fn rope(&self, x: Tensor<2>, rotation: &Arc<Rotation>) -> Tensor<2> {
        let [rows, columns] = x.dims();
        let half = rotation.rope.head_dim / 2;
        let (frequencies, factor) = (rotation.rope.inverse_frequencies(), rotation.rope.attention_factor());
        let angles = |of: fn(f64) -> f64| -> Tensor<2> {
            let values = rotation.positions.iter().flat_map(|&position| {
                let angle = |f: &f64| (factor * of(f64::from(position as f32 * *f as f32))) as f32;
                let one: Vec<f32> = frequencies.iter().map(angle).collect();
                std::iter::repeat_n(one, rotation.heads).flatten()
            });
            constant(values.collect(), rows * rotation.heads, half, &x)
        };
        let (cos, sin) = (angles(f64::cos), angles(f64::sin));
        let heads = x.clone().reshape([rows * rotation.heads, 2 * half]);
        let (low, high) = (heads.clone().narrow(1, 0, half), heads.narrow(1, half, half));
        let rotated_low = low.clone() * cos.clone() - high.clone() * sin.clone();
        let rotated_high = high * cos + low * sin;
        Tensor::cat(vec![rotated_low, rotated_high], 1).reshape([rows, columns])
    }

    fn attention(&self, queries: Tensor<2>, keys: Tensor<2>, values: Tensor<2>, layout: &Arc<Layout>) -> Tensor<2> {
        let shape = layout.shape;
        let group = shape.query_heads / shape.kv_heads;
        let scale = 1.0 / (shape.head_dim as f32).sqrt();
        let all = layout.sequences();
        let sequences = (0..all.count()).filter(|&s| !all.own(s).is_empty()).map(|s| {
            let (before, own) = (all.before(s), all.own(s));
            let (rows, length) = (own.len(), all.length(s));
            let first = length - rows;
            let window = shape.window.unwrap_or(length);
            let sees = |query: usize, key: usize| key <= query && key + window > query;
            let mask = (0..rows * length)
                .map(|at| if sees(first + at / length, at % length) { 0.0 } else { f32::NEG_INFINITY });
            let mask = constant(mask.collect(), rows, length, &queries);
            let heads = (0..shape.query_heads).map(|head| {
                let part = |x: &Tensor<2>, rows: &Range<usize>, head: usize| {
                    x.clone().narrow(0, rows.start, rows.len()).narrow(1, head * shape.head_dim, shape.head_dim)
                };
                let whole = |x: &Tensor<2>| match before.is_empty() {
                    true => part(x, &own, head / group),
                    false => {
                        Tensor::cat(before.iter().chain([&own]).map(|rows| part(x, rows, head / group)).collect(), 0)
                    }
                };
                let scores = part(&queries, &own, head).matmul(whole(&keys).transpose()) * scale;
                activation::softmax(scores + mask.clone(), 1).matmul(whole(&values))
            });
            Tensor::cat(heads.collect(), 1)
        });
        Tensor::cat(sequences.collect(), 0)
    }

    fn gated(&self, gate: Tensor<2>, up: Tensor<2>, projection: Projection) -> Tensor<2> {
        self.linear(activation::silu(gate) * up, projection)
    }

    /// The choice is the kernel's; the weights and their gradient are not.
    fn route(&self, logits: Tensor<2>, routing: RoutingShape) -> Routes {
        let [rows, _] = logits.dims();
        let route = Route::new(slice(&values(logits.clone().inner())), routing);
        let chosen = indices(&route.chosen, &logits).reshape([rows, routing.top_k]);
        let p = activation::softmax(logits, 1).gather(1, chosen);
        let weights = match routing.weights {
            RoutingWeights::AsTheyAre => p,
            RoutingWeights::Normalised => p.clone() / p.sum_dim(1),
        };
        let (choice, load) = route.choice();
        Routes { weights, choice, load }
    }

    fn combine(&self, given: Tensor<2>, weights: Tensor<2>, choice: &Arc<Choice>) -> Tensor<2> {
        let ([slots, width], [rows, top_k]) = (given.dims(), weights.dims());
        let places = indices(&choice.places, &given);
        let weighted = given.select(0, places) * weights.reshape([slots, 1]);
        weighted.reshape([rows, top_k, width]).sum_dim(1).reshape([rows, width])
    }

    fn pick(&self, x: Tensor<2>, rows: &Arc<Vec<u32>>) -> Tensor<2> {
        let rows = indices(rows, &x);
        x.select(0, rows)
    }

    fn head(&self, hidden: Tensor<2>, weight: Place, targets: &Arc<Targets>) -> Tensor<2> {
        let ids = indices(&targets.ids, &hidden);
        let count = targets.ids.len();
        let logits = hidden.matmul(self.matrix(weight).transpose()) * targets.inverse_temperature;
        let log_p = activation::log_softmax(logits, 1);
        let chosen = log_p.clone().gather(1, ids.reshape([count, 1]));
        let entropy = -(log_p.clone().exp() * log_p.clone()).sum_dim(1);
        let divergences = targets.measured.0.iter().map(|(_, from)| {
            let q = from.get();
            let rows = |values: Vec<f32>| constant(values.clone(), values.len() / q.width, q.width, &log_p);
            let mut weight = vec![0.0; q.weight.len()];
            q.weight.stored().copy_to(&mut weight);
            let logits = rows(q.hidden.to_vec()).matmul(rows(weight).transpose()) * q.inverse_temperature;
            (log_p.clone().exp() * (log_p.clone() - activation::log_softmax(logits, 1))).sum_dim(1)
        });
        Tensor::cat([chosen, entropy].into_iter().chain(divergences).collect(), 1)
    }
}
