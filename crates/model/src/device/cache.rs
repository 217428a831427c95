//! Keys and values of the rows that are decoded, on a device.
//!
//! The batch is a rectangle: what every row has so far ends in one column, so that all rows write the keys of a step into the next
//! column at once, and what stands before a row's beginning is masked. Positions are the rotation's, and no column knows of them.
//! When its columns are full, or too many rows have ended, or new ones come, the rectangle is arranged anew from the old one and
//! from contexts: a gather a layer, every some [`COLUMNS`] steps.

use std::sync::Arc;

use burn::tensor::{Device as BurnDevice, Tensor, TensorData, activation};
use cohort_kernels::AttentionShape;

use crate::{
    graph::{UNSEEN, indices},
    layer::Attention,
};

/// Columns that a new arrangement has to spare.
const COLUMNS: usize = 32;

/// Keys and values of one layer over the tokens of a pack, as rows `[tokens * kv_heads, head_dim]`.
#[derive(Clone, Debug)]
pub(super) struct KeysValues {
    keys: Tensor<2>,
    values: Tensor<2>,
}

impl KeysValues {
    /// From `[tokens, kv_heads * head_dim]`.
    pub(super) fn of_rows(keys: Tensor<2>, values: Tensor<2>, shape: AttentionShape) -> Self {
        let rows = |x: Tensor<2>| {
            let [tokens, _] = x.dims();
            x.reshape([tokens * shape.kv_heads, shape.head_dim])
        };
        Self { keys: rows(keys), values: rows(values) }
    }
}

/// A context that was run: some tokens of a pack.
#[derive(Clone, Debug)]
pub(super) struct Context {
    pub layers: Arc<Vec<KeysValues>>,
    pub tokens: Vec<usize>,
}

/// Where a row's keys and values begin.
#[derive(Clone, Copy, Debug)]
struct Place {
    name: u64,
    /// Its first column.
    first: usize,
}

/// Keys and values of one layer, `[rows, kv_heads, columns, head_dim]` each; taken out while they are written.
type Layer = Option<(Tensor<4>, Tensor<4>)>;

/// The rectangle.
#[derive(Debug)]
pub(super) struct Cache {
    attention: Attention,
    device: BurnDevice,
    rows: Vec<Place>,
    columns: usize,
    /// Columns that are written.
    written: usize,
    layers: Vec<Layer>,
    /// What stands before each row's beginning, `[rows, 1, 1, columns]`.
    before: Option<Tensor<4>>,
}

impl Cache {
    pub(super) fn new(attention: Attention, device: &BurnDevice) -> Self {
        Self {
            attention,
            device: device.clone(),
            rows: Vec::new(),
            columns: 0,
            written: 0,
            layers: Vec::new(),
            before: None,
        }
    }

    /// Rows of the rectangle, ended ones too.
    pub(super) fn rows(&self) -> usize {
        self.rows.len()
    }

    fn place(&self, name: u64) -> Option<usize> {
        self.rows.iter().position(|row| row.name == name)
    }

    /// Where the named rows stand, which it has.
    pub(super) fn places(&self, names: &[u64]) -> Vec<usize> {
        // Rows come in the order of the batch, so that the next one is near.
        names.iter().filter_map(|&name| self.place(name)).collect()
    }

    /// Whether it has these rows, a free column, and not many others.
    pub(super) fn has_room_for(&self, names: &[u64]) -> bool {
        self.written < self.columns
            && 4 * names.len() >= 3 * self.rows.len()
            && names.iter().all(|&name| self.place(name).is_some())
    }

    /// Arranges these rows, with their columns so far: from their contexts, or from where they stand.
    pub(super) fn arrange(&mut self, rows: impl Iterator<Item = (u64, Option<Context>)>, lengths: &[u32]) {
        let rows: Vec<(u64, Option<Context>)> = rows.collect();
        let Attention { kv_heads, head_dim, .. } = self.attention;
        let written = lengths.iter().max().map_or(0, |&longest| longest as usize);
        let columns = written + COLUMNS;
        if rows.iter().all(|(_, from)| from.is_some()) {
            self.layers.clear();
            self.rows.clear();
        }
        // The packs that contexts come from, and where each begins among the source's rows.
        let old = self.rows.len() * kv_heads * self.columns;
        let mut packs: Vec<(&Arc<Vec<KeysValues>>, usize)> = Vec::new();
        let mut end = old;
        for layers in rows.iter().filter_map(|(_, from)| Some(&from.as_ref()?.layers)) {
            if !packs.iter().any(|(pack, _)| Arc::ptr_eq(pack, layers)) {
                packs.push((layers, end));
                end += layers.first().map_or(0, |layer| layer.keys.dims()[0]);
            }
        }
        let mut source = Vec::with_capacity(rows.len() * kv_heads * written);
        for ((name, from), &length) in rows.iter().zip(lengths) {
            let spare = written - length as usize;
            for head in 0..kv_heads {
                let row = |at: usize| match from {
                    Some(context) => {
                        let begin = packs.iter().find(|(pack, _)| Arc::ptr_eq(pack, &context.layers));
                        begin.map_or(0, |(_, begin)| begin + context.tokens[at] * kv_heads + head)
                    }
                    None => self
                        .place(*name)
                        .map_or(0, |place| (place * kv_heads + head) * self.columns + self.rows[place].first + at),
                };
                // Any row of the source will do where the mask is.
                source.extend((0..written).map(|column| column.checked_sub(spare).map_or(0, row) as u32));
            }
        }
        let source = indices(&source, &self.device);
        let count = packs.first().map_or(self.layers.len(), |(pack, _)| pack.len());
        let spare = Tensor::<4>::zeros([rows.len(), kv_heads, COLUMNS, head_dim], &self.device);
        let mut before = std::mem::take(&mut self.layers);
        before.resize_with(count, || None);
        self.layers = before
            .into_iter()
            .enumerate()
            .map(|(layer, old)| {
                let (mut keys, mut values): (Vec<Tensor<2>>, Vec<Tensor<2>>) = old
                    .map(|(keys, values)| {
                        let flat = |x: Tensor<4>| {
                            let [rows, heads, columns, width] = x.dims();
                            x.reshape([rows * heads * columns, width])
                        };
                        (flat(keys), flat(values))
                    })
                    .into_iter()
                    .unzip();
                keys.extend(packs.iter().map(|(pack, _)| pack[layer].keys.clone()));
                values.extend(packs.iter().map(|(pack, _)| pack[layer].values.clone()));
                let gather = |all: Vec<Tensor<2>>| {
                    let so_far = Tensor::cat(all, 0).select(0, source.clone());
                    let so_far = so_far.reshape([rows.len(), kv_heads, written, head_dim]);
                    Tensor::cat(vec![so_far, spare.clone()], 2)
                };
                Some((gather(keys), gather(values)))
            })
            .collect();
        self.rows = rows
            .iter()
            .zip(lengths)
            .map(|((name, _), &length)| Place { name: *name, first: written - length as usize })
            .collect();
        let mask = self.rows.iter().flat_map(|row| (0..columns).map(|at| if at < row.first { UNSEEN } else { 0.0 }));
        let mask = TensorData::new(mask.collect::<Vec<f32>>(), [self.rows.len(), 1, 1, columns]);
        self.before = Some(Tensor::from_data(mask, &self.device));
        (self.columns, self.written) = (columns, written);
    }

    /// 0 where a query in column `at` sees, `[rows, 1, 1, columns]`.
    fn mask(&self, at: usize, window: Option<usize>) -> Tensor<4> {
        let seen = window.map_or(0, |window| (at + 1).saturating_sub(window))..at + 1;
        let mask = (0..self.columns).map(|column| if seen.contains(&column) { 0.0 } else { UNSEEN });
        let mask = TensorData::new(mask.collect::<Vec<f32>>(), [1, 1, 1, self.columns]);
        let mask = Tensor::<4>::from_data(mask, &self.device);
        match &self.before {
            Some(before) => before.clone() + mask,
            None => mask,
        }
    }
}

/// One token more for every row.
pub(super) struct Step<'a> {
    cache: &'a mut Cache,
    column: usize,
    /// By window.
    masks: Vec<(Option<usize>, Tensor<4>)>,
}

impl<'a> Step<'a> {
    /// # Panics
    /// No column is free: the caller has asked.
    pub(super) fn of(cache: &'a mut Cache) -> Self {
        assert!(cache.written < cache.columns, "no column is free");
        let column = cache.written;
        cache.written += 1;
        Self { cache, column, masks: Vec::new() }
    }

    fn mask(&mut self, window: Option<usize>) -> Tensor<4> {
        if let Some((_, mask)) = self.masks.iter().find(|(of, _)| *of == window) {
            return mask.clone();
        }
        let mask = self.cache.mask(self.column, window);
        self.masks.push((window, mask.clone()));
        mask
    }

    /// Writes keys and values `[rows, kv_heads * head_dim]` of a layer, and what `queries` get from all that is written:
    /// `[rows, query_heads * head_dim]`.
    pub(super) fn attend(
        &mut self,
        layer: usize,
        queries: Tensor<2>,
        keys: Tensor<2>,
        values: Tensor<2>,
        shape: AttentionShape,
    ) -> Tensor<2> {
        let AttentionShape { query_heads, kv_heads, head_dim, window } = shape;
        let mask = self.mask(window);
        let (rows, column) = (self.cache.rows.len(), self.column);
        let Some((old_keys, old_values)) = self.cache.layers[layer].take() else {
            unreachable!("a layer attends once a step")
        };
        // Nobody else holds the old ones, so that they are written in place.
        let write = |old: Tensor<4>, new: Tensor<2>| {
            let new = new.reshape([rows, kv_heads, 1, head_dim]);
            old.slice_assign([0..rows, 0..kv_heads, column..column + 1, 0..head_dim], new)
        };
        let (keys, values) = (write(old_keys, keys), write(old_values, values));
        let queries = queries.reshape([rows, kv_heads, query_heads / kv_heads, head_dim]);
        let scores = queries.matmul(keys.clone().transpose()) * (1.0 / (head_dim as f32).sqrt());
        let out = activation::softmax(scores + mask, 3).matmul(values.clone());
        self.cache.layers[layer] = Some((keys, values));
        out.reshape([rows, query_heads * head_dim])
    }
}
