//! A forward pass on a device that can go back.
//!
//! Each layer is a graph of its own, and so is each part of the head: its logits stand in memory for one part at a time, and are
//! made again on the way back.

use std::ops::Range;

use burn::tensor::{Gradients, Tensor, TensorData, Transaction};
use cohort_core::{Activations, Gradient, RowGradients, Tape, metric::Metrics};

use super::policy::DevicePolicy;
use crate::{
    graph::{Constants, Leaves, Parts, Plain, Purpose, numbers, packed},
    slices::Model,
};

/// Numbers of logits that stand in a device's memory at once, in each of the few copies that a softmax makes.
const LOGITS: usize = 1 << 26;

/// A pass over a pack with at least one row.
#[derive(Debug)]
pub(super) struct Pass<'a> {
    policy: &'a DevicePolicy,
    parts: Parts<'a>,
    constants: Constants,
}

impl<'a> Pass<'a> {
    pub(super) fn new(policy: &'a DevicePolicy, parts: Parts<'a>) -> Self {
        Self { policy, parts, constants: Constants::new(policy.device()) }
    }

    /// Operations without a way back.
    fn forward(&self) -> Plain<'_> {
        Plain::new(Leaves::new(self.policy.values(), Purpose::Scoring), &self.constants)
    }

    /// Operations with one.
    fn tracked(&self) -> Plain<'_> {
        let Model { weights, .. } = self.parts.model;
        Plain::new(Leaves::new(self.policy.values(), Purpose::Training(weights)), &self.constants)
    }

    fn layers(&self) -> Range<usize> {
        0..self.parts.model.parameters.layers.len()
    }

    /// The actions whose logits stand in memory together.
    fn heads(&self) -> Vec<Range<usize>> {
        let (rows, at_once) = (self.parts.scored.len(), (LOGITS / self.parts.model.architecture.vocabulary).max(1));
        (0..rows).step_by(at_once).map(|from| from..(from + at_once).min(rows)).collect()
    }

    /// `[actions, 2]` from what comes out of the layers.
    fn rows(&self, x: &Tensor<2>) -> Tensor<2> {
        let head = |actions| self.parts.rows_of(&self.forward(), Tensor::from_inner(x.clone()), actions);
        Tensor::cat(self.heads().into_iter().map(head).collect(), 0)
    }

    /// The rows alone.
    pub(super) fn score(&self) -> Vec<f32> {
        let plain = self.forward();
        let x = self.layers().fold(self.parts.embed(&plain), |x, index| self.parts.layer(&plain, index, x));
        numbers(self.rows(&x))
    }

    /// Goes through the layers, and keeps what the way back begins from.
    pub(super) fn go(self, activations: Activations) -> (Vec<f32>, Graph<'a>) {
        let plain = self.forward();
        let mut x = self.parts.embed(&plain);
        let mut layers = Vec::with_capacity(self.layers().len());
        for index in self.layers() {
            let (layer, next) = match activations {
                Activations::Keep => {
                    let segment = Segment::of_layer(&self, index, x);
                    let next = segment.output.clone().inner();
                    (Layer::Kept(Box::new(segment)), next)
                }
                Activations::Recompute => {
                    let next = self.parts.layer(&plain, index, x.clone());
                    (Layer::Recomputed(Box::new(x)), next)
                }
            };
            layers.push(layer);
            x = next;
        }
        let rows = numbers(self.rows(&x));
        drop(plain);
        (rows, Graph { pass: self, layers, out: x })
    }
}

/// A layer as a graph from one leaf to one output.
#[derive(Debug)]
struct Segment {
    input: Tensor<2>,
    output: Tensor<2>,
    /// The leaves that stand for parameters.
    parameters: Vec<(usize, Tensor<2>)>,
}

impl Segment {
    fn of_layer(pass: &Pass, index: usize, x: Tensor<2>) -> Self {
        let (plain, input) = (pass.tracked(), Tensor::from_inner(x).require_grad());
        let output = pass.parts.layer(&plain, index, input.clone());
        Self { input, output, parameters: plain.into_leaves() }
    }

    /// The derivative for the input, given the output's; those of parameters are added to `sums`.
    fn backward(self, d_output: Tensor<2>, sums: &mut Sums) -> Tensor<2> {
        let mut found = (self.output * d_output).sum().backward();
        sums.add(&self.parameters, &mut found);
        match self.input.grad_remove(&mut found) {
            Some(d_input) => d_input,
            None => unreachable!("the output of a layer depends on its input"),
        }
    }
}

/// A layer between forward and backward.
#[derive(Debug)]
enum Layer {
    Kept(Box<Segment>),
    /// What goes into it.
    Recomputed(Box<Tensor<2>>),
}

/// The gradient as it gathers on the device, by parameter.
struct Sums(Vec<Option<Tensor<2>>>);

impl Sums {
    fn add(&mut self, leaves: &[(usize, Tensor<2>)], found: &mut Gradients) {
        for (index, leaf) in leaves {
            let Some(more) = leaf.grad_remove(found) else { continue };
            let sum = &mut self.0[*index];
            *sum = Some(match sum.take() {
                Some(sum) => sum + more,
                None => more,
            });
        }
    }
}

/// What [`Pass::go`] keeps.
#[derive(Debug)]
pub(super) struct Graph<'a> {
    pass: Pass<'a>,
    layers: Vec<Layer>,
    /// What comes out of the layers.
    out: Tensor<2>,
}

impl Graph<'_> {
    /// `d_rows` `[actions, 2]`, row-major.
    fn backward(self, d_rows: Vec<f32>) -> Gradient {
        let Self { pass, layers, out } = self;
        let weights = pass.parts.model.weights;
        let mut sums = Sums((0..weights.count()).map(|_| None).collect());
        let mut d_x: Option<Tensor<2>> = None;
        for actions in pass.heads() {
            let values = d_rows[2 * actions.start..2 * actions.end].to_vec();
            let d = Tensor::<2>::from_data(TensorData::new(values, [actions.len(), 2]), pass.policy.device());
            let (plain, input) = (pass.tracked(), Tensor::from_inner(out.clone()).require_grad());
            let output = pass.parts.rows_of(&plain, input.clone(), actions);
            let more = Segment { input, output, parameters: plain.into_leaves() }.backward(d, &mut sums);
            d_x = Some(match d_x {
                Some(d_x) => d_x + more,
                None => more,
            });
        }
        let Some(mut d_x) = d_x else { unreachable!("a pass has at least one row") };
        for (index, layer) in layers.into_iter().enumerate().rev() {
            let segment = match layer {
                Layer::Kept(segment) => *segment,
                Layer::Recomputed(x) => Segment::of_layer(&pass, index, *x),
            };
            d_x = segment.backward(d_x, &mut sums);
        }
        if weights.slot(pass.parts.model.parameters.embedding.parameter).is_some() {
            let plain = pass.tracked();
            let output = pass.parts.embed(&plain);
            sums.add(&plain.into_leaves(), &mut (output * d_x).sum().backward());
        }
        sums.gradient(&pass)
    }
}

impl Sums {
    /// Brings it to the host; zeros where nothing depends on a parameter.
    fn gradient(mut self, pass: &Pass) -> Gradient {
        let weights = pass.parts.model.weights;
        let mut gradient = pass.policy.zeros();
        let (mut reads, mut read) = (Transaction::default(), Vec::new());
        for (slot, &index) in weights.trained().iter().enumerate() {
            if let Some(sum) = self.0[index].take() {
                reads = reads.register(sum);
                read.push(slot);
            }
        }
        // As in `numbers`.
        let data = reads.try_execute().unwrap_or_else(|error| panic!("the device failed: {error}"));
        for (slot, data) in read.into_iter().zip(data) {
            let values = data.try_into_vec_as::<f32>();
            gradient.0[slot] = values.unwrap_or_else(|error| panic!("the device failed: {error}"));
        }
        gradient
    }
}

/// The pass of some samples, or nothing where none had an action.
#[derive(Debug)]
pub(super) struct DeviceTape<'a> {
    pub policy: &'a DevicePolicy,
    pub graph: Option<Graph<'a>>,
    /// Number of rows of each sample.
    pub counts: Vec<usize>,
}

impl Tape for DeviceTape<'_> {
    fn metrics(&self) -> Metrics {
        self.graph.as_ref().map_or_else(Metrics::default, |graph| graph.pass.parts.metrics())
    }

    fn backward(self: Box<Self>, gradients: &[RowGradients]) -> Gradient {
        let Self { policy, graph, counts } = *self;
        let packed = packed(gradients, &counts, &Default::default());
        let _alone = policy.alone();
        match graph.filter(|_| packed.iter().any(|&g| g != 0.0)) {
            Some(graph) => graph.backward(packed),
            None => policy.zeros(),
        }
    }
}
