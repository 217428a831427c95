//! The description executed on plain slices: for scoring without a tape, and for decoding.

use cohort_kernels::{
    AttentionShape, Distributions, Divergence, Head, HeadColumns, HeadShape, LinearShape, Team, Weight, attention,
    combine, gather, head_divergence, head_logits, head_relative, linear, rms_norm, rope, route, swiglu,
};

use crate::{
    config::Architecture,
    divergence::{Kept, Measured},
    dropout::Dropout,
    experts::Choice,
    given::Given,
    layer::{Attention, Experts, Feed, Gated, ModelParameters, Place, Projection},
    pack::Pack,
    product::{down, up},
    rope::Rotations,
    weights::Weights,
};

/// A model to execute: description, places, numbers and rotations.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Model<'a> {
    pub architecture: &'a Architecture,
    pub parameters: &'a ModelParameters,
    pub weights: &'a Weights,
    pub rotations: &'a Rotations,
    /// Noise on the inputs of adapters, of the pack that is run.
    pub dropout: Option<&'a Dropout>,
}

/// Activations of one call, `[rows, ...]` each; kept between calls so that a decoding step allocates nothing.
#[derive(Debug, Default)]
pub(crate) struct Buffers {
    /// The residual stream, `[rows, width]`.
    x: Vec<f32>,
    /// Normalised rows, and what comes back to the residual stream.
    normed: Vec<f32>,
    queries: Vec<f32>,
    keys: Vec<f32>,
    values: Vec<f32>,
    attended: Vec<f32>,
    feed: FeedBuffers,
    /// What the second half gives.
    fed: Vec<f32>,
    /// Hidden rows that go to the head, before and after the last norm.
    picked: Vec<f32>,
    hidden: Vec<f32>,
}

/// Activations of the second half of a layer.
#[derive(Debug, Default)]
struct FeedBuffers {
    gate: Vec<f32>,
    up: Vec<f32>,
    product: Vec<f32>,
    /// Of a mixture: logits and probabilities `[rows, experts]`, choice and weights `[rows, top_k]`.
    logits: Vec<f32>,
    probabilities: Vec<f32>,
    chosen: Vec<u32>,
    weights: Vec<f32>,
    /// The rows that one expert takes, and what all of them give.
    taken: Vec<f32>,
    given: Vec<f32>,
}

/// Rotated queries and keys, and values, of all rows in one layer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Projected<'a> {
    pub layer: usize,
    pub queries: &'a [f32],
    pub keys: &'a [f32],
    pub values: &'a [f32],
}

/// The first `len` entries of a buffer that grows as needed.
fn room<T: Copy + Default>(buffer: &mut Vec<T>, len: usize) -> &mut [T] {
    if buffer.len() < len {
        buffer.resize(len, T::default());
    }
    &mut buffer[..len]
}

fn add(x: &mut [f32], y: &[f32]) {
    for (x, y) in x.iter_mut().zip(y) {
        *x += *y;
    }
}

/// What the packed head gives, column by column.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct HeadRows {
    pub logp: Vec<f32>,
    pub entropy: Vec<f32>,
    pub log_sum_exp: Vec<f32>,
    /// One for each divergence that was asked for.
    pub divergences: Vec<Vec<f32>>,
}

impl<'a> Model<'a> {
    /// The heads of a layer and its window.
    pub(crate) fn attention_shape(&self, layer: usize) -> AttentionShape {
        let attention = self.architecture.layer.attention;
        AttentionShape {
            query_heads: attention.query_heads,
            kv_heads: attention.kv_heads,
            head_dim: attention.head_dim,
            window: self.parameters.layers[layer].window,
        }
    }

    fn vector(&self, index: usize) -> &'a [f32] {
        self.weights.slice(index)
    }

    fn weight(&self, place: Place) -> Weight<'a> {
        self.weights.weight(place)
    }

    fn project(&self, x: &[f32], projection: Projection, rows: usize, out: &mut [f32]) {
        let (inputs, outputs) = (x.len() / rows.max(1), projection.weight.rows);
        let bias = projection.bias.map(|bias| self.vector(bias));
        linear(x, self.weight(projection.weight), bias, LinearShape { rows, inputs, outputs }, out);
        if let Some(adapter) = projection.adapter {
            let (a, b) = (self.vector(adapter.a), self.vector(adapter.b));
            let rank = a.len() / inputs;
            let low = match self.dropout {
                None => down(Team::ALONE, x, a, rows, rank),
                Some(dropout) => {
                    let mut x = x.to_vec();
                    dropout.apply(&mut x, adapter.a);
                    down(Team::ALONE, &x, a, rows, rank)
                }
            };
            add(out, &up(Team::ALONE, &low, b, adapter.scale, rows, rank));
        }
    }

    /// The embeddings of `ids`, weighed, `[width]`: what a soft token is fed as. Summed in their order.
    pub(crate) fn mixed(&self, ids: &[u32], weights: &[f32]) -> Vec<f32> {
        let width = self.architecture.layer.width;
        let mut rows = vec![0.0; ids.len() * width];
        gather(self.weights.matrix(self.parameters.embedding), ids, width, &mut rows);
        let mut out = vec![0.0; width];
        for (row, weight) in rows.chunks_exact(width).zip(weights) {
            out.iter_mut().zip(row).for_each(|(out, x)| *out += weight * x);
        }
        out
    }

    /// Runs the layers over rows of tokens, of which some are given; `mix` writes what each row attends to,
    /// `[rows, query_heads * head_dim]`.
    pub(crate) fn run(
        &self,
        buffers: &mut Buffers,
        tokens: &[u32],
        given: &Given,
        positions: &[u32],
        mut mix: impl FnMut(Projected, &mut [f32]),
    ) {
        let layer = &self.architecture.layer;
        let (rows, width) = (tokens.len(), layer.width);
        let eps = layer.norm_eps as f32;
        let Attention { query_heads, kv_heads, head_dim, .. } = layer.attention;
        let table = self.rotations.table(positions.iter().max().map_or(0, |&last| last as usize + 1));

        let x = room(&mut buffers.x, rows * width);
        gather(self.weights.matrix(self.parameters.embedding), tokens, width, x);
        given.replace(x, width);
        let normed = room(&mut buffers.normed, rows * width);
        let queries = room(&mut buffers.queries, rows * query_heads * head_dim);
        let keys = room(&mut buffers.keys, rows * kv_heads * head_dim);
        let values = room(&mut buffers.values, rows * kv_heads * head_dim);
        let fed = room(&mut buffers.fed, rows * width);
        let attended = room(&mut buffers.attended, rows * query_heads * head_dim);

        for (index, places) in self.parameters.layers.iter().enumerate() {
            rms_norm(x, self.vector(places.attention_norm), eps, normed);
            self.project(normed, places.query, rows, queries);
            self.project(normed, places.key, rows, keys);
            self.project(normed, places.value, rows, values);
            if let Some(norms) = places.head_norms {
                // `attended` is free until later in the layer: the norm needs a second place.
                rms_norm(queries, self.vector(norms.query), eps, attended);
                queries.copy_from_slice(attended);
                let spare = &mut attended[..keys.len()];
                rms_norm(keys, self.vector(norms.key), eps, spare);
                keys.copy_from_slice(spare);
            }
            rope(queries, positions, query_heads, head_dim, &table);
            rope(keys, positions, kv_heads, head_dim, &table);
            mix(Projected { layer: index, queries, keys, values }, attended);
            self.project(attended, places.output, rows, normed);
            add(x, normed);

            rms_norm(x, self.vector(places.mlp_norm), eps, normed);
            match &places.feed {
                Feed::Dense(gated) => self.gated(&mut buffers.feed, normed, gated, rows, fed),
                Feed::Experts(experts) => self.experts(&mut buffers.feed, normed, experts, rows, fed),
            }
            add(x, fed);
        }
    }

    /// `out = down(silu(gate(x)) * up(x))`, `[rows, width]`.
    fn gated(&self, buffers: &mut FeedBuffers, x: &[f32], gated: &Gated, rows: usize, out: &mut [f32]) {
        let inner = gated.gate.weight.rows;
        let gate = room(&mut buffers.gate, rows * inner);
        let up = room(&mut buffers.up, rows * inner);
        let product = room(&mut buffers.product, rows * inner);
        self.project(x, gated.gate, rows, gate);
        self.project(x, gated.up, rows, up);
        swiglu(gate, up, product);
        self.project(product, gated.down, rows, out);
    }

    /// The weighted sum of what the chosen experts give, `[rows, width]`.
    fn experts(&self, buffers: &mut FeedBuffers, x: &[f32], experts: &Experts, rows: usize, out: &mut [f32]) {
        let (routing, width) = (experts.routing, x.len() / rows.max(1));
        let (all, slots) = (rows * routing.experts, rows * routing.top_k);
        let logits = room(&mut buffers.logits, all);
        self.project(x, experts.router, rows, logits);
        let chosen = room(&mut buffers.chosen, slots);
        let weights = room(&mut buffers.weights, slots);
        route(logits, routing, room(&mut buffers.probabilities, all), chosen, weights);
        let choice = Choice::new(chosen, routing);
        let (mut taken, mut given) = (std::mem::take(&mut buffers.taken), std::mem::take(&mut buffers.given));
        for (e, expert) in experts.experts.iter().enumerate() {
            let of_expert = choice.rows_of(e);
            if of_expert.is_empty() {
                continue;
            }
            let taken = room(&mut taken, of_expert.len() * width);
            for (taken, &row) in taken.chunks_exact_mut(width).zip(of_expert) {
                taken.copy_from_slice(&x[row as usize * width..][..width]);
            }
            let given = room(&mut given, slots * width);
            let range = choice.range(e);
            self.gated(buffers, taken, expert, range.len(), &mut given[range.start * width..range.end * width]);
        }
        combine(room(&mut given, slots * width), &buffers.weights[..slots], &choice.places, width, out);
        (buffers.taken, buffers.given) = (taken, given);
    }

    /// Runs a pack with every sequence attending to itself; `keep` sees keys and values of each layer.
    pub(crate) fn run_pack(&self, buffers: &mut Buffers, pack: &Pack, mut keep: impl FnMut(Projected)) {
        self.run(buffers, &pack.tokens, &pack.given, &pack.positions, |projected, out| {
            let shape = self.attention_shape(projected.layer);
            attention(projected.queries, projected.keys, projected.values, pack.sequences(), shape, out);
            keep(projected);
        });
    }

    /// Rows picked from the residual stream of the last run, after the last norm: `[picked, width]`.
    fn hidden<'b>(&self, buffers: &'b mut Buffers, picked: &[u32]) -> &'b [f32] {
        let layer = &self.architecture.layer;
        let width = layer.width;
        let rows = room(&mut buffers.picked, picked.len() * width);
        for (row, &at) in rows.chunks_exact_mut(width).zip(picked) {
            row.copy_from_slice(&buffers.x[at as usize * width..][..width]);
        }
        let hidden = room(&mut buffers.hidden, picked.len() * width);
        rms_norm(rows, self.vector(self.parameters.final_norm), layer.norm_eps as f32, hidden);
        hidden
    }

    fn head_shape(&self, rows: usize) -> HeadShape {
        HeadShape { rows, width: self.architecture.layer.width, vocabulary: self.architecture.vocabulary }
    }

    /// Logits of picked rows of the last run, `[picked, vocabulary]`.
    pub(crate) fn logits<'b>(&self, buffers: &mut Buffers, picked: &[u32], logits: &'b mut Vec<f32>) -> &'b [f32] {
        let shape = self.head_shape(picked.len());
        let out = room(logits, picked.len() * shape.vocabulary);
        head_logits(self.hidden(buffers, picked), self.weight(self.parameters.head), shape, out);
        out
    }

    /// Logits after every position of one sequence, `[ids, vocabulary]`.
    pub(crate) fn all_logits(&self, buffers: &mut Buffers, ids: &[u32]) -> Vec<f32> {
        self.run_pack(buffers, &Pack::of_contexts(&[ids]).0, |_| {});
        let every: Vec<u32> = (0..ids.len() as u32).collect();
        let mut logits = Vec::new();
        self.logits(buffers, &every, &mut logits);
        logits
    }

    /// The rows of a pack.
    pub(crate) fn score(&self, buffers: &mut Buffers, pack: &Pack, temperature: f32, measured: &Measured) -> HeadRows {
        let chosen = &pack.chosen;
        let count = chosen.ids.len();
        let column = || vec![0.0; count];
        let mut rows = HeadRows { logp: column(), entropy: column(), log_sum_exp: column(), divergences: Vec::new() };
        if count > 0 {
            self.run_pack(buffers, pack, |_| {});
            let (hidden, weight) = (self.hidden(buffers, &pack.scored), self.weight(self.parameters.head));
            let (shape, inverse_temperature) = (self.head_shape(count), 1.0 / temperature);
            let lists = chosen.lists();
            let (mut relative, mut log_sum) = (vec![0.0; chosen.asked_count(&lists)], column());
            let head = Head { hidden, weight, asked: chosen.asked(&lists), inverse_temperature, shape };
            let columns = HeadColumns {
                relative: &mut relative,
                log_sum: &mut log_sum,
                entropy: &mut rows.entropy,
                log_sum_exp: &mut rows.log_sum_exp,
            };
            head_relative(head, columns);
            rows.logp = chosen.logp(&lists, &relative, &log_sum);
            let log_sum_exp = &rows.log_sum_exp;
            let p = Distributions { hidden, weight, width: shape.width, inverse_temperature, log_sum_exp };
            rows.divergences.extend(measured.0.iter().map(|(_, from)| {
                let mut divergence = column();
                head_divergence(Divergence { p, q: from.get() }, &mut divergence);
                divergence
            }));
        }
        rows
    }

    /// The distributions of a pack, added to `kept`.
    pub(crate) fn keep(&self, buffers: &mut Buffers, pack: &Pack, temperature: f32, kept: &mut Kept) {
        let rows = self.score(buffers, pack, temperature, &Measured::default());
        let numbers = pack.chosen.ids.len() * self.architecture.layer.width;
        // What the head was given is still there.
        kept.hidden.extend_from_slice(&buffers.hidden[..numbers]);
        kept.log_sum_exp.extend(rows.log_sum_exp);
    }
}
