//! The keys and values of one sequence in one layer, laid out for decoding.

use crate::attention::AttentionShape;
use crate::attention_rows::key_stride;
use crate::transpose::transpose;

/// A growing cache: keys `[kv_heads][head_dim][stride]`, so that one load takes the same element of neighbouring keys,
/// and values `[kv_heads][capacity][head_dim]`. The stride is the capacity rounded up to whole blocks of keys (with
/// a window one block more); what lies past the last key is finite and never shows in a result.
///
/// All keys are kept, whatever window is read of them. A clone of the cache of a prompt, or [`KvCache::extended`],
/// continues bit for bit like the original.
#[derive(Clone, Debug)]
pub struct KvCache {
    shape: AttentionShape,
    capacity: usize,
    stride: usize,
    len: usize,
    keys: Vec<f32>,
    values: Vec<f32>,
}

impl KvCache {
    /// An empty cache for at most `capacity` positions.
    pub fn new(shape: AttentionShape, capacity: usize) -> Self {
        shape.check();
        let stride = key_stride(capacity, shape.window);
        let heads = shape.kv_heads * shape.head_dim;
        KvCache {
            shape,
            capacity,
            stride,
            len: 0,
            keys: vec![0.0; heads * stride],
            values: vec![0.0; heads * capacity],
        }
    }

    /// The number of positions stored.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing is stored.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The number of positions that fit.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// The heads that the cache was made for.
    pub fn shape(&self) -> AttentionShape {
        self.shape
    }

    /// Appends one position: rotated key and value, `[kv_heads * head_dim]` each.
    pub fn push(&mut self, key: &[f32], value: &[f32]) {
        self.extend(key, value);
    }

    /// Appends positions in order: keys and values `[positions, kv_heads * head_dim]`.
    pub fn extend(&mut self, keys: &[f32], values: &[f32]) {
        let AttentionShape { kv_heads, head_dim, .. } = self.shape;
        let width = kv_heads * head_dim;
        assert!(
            keys.len() == values.len() && keys.len().is_multiple_of(width),
            "KvCache: slices of {} and {} for rows of {kv_heads} * {head_dim}",
            keys.len(),
            values.len()
        );
        let count = keys.len() / width;
        assert!(
            self.len + count <= self.capacity,
            "KvCache: {count} more than {} of {} positions",
            self.len,
            self.capacity
        );
        for head in 0..kv_heads {
            let out = &mut self.keys[head * head_dim * self.stride + self.len..];
            transpose(&keys[(head * head_dim).min(keys.len())..], count, head_dim, width, out, self.stride);
            let out = &mut self.values[(head * self.capacity + self.len) * head_dim..][..count * head_dim];
            for (out, row) in out.chunks_exact_mut(head_dim).zip(values.chunks_exact(width)) {
                out.copy_from_slice(&row[head * head_dim..][..head_dim]);
            }
        }
        self.len += count;
    }

    /// A copy with room for `capacity` positions, at least those that are stored.
    pub fn extended(&self, capacity: usize) -> Self {
        assert!(capacity >= self.len, "KvCache: {} positions do not fit {capacity}", self.len);
        let mut copy = KvCache::new(self.shape, capacity);
        copy.len = self.len;
        for (out, row) in copy.keys.chunks_exact_mut(copy.stride.max(1)).zip(self.keys.chunks_exact(self.stride.max(1)))
        {
            out[..self.len].copy_from_slice(&row[..self.len]);
        }
        let head_dim = self.shape.head_dim;
        for head in 0..self.shape.kv_heads {
            let row = &self.values[head * self.capacity * head_dim..][..self.len * head_dim];
            copy.values[head * capacity * head_dim..][..row.len()].copy_from_slice(row);
        }
        copy
    }

    /// The transposed keys of a head, `[head_dim][stride]`, and the stride.
    pub(crate) fn keys(&self, head: usize) -> (&[f32], usize) {
        let size = self.shape.head_dim * self.stride;
        (&self.keys[head * size..][..size], self.stride)
    }

    /// The values of a head, `[len, head_dim]`.
    pub(crate) fn values(&self, head: usize) -> &[f32] {
        let head_dim = self.shape.head_dim;
        &self.values[head * self.capacity * head_dim..][..self.len * head_dim]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attention::attend;
    use crate::testing::{bits, numbers};

    const SHAPE: AttentionShape = AttentionShape { query_heads: 4, kv_heads: 2, head_dim: 10, window: None };

    fn row(cache: &KvCache) -> Vec<u32> {
        let mut out = vec![f32::NAN; 40];
        attend(&numbers(9, 40), cache, SHAPE, &mut Vec::new(), &mut out);
        bits(&out)
    }

    #[test]
    fn copies_continue_like_the_original() {
        let (keys, values) = (numbers(1, 70 * 20), numbers(2, 70 * 20));
        let mut cache = KvCache::new(SHAPE, 70);
        cache.extend(&keys[..33 * 20], &values[..33 * 20]);
        let mut copies = [cache.clone(), cache.extended(70), cache.extended(500), KvCache::new(SHAPE, 71)];
        for (key, value) in keys.chunks(20).zip(values.chunks(20)).take(33) {
            copies[3].push(key, value);
        }
        for position in 33..70 {
            let before = row(&cache);
            let span = position * 20..(position + 1) * 20;
            cache.push(&keys[span.clone()], &values[span.clone()]);
            assert_ne!(row(&cache), before);
            for copy in &mut copies {
                copy.push(&keys[span.clone()], &values[span.clone()]);
                assert_eq!(row(copy), row(&cache));
            }
        }
        assert_eq!((cache.len(), copies[2].len(), copies[2].capacity()), (70, 70, 500));
    }

    #[test]
    #[should_panic(expected = "1 more than 2 of 2 positions")]
    fn a_full_cache_says_so() {
        let mut cache = KvCache::new(SHAPE, 2);
        cache.extend(&[0.0; 40], &[0.0; 40]);
        cache.push(&[0.0; 20], &[0.0; 20]);
    }

    #[test]
    fn an_empty_cache_can_be_copied() {
        let cache = KvCache::new(SHAPE, 0);
        assert!(cache.is_empty());
        let mut copy = cache.extended(1);
        copy.push(&[1.0; 20], &[3.0; 20]);
        assert_eq!(row(&copy), bits(&[3.0; 40]));
    }
}
