//! The operations by the slice kernels, on the CPU.

use std::sync::Arc;

use burn::tensor::Tensor;
use cohort_kernels::{RoutingShape, Team, gather};

use super::{
    attention::{Attend, Layout},
    gated::GatedLinear,
    head::{Head, Statistics, Targets},
    held::Held,
    linear::{AdapterNoise, Linear, LowRank, Map},
    mixture::{Combine, Route, Routes},
    operation::{apply, matrix, slice, tensor, values},
    operators::Operators,
    parameter::Parameter,
    pick::Pick,
    rms_norm::RmsNorm,
    rope::{Rotate, Rotation},
    sink::Sink,
};
use crate::{
    dropout::Dropout,
    experts::Choice,
    given::Given,
    layer::{Adapter, Place, Projection},
    weights::Weights,
};

/// [`Operators`] whose derivatives of parameters go to a sink; Burn's graph holds activations alone.
#[derive(Debug)]
pub(super) struct Kernels<'a> {
    pub weights: &'a Weights,
    pub sink: &'a Arc<Sink>,
    /// What the graph that is built holds.
    pub held: &'a Held,
    /// Shares each call, forward and back.
    pub team: Team,
    /// Of the inputs of adapters.
    pub dropout: Option<&'a Arc<Dropout>>,
}

impl Kernels<'_> {
    fn vector(&self, index: usize) -> Parameter {
        Parameter::new(self.weights, self.sink, index, 0..self.weights.slice(index).len())
    }

    fn map(&self, Projection { weight, bias, adapter }: Projection) -> Map {
        let whole = |index: usize| Parameter::new(self.weights, self.sink, index, 0..self.weights.values(index).len());
        Map {
            weight: self.matrix(weight),
            bias: bias.map(|bias| self.vector(bias)),
            change: adapter.map(|Adapter { a, b, scale }| LowRank {
                a: whole(a),
                b: whole(b),
                scale,
                noise: self.dropout.map(|dropout| AdapterNoise { dropout: Arc::clone(dropout), adapter: a }),
            }),
            outputs: weight.rows,
        }
    }

    fn matrix(&self, place: Place) -> Parameter {
        Parameter::at(self.weights, self.sink, place)
    }
}

impl Operators for Kernels<'_> {
    /// Outside the graph: no activation goes in. The tape adds the derivative of the table itself.
    fn embed(&self, table: Place, ids: &Arc<Vec<u32>>, given: &Given) -> Tensor<2> {
        let width = self.weights.columns(table.parameter);
        let mut out = vec![0.0; ids.len() * width];
        gather(self.weights.matrix(table), ids, width, &mut out);
        given.replace(&mut out, width);
        tensor(matrix(out, ids.len(), width))
    }

    fn linear(&self, x: Tensor<2>, projection: Projection) -> Tensor<2> {
        apply([x], self.held, self.team, |[x]| Linear { x, map: self.map(projection) })
    }

    fn rms_norm(&self, x: Tensor<2>, gain: usize, eps: f32) -> Tensor<2> {
        apply([x], self.held, self.team, |[x]| RmsNorm { x, gain: self.vector(gain), eps })
    }

    fn rope(&self, x: Tensor<2>, rotation: &Arc<Rotation>) -> Tensor<2> {
        apply([x], self.held, self.team, |[x]| Rotate { x: Some(x), rotation: Arc::clone(rotation) })
    }

    fn attention(&self, queries: Tensor<2>, keys: Tensor<2>, values: Tensor<2>, layout: &Arc<Layout>) -> Tensor<2> {
        let layout = Arc::clone(layout);
        apply([queries, keys, values], self.held, self.team, |[queries, keys, values]| Attend {
            queries,
            keys,
            values,
            layout,
        })
    }

    fn gated(&self, gate: Tensor<2>, up: Tensor<2>, projection: Projection) -> Tensor<2> {
        apply([gate, up], self.held, self.team, |[gate, up]| GatedLinear { gate, up, map: self.map(projection) })
    }

    fn route(&self, logits: Tensor<2>, routing: RoutingShape) -> Routes {
        let route = Route::new(slice(&values(logits.clone().inner())), routing);
        let (choice, load) = route.choice();
        Routes { weights: apply([logits], self.held, self.team, |_| route), choice, load }
    }

    fn combine(&self, given: Tensor<2>, weights: Tensor<2>, choice: &Arc<Choice>) -> Tensor<2> {
        let choice = Arc::clone(choice);
        apply([given, weights], self.held, self.team, |[given, weights]| Combine { given, weights, choice })
    }

    fn pick(&self, x: Tensor<2>, rows: &Arc<Vec<u32>>) -> Tensor<2> {
        apply([x], self.held, self.team, |[x]| Pick { x, rows: Arc::clone(rows) })
    }

    fn head(&self, hidden: Tensor<2>, weight: Place, targets: &Arc<Targets>) -> Tensor<2> {
        apply([hidden], self.held, self.team, |[hidden]| Head {
            hidden,
            weight: self.matrix(weight),
            vocabulary: weight.rows,
            targets: Arc::clone(targets),
            statistics: Statistics::default(),
        })
    }
}
