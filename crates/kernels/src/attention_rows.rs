//! A few query rows against the keys and values of one head: what a decoded row and a packed one both run.
//!
//! Keys are transposed, so sixteen of them are scored by one instruction and no sum runs across a vector; values are
//! added in the order of their keys.

use crate::exp::exp_lane;
use crate::level::fma;
use crate::reduce::{LANES, max, sum};

/// Keys whose scores are taken at once; transposed keys are padded to whole blocks.
pub(crate) const KEY_BLOCK: usize = 32;

/// One head's keys and values: keys `[head_dim][key_stride]`, values `value_stride` apart.
#[derive(Clone, Copy)]
pub(crate) struct Head<'a> {
    pub(crate) keys: &'a [f32],
    pub(crate) key_stride: usize,
    pub(crate) values: &'a [f32],
    pub(crate) value_stride: usize,
}

impl Head<'_> {
    /// The keys and values from `first` on. The stride of the keys has to leave a block behind the last key.
    #[inline(always)]
    pub(crate) fn from(self, first: usize) -> Self {
        Head { keys: &self.keys[first..], values: &self.values[first * self.value_stride..], ..self }
    }
}

/// The distance between transposed keys for `positions` of them: whole blocks, and one more where a window may begin
/// within a block.
pub(crate) fn key_stride(positions: usize, window: Option<usize>) -> usize {
    positions.next_multiple_of(KEY_BLOCK) + if window.is_some() { KEY_BLOCK } else { 0 }
}

/// The scratch that `rows` takes for so many rows over at most `keys` keys.
pub(crate) fn scratch_len(rows: usize, keys: usize) -> usize {
    rows * (keys.next_multiple_of(KEY_BLOCK) + LANES)
}

/// `scores[r][t] = sum_d q[r][d] * keys[d][t]`, a chain over `d`, for the `B` keys from `from`.
#[inline(always)]
fn scores<const FMA: bool, const R: usize, const B: usize>(
    q: [&[f32]; R],
    head: Head,
    from: usize,
    scores: &mut [f32],
    stride: usize,
) {
    let head_dim = q[0].len();
    let q = q.map(|q| &q[..head_dim]);
    assert!((head_dim - 1) * head.key_stride + from + B <= head.keys.len());
    let mut sums = [[0.0f32; B]; R];
    for d in 0..head_dim {
        // A copy, so that keys stay in registers over the rows. SAFETY: the block of the last `d` was
        // asserted to end within the keys.
        let keys = unsafe { *head.keys.as_ptr().add(d * head.key_stride + from).cast::<[f32; B]>() };
        for r in 0..R {
            // SAFETY: every row of `q` was cut to `head_dim`.
            let q = unsafe { *q[r].get_unchecked(d) };
            for i in 0..B {
                sums[r][i] = fma::<FMA>(q, keys[i], sums[r][i]);
            }
        }
    }
    for r in 0..R {
        scores[r * stride + from..][..B].copy_from_slice(&sums[r]);
    }
}

/// Turns `count` scores into unnormalised probabilities and returns their sum. What follows them up to a whole vector
/// is made 0, which changes no sum and leaves no rest to a scalar loop.
#[inline(always)]
fn softmax<const FMA: bool>(scores: &mut [f32], count: usize, scale: f32) -> f32 {
    let scores = &mut scores[..count.next_multiple_of(LANES)];
    scores[count..].fill(f32::NEG_INFINITY);
    let max = max(scores);
    for chunk in scores.as_chunks_mut::<LANES>().0 {
        for score in chunk {
            *score = exp_lane::<FMA>((*score - max) * scale);
        }
    }
    sum(scores)
}

/// `out[r][d] = sum_t weights[r][t] * values[t][d]` for `W` elements from `d`: a chain over the keys that row `r`
/// sees (as in [`rows`]), in their order.
#[inline(always)]
#[allow(clippy::too_many_arguments)]
fn mix<const FMA: bool, const R: usize, const SLIDE: bool, const W: usize>(
    weights: &[f32],
    stride: usize,
    head: Head,
    d: usize,
    count: usize,
    extra: usize,
    totals: [f32; R],
    out: &mut [&mut [f32]; R],
) {
    let mut sums = [[0.0f32; W]; R];
    let values = &head.values[d..];
    let weights: [&[f32]; R] = std::array::from_fn(|r| &weights[r * stride..][..count + extra * r]);
    // From here to `count` all rows see the keys and share the loads.
    let shared = if SLIDE { R - 1 } else { 0 };
    if SLIDE {
        for r in 0..R {
            for t in r..shared {
                let values: &[f32; W] = values[t * head.value_stride..].first_chunk().expect("a row of values");
                for i in 0..W {
                    sums[r][i] = fma::<FMA>(weights[r][t], values[i], sums[r][i]);
                }
            }
        }
    }
    assert!(count > 0 && (count - 1) * head.value_stride + W <= values.len());
    for t in shared..count {
        // SAFETY: the last of the `count` rows was asserted to end within the values.
        let values = unsafe { *values.as_ptr().add(t * head.value_stride).cast::<[f32; W]>() };
        for r in 0..R {
            // SAFETY: every row of weights was cut to `count` or more.
            let weight = unsafe { *weights[r].get_unchecked(t) };
            for i in 0..W {
                sums[r][i] = fma::<FMA>(weight, values[i], sums[r][i]);
            }
        }
    }
    for r in 0..R {
        for t in count..count + extra * r {
            let values: &[f32; W] = values[t * head.value_stride..].first_chunk().expect("a row of values");
            for i in 0..W {
                sums[r][i] = fma::<FMA>(weights[r][t], values[i], sums[r][i]);
            }
        }
        let out: &mut [f32; W] = out[r][d..].first_chunk_mut().expect("a row of the output");
        let inverse = 1.0 / totals[r];
        for i in 0..W {
            out[i] = sums[r][i] * inverse;
        }
    }
}

/// `R` query rows against one head: row `r` sees the first `count + extra * r` keys or, where a window slides with the
/// rows (`SLIDE`; then `extra` is 1 and `count >= R`), all of these but the first `r`.
#[inline(always)]
pub(crate) fn rows<const FMA: bool, const R: usize, const SLIDE: bool>(
    q: [&[f32]; R],
    head: Head,
    count: usize,
    extra: usize,
    scale: f32,
    scratch: &mut [f32],
    mut out: [&mut [f32]; R],
) {
    let longest = count + extra * (R - 1);
    let blocks = longest.next_multiple_of(KEY_BLOCK);
    // A row that begins later may fill up to a vector behind the last block.
    let stride = if SLIDE { blocks + LANES } else { blocks };
    all_scores::<FMA, R>(q, head, blocks, scratch, stride);
    let mut totals = [0.0; R];
    for r in 0..R {
        let skipped = if SLIDE { r } else { 0 };
        totals[r] = softmax::<FMA>(&mut scratch[r * stride + skipped..], count + extra * r - skipped, scale);
    }
    mix_all::<FMA, R, SLIDE>(scratch, stride, head, q[0].len(), count, extra, totals, &mut out);
}

/// `R` query rows against the same `count` keys of one head, with `bias[r][t]` added to the scaled score of key `t`.
#[inline(always)]
pub(crate) fn biased_rows<const FMA: bool, const R: usize>(
    q: [&[f32]; R],
    head: Head,
    count: usize,
    bias: [&[f32]; R],
    scale: f32,
    scratch: &mut [f32],
    mut out: [&mut [f32]; R],
) {
    let stride = count.next_multiple_of(KEY_BLOCK);
    all_scores::<FMA, R>(q, head, stride, scratch, stride);
    let mut totals = [0.0; R];
    for r in 0..R {
        let scores = &mut scratch[r * stride..][..stride];
        for (score, bias) in scores.iter_mut().zip(bias[r]) {
            *score = fma::<FMA>(*score, scale, *bias);
        }
        totals[r] = softmax::<FMA>(scores, count, 1.0);
    }
    mix_all::<FMA, R, false>(scratch, stride, head, q[0].len(), count, 0, totals, &mut out);
}

/// The scores of `R` rows for all keys in whole blocks, row `r` from `r * stride`.
#[inline(always)]
fn all_scores<const FMA: bool, const R: usize>(
    q: [&[f32]; R],
    head: Head,
    blocks: usize,
    scratch: &mut [f32],
    stride: usize,
) {
    // Few rows take wider blocks: the sums have to outnumber the cycles that one addition takes.
    let mut from = 0;
    while R <= 2 && from + 2 * KEY_BLOCK <= blocks {
        scores::<FMA, R, { 2 * KEY_BLOCK }>(q, head, from, scratch, stride);
        from += 2 * KEY_BLOCK;
    }
    while from < blocks {
        scores::<FMA, R, KEY_BLOCK>(q, head, from, scratch, stride);
        from += KEY_BLOCK;
    }
}

/// [`mix`] for all elements of the rows.
#[inline(always)]
#[allow(clippy::too_many_arguments)]
fn mix_all<const FMA: bool, const R: usize, const SLIDE: bool>(
    weights: &[f32],
    stride: usize,
    head: Head,
    head_dim: usize,
    count: usize,
    extra: usize,
    totals: [f32; R],
    out: &mut [&mut [f32]; R],
) {
    let mut d = 0;
    while d + 32 <= head_dim {
        mix::<FMA, R, SLIDE, 32>(weights, stride, head, d, count, extra, totals, out);
        d += 32;
    }
    while d + 8 <= head_dim {
        mix::<FMA, R, SLIDE, 8>(weights, stride, head, d, count, extra, totals, out);
        d += 8;
    }
    while d < head_dim {
        mix::<FMA, R, SLIDE, 1>(weights, stride, head, d, count, extra, totals, out);
        d += 1;
    }
}
