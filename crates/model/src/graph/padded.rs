//! Attention in ordinary operations: ragged sequences as few padded batches.
//!
//! Sequences that begin and those that go on from another are batches of their own, so that completions are padded to the
//! longest completion and not to a prompt. What is padded is masked, and never comes back.

use std::collections::BTreeMap;

use burn::tensor::{Device, Int, Tensor, TensorData, activation};
use cohort_kernels::AttentionShape;

use super::{attention::Layout, plain::indices};

/// What is added to the score of a key that is not seen: no sum reaches it, and it is no infinity, from which a device without
/// IEEE arithmetic could make a NaN.
pub(crate) const UNSEEN: f32 = -1e30;

/// The sequences of a [`Layout`] as batches of one size each, on a device.
#[derive(Clone, Debug)]
pub(crate) struct Padded {
    batches: Vec<Batch>,
    /// Where each token's row stands among those of all batches.
    places: Tensor<1, Int>,
}

/// `count` sequences of `queries` rows each over `keys` rows each.
#[derive(Clone, Debug)]
struct Batch {
    count: usize,
    queries: usize,
    keys: usize,
    /// The tokens that the rows are of, `[count * queries]` and `[count * keys]`; any where there is none.
    query_rows: Tensor<1, Int>,
    key_rows: Tensor<1, Int>,
    /// 0 where a query sees a key, `[count, 1, 1, queries, keys]`.
    mask: Tensor<5>,
}

impl Padded {
    pub(crate) fn new(layout: &Layout, device: &Device) -> Self {
        let all = layout.sequences();
        let mut kinds: BTreeMap<bool, Vec<usize>> = BTreeMap::new();
        for s in (0..all.count()).filter(|&s| !all.own(s).is_empty()) {
            kinds.entry(!all.before(s).is_empty()).or_default().push(s);
        }
        let mut places = vec![0; all.tokens()];
        let mut begin = 0;
        let batches = kinds.into_values().map(|sequences| {
            let longest = |of: &dyn Fn(usize) -> usize| sequences.iter().map(|&s| of(s)).max().unwrap_or(0);
            let queries = longest(&|s| all.own(s).len());
            let keys = longest(&|s| all.length(s));
            let count = sequences.len();
            let (mut query_rows, mut key_rows) = (Vec::new(), Vec::new());
            let mut mask = Vec::with_capacity(count * queries * keys);
            for (index, &s) in sequences.iter().enumerate() {
                let (before, own, first) = (all.before(s), all.own(s), all.length(s) - all.own(s).len());
                for (at, token) in own.clone().enumerate() {
                    places[token] = (begin + index * queries + at) as u32;
                }
                let padded = |rows: Vec<usize>, to: usize| {
                    let any = rows[0];
                    rows.into_iter().chain(std::iter::repeat(any)).take(to).map(|row| row as u32).collect::<Vec<_>>()
                };
                query_rows.extend(padded(own.clone().collect(), queries));
                key_rows.extend(padded(before.into_iter().chain([own.clone()]).flatten().collect(), keys));
                for query in 0..queries {
                    let at = first + query;
                    let from = layout.shape.window.map_or(0, |window| (at + 1).saturating_sub(window));
                    // A softmax over nothing would be no number, so that what pads sees the first key.
                    let seen = if query < own.len() { from..at + 1 } else { 0..1 };
                    mask.extend((0..keys).map(|key| if seen.contains(&key) { 0.0 } else { UNSEEN }));
                }
            }
            begin += count * queries;
            Batch {
                count,
                queries,
                keys,
                query_rows: indices(&query_rows, device),
                key_rows: indices(&key_rows, device),
                mask: Tensor::from_data(TensorData::new(mask, [count, 1, 1, queries, keys]), device),
            }
        });
        let batches = batches.collect();
        Self { batches, places: indices(&places, device) }
    }

    /// `[tokens, query_heads * head_dim]`.
    pub(crate) fn attend(
        &self,
        queries: Tensor<2>,
        keys: Tensor<2>,
        values: Tensor<2>,
        shape: AttentionShape,
    ) -> Tensor<2> {
        let of = |batch: &Batch| batch.attend(&queries, &keys, &values, shape);
        Tensor::cat(self.batches.iter().map(of).collect(), 0).select(0, self.places.clone())
    }
}

impl Batch {
    /// `[count * queries, query_heads * head_dim]`.
    fn attend(&self, queries: &Tensor<2>, keys: &Tensor<2>, values: &Tensor<2>, shape: AttentionShape) -> Tensor<2> {
        let AttentionShape { query_heads, kv_heads, head_dim, .. } = shape;
        let (group, scale) = (query_heads / kv_heads, 1.0 / (head_dim as f32).sqrt());
        let of_heads = |x: &Tensor<2>| {
            let rows = x.clone().select(0, self.key_rows.clone());
            rows.reshape([self.count, self.keys, kv_heads, head_dim]).swap_dims(1, 2)
        };
        let rows = queries.clone().select(0, self.query_rows.clone());
        let queries = rows.reshape([self.count, self.queries, kv_heads, group, head_dim]).permute([0, 2, 3, 1, 4]);
        let queries = queries.reshape([self.count, kv_heads, group * self.queries, head_dim]);
        let scores = queries.matmul(of_heads(keys).transpose()) * scale;
        let scores = scores.reshape([self.count, kv_heads, group, self.queries, self.keys]);
        let shares = activation::softmax(scores + self.mask.clone(), 4);
        let shares = shares.reshape([self.count, kv_heads, group * self.queries, self.keys]);
        let out = shares.matmul(of_heads(values)).reshape([self.count, kv_heads, group, self.queries, head_dim]);
        out.permute([0, 3, 1, 2, 4]).reshape([self.count * self.queries, query_heads * head_dim])
    }
}
