//! The sampler's forward passes by slice kernels: contexts through the packed ones, then one token a row over cached keys and
//! values.
//!
//! A row of the batch depends on its own request alone (the kernels' law), so neither the size of the
//! batch, nor who else is in it, nor when a request enters changes a bit of a sample.

use std::ops::Range;

use cohort_kernels::{KvCache, attend};

use crate::{
    decoder::Engine,
    given::Given,
    pack::Pack,
    slices::{Buffers, Model},
};

/// What decoding asks of the processor.
pub(crate) struct SliceEngine<'a> {
    model: Model<'a>,
    buffers: Buffers,
    logits: Vec<f32>,
    scratch: Vec<f32>,
}

/// The caches of a context's layers and the logits at its end.
pub(crate) struct Prefilled {
    caches: Vec<KvCache>,
    logits: Vec<f32>,
}

impl<'a> SliceEngine<'a> {
    pub(crate) fn new(model: Model<'a>) -> Self {
        Self { model, buffers: Buffers::default(), logits: Vec::new(), scratch: Vec::new() }
    }
}

impl Engine for SliceEngine<'_> {
    const BATCH: usize = 64;

    type Prefilled = Prefilled;
    /// A cache a layer.
    type Row = Vec<KvCache>;

    fn prefill(&mut self, contexts: &[&[u32]]) -> Vec<Prefilled> {
        let (pack, places) = Pack::of_contexts(contexts);
        let attention = self.model.architecture.layer.attention;
        let width = attention.kv_heads * attention.head_dim;
        let mut caches: Vec<Vec<KvCache>> = vec![Vec::new(); contexts.len()];
        self.model.run_pack(&mut self.buffers, &pack, |projected| {
            for (caches, places) in caches.iter_mut().zip(&places) {
                let length = places.iter().map(Range::len).sum();
                let mut cache = KvCache::new(self.model.attention_shape(projected.layer), length);
                for place in places {
                    let range = place.start * width..place.end * width;
                    cache.extend(&projected.keys[range.clone()], &projected.values[range]);
                }
                caches.push(cache);
            }
        });
        let vocabulary = self.model.architecture.vocabulary;
        let logits = self.model.logits(&mut self.buffers, &pack.scored, &mut self.logits);
        let each = caches.into_iter().zip(logits.chunks_exact(vocabulary));
        each.map(|(caches, logits)| Prefilled { caches, logits: logits.to_vec() }).collect()
    }

    fn logits(prefilled: &Prefilled) -> &[f32] {
        &prefilled.logits
    }

    fn begin(&mut self, prefilled: &Prefilled, capacity: usize) -> Vec<KvCache> {
        prefilled.caches.iter().map(|cache| cache.extended(capacity)).collect()
    }

    fn step(&mut self, mut rows: Vec<&mut Vec<KvCache>>, tokens: &[u32], given: &Given, positions: &[u32]) -> &[f32] {
        let attention = self.model.architecture.layer.attention;
        let (q_width, kv_width) = (attention.query_heads * attention.head_dim, attention.kv_heads * attention.head_dim);
        let scratch = &mut self.scratch;
        self.model.run(&mut self.buffers, tokens, given, positions, |projected, out| {
            let keys = projected.keys.chunks_exact(kv_width);
            let values = projected.values.chunks_exact(kv_width);
            let queries = projected.queries.chunks_exact(q_width);
            let outs = out.chunks_exact_mut(q_width);
            for ((((row, key), value), query), out) in rows.iter_mut().zip(keys).zip(values).zip(queries).zip(outs) {
                let cache = &mut row[projected.layer];
                cache.push(key, value);
                attend(query, cache, cache.shape(), scratch, out);
            }
        });
        let every: Vec<u32> = (0..tokens.len() as u32).collect();
        self.model.logits(&mut self.buffers, &every, &mut self.logits)
    }
}
