//! A forward pass that can go back: row gradients in, the gradient of every trained parameter out.

use std::sync::Arc;

use burn::tensor::Tensor;
use cohort_core::{Activations, Execution, Gradient, RowGradients, Tape, metric::Metrics};
use cohort_kernels::Team;

use super::{
    forward::Parts,
    held::Held,
    kernels::Kernels,
    operation::{matrix, slice, tensor, values},
    row_gradients::packed,
    segment::{Segment, without_graph},
    sink::Sink,
};
use crate::{divergence::Measured, dropout::Dropout, pack::Pack, slices::Model};

/// The segments of a pass over a pack with at least one row.
#[derive(Debug)]
struct Graph<'a> {
    pass: Pass<'a>,
    layers: Vec<Layer>,
    head: Segment,
}

/// The parts of the model, and what runs them.
#[derive(Debug)]
struct Pass<'a> {
    parts: Parts<'a>,
    sink: Arc<Sink>,
    team: Team,
    dropout: Option<Arc<Dropout>>,
}

impl Pass<'_> {
    fn kernels<'b>(&'b self, held: &'b Held) -> Kernels<'b> {
        Kernels {
            weights: self.parts.model.weights,
            sink: &self.sink,
            held,
            team: self.team,
            dropout: self.dropout.as_ref(),
        }
    }

    fn layer(&self, index: usize, held: &Held, x: Tensor<2>) -> Tensor<2> {
        self.parts.layer(&self.kernels(held), index, x)
    }
}

/// A layer between forward and backward.
#[derive(Debug)]
enum Layer {
    Kept(Box<Segment>),
    /// What goes into it: it is built again on the way back, from the same numbers to the same numbers.
    Recomputed(Box<Tensor<2>>),
}

/// The graph of a forward pass, or nothing where no sample had an action.
#[derive(Debug)]
pub(crate) struct GraphTape<'a> {
    graph: Option<Graph<'a>>,
    sink: Arc<Sink>,
    /// Number of rows of each sample.
    counts: Vec<usize>,
}

impl<'a> GraphTape<'a> {
    /// Runs a pack forward; `sink` has a slot for each trained parameter.
    pub(crate) fn forward(
        model: Model<'a>,
        pack: &Pack,
        temperature: f32,
        noise: Option<Dropout>,
        measured: Measured,
        sink: Sink,
        execution: Execution,
    ) -> Self {
        let sink = Arc::new(sink);
        let pass = || Pass {
            parts: Parts::new(model, pack, temperature, measured),
            sink: Arc::clone(&sink),
            team: Team::new(execution.threads),
            dropout: noise.map(Arc::new),
        };
        let graph = (!pack.chosen.ids.is_empty()).then(|| Graph::forward(pass(), execution.activations));
        Self { graph, sink, counts: pack.counts.clone() }
    }

    /// `[actions, columns]`, row-major: logp, entropy and divergences.
    pub(crate) fn rows(&self) -> Vec<f32> {
        self.graph.as_ref().map_or_else(Vec::new, |graph| slice(&values(graph.head.output())).to_vec())
    }
}

impl<'a> Graph<'a> {
    fn forward(pass: Pass<'a>, activations: Activations) -> Self {
        let count = pass.parts.model.parameters.layers.len();
        let mut x = pass.parts.embed(&pass.kernels(&Held::default()));
        let mut layers = Vec::with_capacity(count);
        for index in 0..count {
            let run = |held: &Held, x| pass.layer(index, held, x);
            let (layer, next) = match activations {
                Activations::Keep => {
                    let segment = Segment::new(x, run);
                    let next = segment.output();
                    (Layer::Kept(Box::new(segment)), next)
                }
                Activations::Recompute => (Layer::Recomputed(Box::new(x.clone())), without_graph(x, run)),
            };
            layers.push(layer);
            x = next;
        }
        let head = Segment::new(x, |held, x| pass.parts.rows(&pass.kernels(held), x));
        Self { pass, layers, head }
    }

    fn backward(self, d_rows: Tensor<2>) {
        let Self { pass, layers, head } = self;
        let mut d_x = head.backward(d_rows);
        for (index, layer) in layers.into_iter().enumerate().rev() {
            let segment = match layer {
                Layer::Kept(segment) => *segment,
                Layer::Recomputed(x) => Segment::new(*x, |held, x| pass.layer(index, held, x)),
            };
            d_x = segment.backward(d_x);
        }
        let Parts { model, tokens, given, .. } = &pass.parts;
        let table = model.parameters.embedding;
        let (width, d_x) = (model.weights.columns(table.parameter), values(d_x));
        let (tokens, d_x) = given.looked_up(tokens, slice(&d_x), width);
        pass.sink.add_rows(table.parameter, table.from * width, width, &tokens, &d_x);
    }
}

impl Tape for GraphTape<'_> {
    fn metrics(&self) -> Metrics {
        self.graph.as_ref().map_or_else(Metrics::default, |graph| graph.pass.parts.metrics())
    }

    fn backward(mut self: Box<Self>, gradients: &[RowGradients]) -> Gradient {
        let none = Measured::default();
        let measured = self.graph.as_ref().map_or(&none, |graph| &graph.pass.parts.targets.measured);
        let packed = packed(gradients, &self.counts, measured);
        if let Some(graph) = self.graph.take().filter(|_| packed.iter().any(|&g| g != 0.0)) {
            let columns = graph.pass.parts.targets.columns();
            let actions = packed.len() / columns;
            graph.backward(tensor(matrix(packed, actions, columns)));
        }
        self.sink.take()
    }
}
