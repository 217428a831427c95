//! The sampler's forward passes on a device: contexts together, then one token a row over cached keys and values.

use std::{
    cell::{Cell, RefCell},
    sync::Arc,
};

use burn::tensor::{Device as BurnDevice, Tensor};
use cohort_kernels::RoutingShape;

use super::cache::{Cache, Context, KeysValues, Step};
use crate::{
    decoder::Engine,
    divergence::Measured,
    experts::Choice,
    given::Given,
    graph::{Constants, Layout, Leaves, Operators, Parts, Plain, Purpose, Rotation, Routes, Targets, numbers},
    layer::{Place, Projection},
    pack::Pack,
    slices::Model,
};

/// [`Plain`] with another attention, which is told the layer.
struct Attending<'a, A> {
    plain: Plain<'a>,
    attend: A,
    /// Layers that have attended: each does once, in its turn.
    done: Cell<usize>,
}

impl<'a, A> Attending<'a, A> {
    fn new(plain: Plain<'a>, attend: A) -> Self {
        Self { plain, attend, done: Cell::new(0) }
    }
}

/// Queries, keys and values of a layer, `[rows, ..]` each.
struct Attended<'a> {
    layer: usize,
    queries: Tensor<2>,
    keys: Tensor<2>,
    values: Tensor<2>,
    layout: &'a Arc<Layout>,
}

impl<A: Fn(&Plain, Attended) -> Tensor<2>> Operators for Attending<'_, A> {
    fn attention(&self, queries: Tensor<2>, keys: Tensor<2>, values: Tensor<2>, layout: &Arc<Layout>) -> Tensor<2> {
        let layer = self.done.get();
        self.done.set(layer + 1);
        (self.attend)(&self.plain, Attended { layer, queries, keys, values, layout })
    }

    fn embed(&self, table: Place, ids: &Arc<Vec<u32>>, given: &Given) -> Tensor<2> {
        self.plain.embed(table, ids, given)
    }

    fn linear(&self, x: Tensor<2>, projection: Projection) -> Tensor<2> {
        self.plain.linear(x, projection)
    }

    fn rms_norm(&self, x: Tensor<2>, gain: usize, eps: f32) -> Tensor<2> {
        self.plain.rms_norm(x, gain, eps)
    }

    fn rope(&self, x: Tensor<2>, rotation: &Arc<Rotation>) -> Tensor<2> {
        self.plain.rope(x, rotation)
    }

    fn gated(&self, gate: Tensor<2>, up: Tensor<2>, projection: Projection) -> Tensor<2> {
        self.plain.gated(gate, up, projection)
    }

    fn route(&self, logits: Tensor<2>, routing: RoutingShape) -> Routes {
        self.plain.route(logits, routing)
    }

    fn combine(&self, given: Tensor<2>, weights: Tensor<2>, choice: &Arc<Choice>) -> Tensor<2> {
        self.plain.combine(given, weights, choice)
    }

    fn pick(&self, x: Tensor<2>, rows: &Arc<Vec<u32>>) -> Tensor<2> {
        self.plain.pick(x, rows)
    }

    fn head(&self, hidden: Tensor<2>, weight: Place, targets: &Arc<Targets>) -> Tensor<2> {
        self.plain.head(hidden, weight, targets)
    }
}

/// A model on a device.
#[derive(Clone, Copy)]
struct Forward<'a> {
    model: Model<'a>,
    values: &'a [Tensor<2>],
    device: &'a BurnDevice,
}

impl Forward<'_> {
    /// Runs a pack through the layers with this attention: the logits of its scored places.
    fn run(self, pack: &Pack, attend: impl Fn(&Plain, Attended) -> Tensor<2>) -> Vec<f32> {
        let constants = Constants::new(self.device);
        let parts = Parts::new(self.model, pack, 1.0, Measured::default());
        let operators = Attending::new(Plain::new(Leaves::new(self.values, Purpose::Sampling), &constants), attend);
        let layers = 0..self.model.parameters.layers.len();
        let x = layers.fold(parts.embed(&operators), |x, index| parts.layer(&operators, index, x));
        let hidden = parts.hidden(&operators, x, &pack.scored);
        numbers(operators.plain.logits(hidden, self.model.parameters.head))
    }
}

/// What decoding asks of a device.
pub(crate) struct DeviceEngine<'a> {
    forward: Forward<'a>,
    cache: Cache,
    /// Rows that were begun so far: names for the next ones.
    begun: u64,
    /// Of the rows of the last call, `[rows, vocabulary]`.
    logits: Vec<f32>,
}

/// A context on the device, and the logits at its end.
pub(crate) struct Prefilled {
    context: Context,
    logits: Vec<f32>,
}

/// A row of the batch.
pub(crate) struct Row {
    name: u64,
    /// What it goes on from, until the cache has taken it.
    from: Option<Context>,
}

impl<'a> DeviceEngine<'a> {
    pub(super) fn new(model: Model<'a>, values: &'a [Tensor<2>], device: &'a BurnDevice) -> Self {
        let cache = Cache::new(model.architecture.layer.attention, device);
        Self { forward: Forward { model, values, device }, cache, begun: 0, logits: Vec::new() }
    }
}

impl Engine for DeviceEngine<'_> {
    /// Four times what the processor takes: a step reads every weight once, however many rows there are.
    const BATCH: usize = 256;

    type Prefilled = Prefilled;
    type Row = Row;

    fn prefill(&mut self, contexts: &[&[u32]]) -> Vec<Prefilled> {
        let (pack, places) = Pack::of_contexts(contexts);
        let layers = RefCell::new(Vec::new());
        let logits = self.forward.run(&pack, |plain, Attended { queries, keys, values, layout, .. }| {
            layers.borrow_mut().push(KeysValues::of_rows(keys.clone(), values.clone(), layout.shape));
            plain.attention(queries, keys, values, layout)
        });
        let vocabulary = self.forward.model.architecture.vocabulary;
        let layers = Arc::new(layers.into_inner());
        let each = places.into_iter().zip(logits.chunks_exact(vocabulary)).map(|(places, logits)| Prefilled {
            context: Context { layers: Arc::clone(&layers), tokens: places.into_iter().flatten().collect() },
            logits: logits.to_vec(),
        });
        each.collect()
    }

    fn logits(prefilled: &Prefilled) -> &[f32] {
        &prefilled.logits
    }

    fn begin(&mut self, prefilled: &Prefilled, _: usize) -> Row {
        self.begun += 1;
        Row { name: self.begun, from: Some(prefilled.context.clone()) }
    }

    fn step(&mut self, mut rows: Vec<&mut Row>, tokens: &[u32], given: &Given, positions: &[u32]) -> &[f32] {
        let names: Vec<u64> = rows.iter().map(|row| row.name).collect();
        if !self.cache.has_room_for(&names) {
            let from = rows.iter_mut().map(|row| row.from.take());
            self.cache.arrange(names.iter().copied().zip(from), positions);
        }
        // A row that has ended stays in the batch until the cache is arranged again; it runs token 0, and nobody looks.
        let places = self.cache.places(&names);
        let (mut all, mut at) = (vec![0; self.cache.rows()], vec![0; self.cache.rows()]);
        for ((&place, &token), &position) in places.iter().zip(tokens).zip(positions) {
            (all[place], at[place]) = (token, position);
        }
        let pack = Pack {
            tokens: Arc::new(all),
            given: given.at(&places),
            positions: Arc::new(at),
            starts: Arc::new((0..=self.cache.rows()).collect()),
            scored: Arc::new(places.iter().map(|&place| place as u32).collect()),
            ..Pack::default()
        };
        let step = RefCell::new(Step::of(&mut self.cache));
        self.logits = self.forward.run(&pack, |_, Attended { layer, queries, keys, values, layout }| {
            step.borrow_mut().attend(layer, queries, keys, values, layout.shape)
        });
        &self.logits
    }
}
