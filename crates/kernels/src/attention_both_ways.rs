//! Attention in which every token sees its whole sequence, what follows it too: that of encoders.

use crate::attention_rows::{Head, biased_rows, key_stride, rows, scratch_len};
use crate::level::dispatch;
use crate::transpose::transpose;

/// The heads of an encoder's attention. Scores are scaled by `1 / sqrt(head_dim)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BothWaysShape {
    pub heads: usize,
    /// Width of a head.
    pub head_dim: usize,
}

/// What is added to a scaled score for the way from a query to its key.
#[derive(Clone, Copy, Debug)]
pub struct Distances<'a> {
    /// `[heads][2 reach - 1]`: head `h` adds number `reach - 1 + key - query` of its row.
    pub values: &'a [f32],
    /// No sequence is longer.
    pub reach: usize,
}

/// Rows taken at once: they share the loads of keys and values.
const ROWS: usize = 4;

#[inline(always)]
fn sequence_body<const FMA: bool>(
    q: &[f32],
    k: &[f32],
    v: &[f32],
    shape: BothWaysShape,
    distances: Option<Distances>,
    scratch: &mut [f32],
    out: &mut [f32],
) {
    let BothWaysShape { heads, head_dim } = shape;
    let width = heads * head_dim;
    let scale = (1.0 / (head_dim as f64).sqrt()) as f32;
    let tokens = q.len() / width;
    let key_stride = key_stride(tokens, None);
    let (keys, scratch) = scratch.split_at_mut(head_dim * key_stride);
    for h in 0..heads {
        let column = h * head_dim;
        transpose(&k[column..], tokens, head_dim, width, keys, key_stride);
        let head = Head { keys, key_stride, values: &v[column..], value_stride: width };
        let mut token = 0;
        while token < tokens {
            match distances {
                None if token + ROWS <= tokens => {
                    let q = std::array::from_fn(|r| &q[(token + r) * width + column..][..head_dim]);
                    let mut out = out[token * width..].chunks_mut(width);
                    let out = std::array::from_fn(|_| &mut out.next().expect("a row")[column..][..head_dim]);
                    rows::<FMA, ROWS, false>(q, head, tokens, 0, scale, scratch, out);
                    token += ROWS;
                }
                None => {
                    let out = &mut out[token * width + column..][..head_dim];
                    rows::<FMA, 1, false>(
                        [&q[token * width + column..][..head_dim]],
                        head,
                        tokens,
                        0,
                        scale,
                        scratch,
                        [out],
                    );
                    token += 1;
                }
                Some(Distances { values, reach }) if token + ROWS <= tokens => {
                    let q = std::array::from_fn(|r| &q[(token + r) * width + column..][..head_dim]);
                    let mut out = out[token * width..].chunks_mut(width);
                    let out = std::array::from_fn(|_| &mut out.next().expect("a row")[column..][..head_dim]);
                    let bias = |r| &values[h * (2 * reach - 1) + reach - 1 - (token + r)..][..tokens];
                    biased_rows::<FMA, ROWS>(q, head, tokens, std::array::from_fn(bias), scale, scratch, out);
                    token += ROWS;
                }
                Some(Distances { values, reach }) => {
                    let q = [&q[token * width + column..][..head_dim]];
                    let bias = [&values[h * (2 * reach - 1) + reach - 1 - token..][..tokens]];
                    let out = [&mut out[token * width + column..][..head_dim]];
                    biased_rows::<FMA, 1>(q, head, tokens, bias, scale, scratch, out);
                    token += 1;
                }
            }
        }
    }
}

dispatch! {
    fn sequence(q: &[f32], k: &[f32], v: &[f32], shape: BothWaysShape, distances: Option<Distances>, scratch: &mut [f32], out: &mut [f32])
        = sequence_body
}

/// For each head of each sequence `out = softmax(q K^T / sqrt(head_dim) + distances) V`: q, k, v and out
/// `[tokens, heads * head_dim]`, sequences end to end, sequence `s` the tokens `starts[s] .. starts[s + 1]`.
///
/// A row depends on its own sequence alone, bit for bit, whatever else is packed. Scores are chains over `head_dim`, values are
/// added in the order of their keys.
pub fn attention_both_ways(
    q: &[f32],
    k: &[f32],
    v: &[f32],
    starts: &[usize],
    shape: BothWaysShape,
    distances: Option<Distances>,
    out: &mut [f32],
) {
    let BothWaysShape { heads, head_dim } = shape;
    let width = heads * head_dim;
    let tokens = starts.last().copied().unwrap_or(0);
    assert!(
        width > 0 && starts.first() == Some(&0) && starts.is_sorted(),
        "attention_both_ways: {shape:?}, and starts begin at 0 and rise, these are {starts:?}"
    );
    assert!(
        [q.len(), k.len(), v.len(), out.len()].iter().all(|&len| len == tokens * width),
        "attention_both_ways: slices of {}, {}, {} and {} for {tokens} tokens of {heads} heads of {head_dim}",
        q.len(),
        k.len(),
        v.len(),
        out.len()
    );
    let longest = starts.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or(0);
    if let Some(Distances { values, reach }) = distances {
        assert!(
            reach >= longest.max(1) && values.len() == heads * (2 * reach - 1),
            "attention_both_ways: {} distances of {heads} heads that reach {reach}, for sequences of {longest}",
            values.len()
        );
    }
    let mut scratch = vec![0.0; head_dim * key_stride(longest, None) + scratch_len(ROWS, longest)];
    for pair in starts.windows(2).filter(|pair| pair[0] < pair[1]) {
        let own = pair[0] * width..pair[1] * width;
        sequence(&q[own.clone()], &k[own.clone()], &v[own.clone()], shape, distances, &mut scratch, &mut out[own]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_close, assert_levels_agree, bits, numbers};

    const SHAPE: BothWaysShape = BothWaysShape { heads: 3, head_dim: 12 };
    const WIDTH: usize = 36;

    fn reference(q: &[f32], k: &[f32], v: &[f32], distances: Option<Distances>) -> Vec<f64> {
        let tokens = q.len() / WIDTH;
        let mut out = vec![0.0; q.len()];
        for h in 0..SHAPE.heads {
            let at = |x: &[f32], t: usize, d: usize| f64::from(x[t * WIDTH + h * SHAPE.head_dim + d]);
            for i in 0..tokens {
                let score = |j: usize| {
                    let product: f64 = (0..SHAPE.head_dim).map(|d| at(q, i, d) * at(k, j, d)).sum();
                    let way = distances.map_or(0.0, |Distances { values, reach }| {
                        f64::from(values[h * (2 * reach - 1) + reach - 1 + j - i])
                    });
                    (product / (SHAPE.head_dim as f64).sqrt() + way).exp()
                };
                let weights: Vec<f64> = (0..tokens).map(score).collect();
                let total: f64 = weights.iter().sum();
                for d in 0..SHAPE.head_dim {
                    let sum: f64 = weights.iter().enumerate().map(|(j, w)| w * at(v, j, d)).sum();
                    out[i * WIDTH + h * SHAPE.head_dim + d] = sum / total;
                }
            }
        }
        out
    }

    #[test]
    fn rows_agree_with_the_formula_whatever_else_is_packed() {
        let lengths = [1, 5, 0, 32, 3, 70, 4];
        let mut starts = vec![0];
        starts.extend(lengths.iter().scan(0, |sum, length| {
            *sum += length;
            Some(*sum)
        }));
        let total: usize = lengths.iter().sum();
        let [q, k, v] = [1, 2, 3].map(|seed| numbers(seed, total * WIDTH));
        let q: Vec<f32> = q.iter().map(|x| x * 4.0).collect();
        let values: Vec<f32> = numbers(4, 3 * (2 * 75 - 1)).iter().map(|x| x * 3.0).collect();
        for distances in [None, Some(Distances { values: &values, reach: 75 })] {
            let mut out = vec![f32::NAN; q.len()];
            attention_both_ways(&q, &k, &v, &starts, SHAPE, distances, &mut out);
            for pair in starts.windows(2) {
                let own = pair[0] * WIDTH..pair[1] * WIDTH;
                let (q, k, v) = (&q[own.clone()], &k[own.clone()], &v[own.clone()]);
                assert_close(&out[own.clone()], &reference(q, k, v, distances), 2e-6);
                let mut alone = vec![f32::NAN; q.len()];
                attention_both_ways(q, k, v, &[0, pair[1] - pair[0]], SHAPE, distances, &mut alone);
                assert_eq!(bits(&alone), bits(&out[own]));
            }
        }
    }

    #[test]
    fn levels_agree() {
        let [q, k, v] = [1, 2, 3].map(|seed| numbers(seed, 37 * WIDTH));
        let values = numbers(4, 3 * 79);
        for distances in [None, Some(Distances { values: &values, reach: 40 })] {
            assert_levels_agree(|| {
                let mut out = vec![0.0; q.len()];
                attention_both_ways(&q, &k, &v, &[0, 37], SHAPE, distances, &mut out);
                out
            });
        }
    }

    #[test]
    #[should_panic(expected = "that reach 2, for sequences of 3")]
    fn distances_reach_the_ends() {
        let (x, mut out) = ([0.0; 3 * WIDTH], [0.0; 3 * WIDTH]);
        let distances = Some(Distances { values: &[0.0; 9], reach: 2 });
        attention_both_ways(&x, &x, &x, &[0, 3], SHAPE, distances, &mut out);
    }
}
