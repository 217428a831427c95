//! Causal attention with grouped queries: one new row against a cache, or packed sequences at once, with equal bits.

use std::ops::Range;

use crate::attention_rows::{Head, key_stride, rows, scratch_len};
use crate::kv_cache::KvCache;
use crate::level::dispatch;
use crate::sequences::{Joined, Sequences};
use crate::transpose::transpose;

/// The heads of an attention layer and how far back they see. Query head `h` reads key and value head
/// `h / (query_heads / kv_heads)`; scores are scaled by `1 / sqrt(head_dim)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttentionShape {
    /// Heads of the queries; a multiple of `kv_heads`.
    pub query_heads: usize,
    /// Heads of the keys and values.
    pub kv_heads: usize,
    /// Width of a head.
    pub head_dim: usize,
    /// Keys that a query sees, its own included: at position `p` those of `p - window + 1 ..= p` (the `sliding_window`
    /// of transformers). At least 1; `None`: all.
    pub window: Option<usize>,
}

impl AttentionShape {
    pub(crate) fn check(&self) {
        let AttentionShape { query_heads, kv_heads, head_dim, window } = *self;
        assert!(window != Some(0), "attention: a window of 0 keys");
        assert!(
            kv_heads > 0 && head_dim > 0 && query_heads > 0 && query_heads.is_multiple_of(kv_heads),
            "attention: {query_heads} query heads over {kv_heads} heads of {head_dim}"
        );
    }

    pub(crate) fn scale(&self) -> f32 {
        (1.0 / (self.head_dim as f64).sqrt()) as f32
    }

    /// The first key that the query at a position sees.
    pub(crate) fn first_key(&self, position: usize) -> usize {
        self.window.map_or(0, |window| (position + 1).saturating_sub(window))
    }

    pub(crate) fn check_packed(&self, name: &str, q: usize, k: usize, v: usize, sequences: Sequences) {
        self.check();
        let tokens = sequences.tokens();
        let AttentionShape { query_heads, kv_heads, head_dim, .. } = *self;
        assert!(
            q == tokens * query_heads * head_dim && k == tokens * kv_heads * head_dim && v == k,
            "{name}: slices of {q}, {k} and {v} for {tokens} tokens, {query_heads} query heads, {kv_heads} heads, \
             head_dim {head_dim}"
        );
    }
}

/// Rows taken at once: they share the loads of keys and values.
const ROWS: usize = 4;

#[inline(always)]
fn attend_body<const FMA: bool>(
    q: &[f32],
    cache: &KvCache,
    shape: AttentionShape,
    scratch: &mut [f32],
    out: &mut [f32],
) {
    let AttentionShape { query_heads, kv_heads, head_dim, .. } = shape;
    let (scale, group, first) = (shape.scale(), query_heads / kv_heads, shape.first_key(cache.len() - 1));
    let count = cache.len() - first;
    for kv_head in 0..kv_heads {
        let (keys, key_stride) = cache.keys(kv_head);
        let head = Head { keys, key_stride, values: cache.values(kv_head), value_stride: head_dim }.from(first);
        let from = kv_head * group * head_dim;
        let mut q = q[from..][..group * head_dim].chunks_exact(head_dim);
        let mut out = out[from..][..group * head_dim].chunks_exact_mut(head_dim);
        let mut left = group;
        while left >= ROWS {
            let q = std::array::from_fn(|_| q.next().expect("a query head"));
            let out = std::array::from_fn(|_| out.next().expect("a query head"));
            rows::<FMA, ROWS, false>(q, head, count, 0, scale, scratch, out);
            left -= ROWS;
        }
        while left >= 2 {
            let q = std::array::from_fn(|_| q.next().expect("a query head"));
            let out = std::array::from_fn(|_| out.next().expect("a query head"));
            rows::<FMA, 2, false>(q, head, count, 0, scale, scratch, out);
            left -= 2;
        }
        for (q, out) in q.zip(out) {
            rows::<FMA, 1, false>([q], head, count, 0, scale, scratch, [out]);
        }
    }
}

dispatch! {
    fn attend_at_level(q: &[f32], cache: &KvCache, shape: AttentionShape, scratch: &mut [f32], out: &mut [f32])
        = attend_body
}

/// One query row `[query_heads * head_dim]` at the last position of the cache, over everything in it (at least that
/// position) or over its window: for each head `out = softmax(q K^T / sqrt(head_dim)) V`. `scratch` is grown as needed and may be shared between calls.
pub fn attend(q: &[f32], cache: &KvCache, shape: AttentionShape, scratch: &mut Vec<f32>, out: &mut [f32]) {
    shape.check();
    let width = shape.query_heads * shape.head_dim;
    assert!(
        shape == cache.shape() && q.len() == width && out.len() == width && !cache.is_empty(),
        "attend: slices of {} and {} for {shape:?} and {} cached positions of {:?}",
        q.len(),
        out.len(),
        cache.len(),
        cache.shape()
    );
    let needed = scratch_len(ROWS, cache.len());
    scratch.resize(scratch.len().max(needed), 0.0);
    attend_at_level(q, cache, shape, scratch, out);
}

/// Four rows of `[.., width]` from row `from`, `head_dim` columns from `column`.
#[inline(always)]
fn columns_of_rows<const R: usize>(
    x: &[f32],
    from: usize,
    width: usize,
    column: usize,
    head_dim: usize,
) -> [&[f32]; R] {
    std::array::from_fn(|r| &x[(from + r) * width + column..][..head_dim])
}

#[inline(always)]
fn columns_of_rows_mut<const R: usize>(
    x: &mut [f32],
    from: usize,
    width: usize,
    column: usize,
    head_dim: usize,
) -> [&mut [f32]; R] {
    let mut rows = x[from * width..].chunks_mut(width);
    std::array::from_fn(|_| &mut rows.next().expect("a row")[column..][..head_dim])
}

/// The queries from position `from` of one sequence, over its keys up to the last of them.
#[inline(always)]
fn sequence_body<const FMA: bool>(
    from: usize,
    q: &[f32],
    k: &[f32],
    v: &[f32],
    shape: AttentionShape,
    scratch: &mut [f32],
    out: &mut [f32],
) {
    let AttentionShape { query_heads, kv_heads, head_dim, .. } = shape;
    let (q_width, kv_width, group, scale) =
        (query_heads * head_dim, kv_heads * head_dim, query_heads / kv_heads, shape.scale());
    let tokens = from + q.len() / q_width;
    let key_stride = key_stride(tokens, shape.window);
    let (keys, scratch) = scratch.split_at_mut(head_dim * key_stride);
    for kv_head in 0..kv_heads {
        transpose(&k[kv_head * head_dim..], tokens, head_dim, kv_width, keys, key_stride);
        let head = Head { keys, key_stride, values: &v[kv_head * head_dim..], value_stride: kv_width };
        for query_head in kv_head * group..(kv_head + 1) * group {
            let column = query_head * head_dim;
            let mut token = from;
            while token < tokens {
                let first = shape.first_key(token);
                let (head, count) = (head.from(first), token + 1 - first);
                // Four rows go together where all begin at the first key or all slide.
                let last = shape.first_key(token + ROWS - 1);
                if token + ROWS <= tokens && last == 0 {
                    let q = columns_of_rows(q, token - from, q_width, column, head_dim);
                    let out = columns_of_rows_mut(out, token - from, q_width, column, head_dim);
                    rows::<FMA, ROWS, false>(q, head, count, 1, scale, scratch, out);
                    token += ROWS;
                } else if token + ROWS <= tokens && last == first + ROWS - 1 && count >= ROWS {
                    let q = columns_of_rows(q, token - from, q_width, column, head_dim);
                    let out = columns_of_rows_mut(out, token - from, q_width, column, head_dim);
                    rows::<FMA, ROWS, true>(q, head, count, 1, scale, scratch, out);
                    token += ROWS;
                } else {
                    let q = columns_of_rows(q, token - from, q_width, column, head_dim);
                    let out = columns_of_rows_mut(out, token - from, q_width, column, head_dim);
                    rows::<FMA, 1, false>(q, head, count, 1, scale, scratch, out);
                    token += 1;
                }
            }
        }
    }
}

dispatch! {
    fn sequence(from: usize, q: &[f32], k: &[f32], v: &[f32], shape: AttentionShape, scratch: &mut [f32], out: &mut [f32])
        = sequence_body
}

/// Causal attention of packed sequences: q and out `[tokens, query_heads * head_dim]`, k and v
/// `[tokens, kv_heads * head_dim]`. Where sequences are given as their starts, they are apart.
///
/// Law: row `i` of a sequence, those before its own counted, is, bit for bit, what [`attend`] gives with a cache of the sequence's
/// first `i + 1` keys and values, whatever else is packed. Scores are chains over `head_dim`, values are added in the order of
/// their keys.
pub fn attention<'a>(
    q: &[f32],
    k: &[f32],
    v: &[f32],
    sequences: impl Into<Sequences<'a>>,
    shape: AttentionShape,
    out: &mut [f32],
) {
    let sequences = sequences.into();
    shape.check_packed("attention", q.len(), k.len(), v.len(), sequences);
    assert_eq!(out.len(), q.len(), "attention: out for queries of {}", q.len());
    attention_of(0..sequences.tokens(), q, k, v, sequences, shape, out);
}

/// The rows `part` of [`attention`], as `[part, query_heads * head_dim]`.
pub(crate) fn attention_of(
    part: Range<usize>,
    q: &[f32],
    k: &[f32],
    v: &[f32],
    sequences: Sequences,
    shape: AttentionShape,
    out: &mut [f32],
) {
    let pieces = (0..sequences.count()).filter_map(|s| {
        let own = sequences.own(s);
        let rows = own.start.max(part.start)..own.end.min(part.end);
        (rows.start < rows.end).then_some((s, own.start, rows))
    });
    let ends = pieces.clone().map(|(s, start, rows)| sequences.length(s) - sequences.own(s).len() + rows.end - start);
    let longest = ends.max().unwrap_or(0);
    let mut scratch = vec![0.0; shape.head_dim * key_stride(longest, shape.window) + scratch_len(ROWS, longest)];
    let (q_width, kv_width) = (shape.query_heads * shape.head_dim, shape.kv_heads * shape.head_dim);
    let (mut joined_k, mut joined_v) = (Joined::default(), Joined::default());
    for (s, start, rows) in pieces {
        let before = sequences.before(s);
        let first = before.iter().map(Range::len).sum::<usize>() + rows.start - start;
        let (k, v) = match before.is_empty() {
            true => (&k[start * kv_width..rows.end * kv_width], &v[start * kv_width..rows.end * kv_width]),
            false => {
                (joined_k.of(k, &before, start..rows.end, kv_width), joined_v.of(v, &before, start..rows.end, kv_width))
            }
        };
        let q = &q[rows.start * q_width..rows.end * q_width];
        let out = &mut out[(rows.start - part.start) * q_width..][..q.len()];
        sequence(first, q, k, v, shape, &mut scratch, out);
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::testing::{assert_close, assert_levels_agree, bits, numbers};
    use proptest::prelude::*;

    pub(crate) fn shape(kv_heads: usize, group: usize, head_dim: usize) -> AttentionShape {
        AttentionShape { query_heads: kv_heads * group, kv_heads, head_dim, window: None }
    }

    pub(crate) fn within(window: usize, shape: AttentionShape) -> AttentionShape {
        AttentionShape { window: Some(window), ..shape }
    }

    struct Packed {
        shape: AttentionShape,
        starts: Vec<usize>,
        q: Vec<f32>,
        k: Vec<f32>,
        v: Vec<f32>,
        out: Vec<f32>,
    }

    impl Packed {
        fn new(shape: AttentionShape, lengths: &[usize]) -> Self {
            let mut starts = vec![0];
            starts.extend(lengths.iter().scan(0, |sum, length| {
                *sum += length;
                Some(*sum)
            }));
            let tokens = starts[lengths.len()];
            let width = shape.kv_heads * shape.head_dim;
            let q: Vec<f32> = numbers(1, tokens * shape.query_heads * shape.head_dim).iter().map(|x| x * 3.0).collect();
            let (k, v) = (numbers(2, tokens * width), numbers(3, tokens * width));
            let mut out = vec![f32::NAN; q.len()];
            attention(&q, &k, &v, &starts, shape, &mut out);
            Packed { shape, starts, q, k, v, out }
        }

        fn q_width(&self) -> usize {
            self.shape.query_heads * self.shape.head_dim
        }

        fn kv_width(&self) -> usize {
            self.shape.kv_heads * self.shape.head_dim
        }

        /// Every row of every sequence once more, one at a time against a cache.
        fn check_against_cache(&self, room: usize) {
            let mut scratch = Vec::new();
            for pair in self.starts.windows(2) {
                let mut cache = KvCache::new(self.shape, pair[1] - pair[0] + room);
                for token in pair[0]..pair[1] {
                    let span = token * self.kv_width()..(token + 1) * self.kv_width();
                    cache.push(&self.k[span.clone()], &self.v[span]);
                    let span = token * self.q_width()..(token + 1) * self.q_width();
                    let mut out = vec![f32::NAN; self.q_width()];
                    attend(&self.q[span.clone()], &cache, self.shape, &mut scratch, &mut out);
                    assert_eq!(bits(&out), bits(&self.out[span]), "token {token} of {:?}", self.starts);
                }
            }
        }
    }

    pub(crate) fn reference(q: &[f64], k: &[f64], v: &[f64], starts: &[usize], shape: AttentionShape) -> Vec<f64> {
        let AttentionShape { query_heads, kv_heads, head_dim, .. } = shape;
        let mut out = vec![0.0; q.len()];
        for pair in starts.windows(2) {
            for token in pair[0]..pair[1] {
                for head in 0..query_heads {
                    let at = (token * query_heads + head) * head_dim;
                    let kv = |t: usize| (t * kv_heads + head * kv_heads / query_heads) * head_dim;
                    let score = |t: usize| {
                        let product: f64 = (0..head_dim).map(|d| q[at + d] * k[kv(t) + d]).sum();
                        (product / (head_dim as f64).sqrt()).exp()
                    };
                    // The mask of transformers: key > query - window.
                    let hidden = shape.window.map_or(0, |window| (token - pair[0] + 1).saturating_sub(window));
                    let scores: Vec<f64> = (pair[0] + hidden..=token).map(score).collect();
                    let total: f64 = scores.iter().sum();
                    for (t, score) in (pair[0] + hidden..).zip(&scores) {
                        for d in 0..head_dim {
                            out[at + d] += score / total * v[kv(t) + d];
                        }
                    }
                }
            }
        }
        out
    }

    #[test]
    fn packed_rows_are_those_of_the_cache() {
        for (kv_heads, group, head_dim) in [(2, 2, 64), (1, 1, 16), (2, 7, 8), (1, 3, 33), (3, 4, 5), (1, 6, 128)] {
            let packed = Packed::new(shape(kv_heads, group, head_dim), &[1, 5, 70, 1, 33, 4, 0, 32]);
            for room in [0, 1, 100] {
                packed.check_against_cache(room);
            }
        }
        Packed::new(shape(1, 2, 16), &[1000]).check_against_cache(24);
        for window in [1, 2, 3, 5, 31, 32, 33, 64, 100] {
            Packed::new(within(window, shape(2, 3, 33)), &[1, 5, 70, 1, 33, 4, 0, 165]).check_against_cache(1);
        }
    }

    #[test]
    fn a_window_that_holds_everything_changes_no_bit() {
        let all = Packed::new(shape(2, 2, 20), &[1, 90, 7]);
        for window in [90, 91, 1000] {
            assert_eq!(bits(&Packed::new(within(window, all.shape), &[1, 90, 7]).out), bits(&all.out));
        }
        assert_ne!(bits(&Packed::new(within(89, all.shape), &[1, 90, 7]).out), bits(&all.out));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn packed_rows_are_those_of_the_cache_for_any_lengths(
            lengths in prop::collection::vec(0usize..50, 1..6),
            kv_heads in 1usize..3,
            group in 1usize..6,
            head_dim in 1usize..70,
            window in prop::option::of(1usize..60),
        ) {
            let shape = AttentionShape { window, ..shape(kv_heads, group, head_dim) };
            Packed::new(shape, &lengths).check_against_cache(3);
        }
    }

    #[test]
    fn a_sequence_does_not_see_what_else_is_packed() {
        let all = Packed::new(shape(2, 2, 24), &[40, 1, 19, 77]);
        for pair in all.starts.windows(2) {
            let queries = pair[0] * all.q_width()..pair[1] * all.q_width();
            let keys = pair[0] * all.kv_width()..pair[1] * all.kv_width();
            let mut out = vec![f32::NAN; queries.len()];
            let starts = [0, pair[1] - pair[0]];
            attention(&all.q[queries.clone()], &all.k[keys.clone()], &all.v[keys], &starts, all.shape, &mut out);
            assert_eq!(bits(&out), bits(&all.out[queries]));
        }
    }

    #[test]
    fn agrees_with_the_formula() {
        for (kv_heads, group, head_dim, window) in
            [(2, 2, 64, None), (1, 5, 9, None), (1, 2, 16, Some(1)), (2, 2, 9, Some(7)), (1, 1, 8, Some(40))]
        {
            let shape = AttentionShape { window, ..shape(kv_heads, group, head_dim) };
            let packed = Packed::new(shape, &[1, 30, 101]);
            let wide = crate::testing::wide;
            let expected =
                reference(&wide(&packed.q), &wide(&packed.k), &wide(&packed.v), &packed.starts, packed.shape);
            assert_close(&packed.out, &expected, 2e-6);
        }
    }

    #[test]
    fn what_comes_later_does_not_reach_back_even_when_it_is_nan() {
        let clean = Packed::new(shape(1, 2, 16), &[50]);
        let (mut k, mut v) = (clean.k.clone(), clean.v.clone());
        k[30 * 16..31 * 16].fill(f32::NAN);
        v[30 * 16..31 * 16].fill(f32::INFINITY);
        let mut out = clean.out.clone();
        attention(&clean.q, &k, &v, &clean.starts, clean.shape, &mut out);
        assert_eq!(bits(&out[..30 * 32]), bits(&clean.out[..30 * 32]));
        assert!(out[30 * 32..].iter().all(|x| x.is_nan()));
    }

    #[test]
    fn what_a_window_has_left_behind_is_not_read() {
        let clean = Packed::new(within(10, shape(1, 2, 16)), &[60]);
        let (mut k, mut v) = (clean.k.clone(), clean.v.clone());
        k[20 * 16..21 * 16].fill(f32::NAN);
        v[20 * 16..21 * 16].fill(f32::INFINITY);
        let mut out = clean.out.clone();
        attention(&clean.q, &k, &v, &clean.starts, clean.shape, &mut out);
        for (token, (out, clean)) in out.chunks(32).zip(clean.out.chunks(32)).enumerate() {
            match token {
                20..30 => assert!(out.iter().all(|x| x.is_nan()), "{token}"),
                _ => assert_eq!(bits(out), bits(clean), "{token}"),
            }
        }
    }

    #[test]
    fn levels_agree() {
        assert_levels_agree(|| Packed::new(shape(2, 3, 20), &[37, 5]).out);
        assert_levels_agree(|| Packed::new(within(6, shape(2, 3, 20)), &[37, 5]).out);
    }

    #[test]
    #[should_panic(expected = "a window of 0 keys")]
    fn a_window_sees_its_own_position() {
        attention(&[], &[], &[], &[0], within(0, shape(1, 1, 1)), &mut []);
    }

    #[test]
    #[should_panic(expected = "starts begin at 0 and rise")]
    fn starts_that_fall_are_refused() {
        attention(&[0.0; 2], &[0.0; 2], &[0.0; 2], &[0, 3, 2], shape(1, 1, 1), &mut [0.0; 2]);
    }
}
