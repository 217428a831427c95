//! The gradients of packed attention: probabilities are recomputed by blocks of rows, the products go to `gemm`.

use std::ops::Range;

use crate::attention::AttentionShape;
use crate::exp::exp_lane;
use crate::level::dispatch;
use crate::matrix::{View, multiply};
use crate::reduce::{dot, max, sum};

/// Query rows whose probabilities are held at once.
const ROW_BLOCK: usize = 64;

/// For the queries from position `from` over the keys from `base`, `[rows, stride]`: scores become probabilities, and the
/// gradient of the probabilities becomes that of the scores before scaling; both are 0 for keys that a query does not see.
#[inline(always)]
fn rows_body<const FMA: bool>(
    p: &mut [f32],
    d_p: &mut [f32],
    stride: usize,
    from: usize,
    base: usize,
    shape: AttentionShape,
) {
    let scale = shape.scale();
    for (r, (p, d_p)) in p.chunks_exact_mut(stride).zip(d_p.chunks_exact_mut(stride)).enumerate() {
        let position = from + r;
        let seen = shape.first_key(position) - base..position + 1 - base;
        for row in [&mut *p, &mut *d_p] {
            row[..seen.start].fill(0.0);
            row[seen.end..].fill(0.0);
        }
        let (p, d_p) = (&mut p[seen.clone()], &mut d_p[seen]);
        let largest = max(p);
        for p in p.iter_mut() {
            *p = exp_lane::<FMA>((*p - largest) * scale);
        }
        let inverse = 1.0 / sum(p);
        for p in p.iter_mut() {
            *p *= inverse;
        }
        let mean = dot::<FMA>(p, d_p);
        for (p, d_p) in p.iter().zip(d_p) {
            *d_p = *p * (*d_p - mean) * scale;
        }
    }
}

dispatch! {
    fn rows(p: &mut [f32], d_p: &mut [f32], stride: usize, from: usize, base: usize, shape: AttentionShape) = rows_body
}

/// The gradients of [`attention`](crate::attention()), overwriting d_q, d_k and d_v, shaped like q, k and v. The gradients
/// of a sequence depend on that sequence alone; probabilities are computed again, one block of rows at a time.
#[allow(clippy::too_many_arguments)]
pub fn attention_backward(
    q: &[f32],
    k: &[f32],
    v: &[f32],
    sequence_starts: &[usize],
    shape: AttentionShape,
    d_out: &[f32],
    d_q: &mut [f32],
    d_k: &mut [f32],
    d_v: &mut [f32],
) {
    shape.check_packed("attention_backward", q.len(), k.len(), v.len(), sequence_starts);
    assert!(
        d_out.len() == q.len() && d_q.len() == q.len() && d_k.len() == k.len() && d_v.len() == k.len(),
        "attention_backward: gradients of {}, {}, {} and {} for queries of {} and keys of {}",
        d_out.len(),
        d_q.len(),
        d_k.len(),
        d_v.len(),
        q.len(),
        k.len()
    );
    let kv_heads = 0..shape.kv_heads;
    attention_backward_of(kv_heads, q, k, v, sequence_starts, shape, d_out, Gradients { d_q, d_k, d_v });
}

/// Where the gradients of some heads go: d_q `[tokens, heads * group * head_dim]`, d_k and d_v
/// `[tokens, heads * head_dim]`.
pub(crate) struct Gradients<'a> {
    pub(crate) d_q: &'a mut [f32],
    pub(crate) d_k: &'a mut [f32],
    pub(crate) d_v: &'a mut [f32],
}

/// [`attention_backward`] for some heads of the keys and values, and the heads of the queries that read them.
#[allow(clippy::too_many_arguments)]
pub(crate) fn attention_backward_of(
    heads: Range<usize>,
    q: &[f32],
    k: &[f32],
    v: &[f32],
    sequence_starts: &[usize],
    shape: AttentionShape,
    d_out: &[f32],
    Gradients { d_q, d_k, d_v }: Gradients,
) {
    let AttentionShape { query_heads, kv_heads, head_dim, .. } = shape;
    let (q_width, kv_width, group) = (query_heads * head_dim, kv_heads * head_dim, query_heads / kv_heads);
    let (d_q_width, d_kv_width) = (heads.len() * group * head_dim, heads.len() * head_dim);
    d_q.fill(0.0);
    d_k.fill(0.0);
    d_v.fill(0.0);
    let longest = sequence_starts.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or(0);
    let size = ROW_BLOCK.min(longest) * longest;
    let mut scratch = vec![0.0; 2 * size];
    let (p, d_p) = scratch.split_at_mut(size);
    for pair in sequence_starts.windows(2) {
        let (start, tokens) = (pair[0], pair[1] - pair[0]);
        for from in (0..tokens).step_by(ROW_BLOCK) {
            let rows_here = ROW_BLOCK.min(tokens - from);
            // No query of the block sees a key before the first one's first.
            let base = shape.first_key(from);
            let keys = from + rows_here - base;
            for query_head in heads.start * group..heads.end * group {
                let at_q = (start + from) * q_width + query_head * head_dim;
                let at_k = (start + base) * kv_width + query_head / group * head_dim;
                let at_d_q = (start + from) * d_q_width + (query_head - heads.start * group) * head_dim;
                let at_d_k = (start + base) * d_kv_width + (query_head / group - heads.start) * head_dim;
                let p = &mut p[..rows_here * keys];
                let d_p = &mut d_p[..rows_here * keys];
                let queries = View::rows(&q[at_q..], rows_here, head_dim, q_width);
                let d_outs = View::rows(&d_out[at_q..], rows_here, head_dim, q_width);
                let keys_view = View::rows(&k[at_k..], keys, head_dim, kv_width);
                multiply(p, keys, false, queries, keys_view.transposed());
                let values = View::rows(&v[at_k..], keys, head_dim, kv_width);
                multiply(d_p, keys, false, d_outs, values.transposed());
                rows(p, d_p, keys, from, base, shape);
                let p = View::rows(p, rows_here, keys, keys);
                let d_s = View::rows(d_p, rows_here, keys, keys);
                multiply(&mut d_q[at_d_q..], d_q_width, false, d_s, keys_view);
                multiply(&mut d_k[at_d_k..], d_kv_width, true, d_s.transposed(), queries);
                multiply(&mut d_v[at_d_k..], d_kv_width, true, p.transposed(), d_outs);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attention::tests::{reference, shape, within};
    use crate::testing::{assert_close, bits, differences, dot, numbers, wide};

    #[test]
    fn agrees_with_differences() {
        let cases = [
            (shape(1, 1, 4), vec![0, 1]),
            (shape(2, 2, 6), vec![0, 1, 9, 14]),
            (shape(1, 3, 5), vec![0, 7, 7, 8]),
            (shape(1, 1, 3), vec![0, 70]),
            (within(1, shape(2, 1, 4)), vec![0, 9]),
            (within(3, shape(2, 2, 4)), vec![0, 1, 9, 14]),
            (within(20, shape(1, 1, 3)), vec![0, 70]),
            (within(66, shape(1, 1, 3)), vec![0, 70]),
        ];
        for (shape, starts) in cases {
            let AttentionShape { kv_heads, head_dim, .. } = shape;
            let tokens = starts[starts.len() - 1];
            let (q_size, k_size) = (tokens * shape.query_heads * head_dim, tokens * kv_heads * head_dim);
            let q: Vec<f32> = numbers(1, q_size).iter().map(|x| x * 3.0).collect();
            let (k, v, d_out) = (numbers(2, k_size), numbers(3, k_size), numbers(4, q_size));
            let (mut d_q, mut d_k, mut d_v) = (vec![f32::NAN; q_size], vec![f32::NAN; k_size], vec![f32::NAN; k_size]);
            attention_backward(&q, &k, &v, &starts, shape, &d_out, &mut d_q, &mut d_k, &mut d_v);
            let (wide_q, wide_k, wide_v) = (wide(&q), wide(&k), wide(&v));
            let loss = |q: &[f64], k: &[f64], v: &[f64]| dot(&reference(q, k, v, &starts, shape), &d_out);
            assert_close(&d_q, &differences(&q, |q| loss(q, &wide_k, &wide_v)), 5e-6);
            assert_close(&d_k, &differences(&k, |k| loss(&wide_q, k, &wide_v)), 5e-6);
            assert_close(&d_v, &differences(&v, |v| loss(&wide_q, &wide_k, v)), 5e-6);
        }
    }

    #[test]
    fn a_window_that_holds_everything_changes_no_bit() {
        let all = shape(2, 2, 8);
        let (q, k, v, d_out) = (numbers(1, 90 * 32), numbers(2, 90 * 16), numbers(3, 90 * 16), numbers(4, 90 * 32));
        let run = |shape| {
            let (mut d_q, mut d_k, mut d_v) = (vec![0.0; q.len()], vec![0.0; k.len()], vec![0.0; v.len()]);
            attention_backward(&q, &k, &v, &[0, 20, 90], shape, &d_out, &mut d_q, &mut d_k, &mut d_v);
            bits(&[d_q, d_k, d_v].concat())
        };
        assert_eq!(run(all), run(within(70, all)));
        assert_ne!(run(all), run(within(69, all)));
    }

    #[test]
    fn a_sequence_does_not_see_what_else_is_packed() {
        let shape = shape(2, 2, 16);
        let starts = [0, 90, 91, 130];
        let (q, k, v, d_out) = (numbers(1, 130 * 64), numbers(2, 130 * 32), numbers(3, 130 * 32), numbers(4, 130 * 64));
        let run = |from: usize, to: usize, starts: &[usize]| {
            let mut gradients = [vec![0.0; (to - from) * 64], vec![0.0; (to - from) * 32], vec![0.0; (to - from) * 32]];
            let [d_q, d_k, d_v] = &mut gradients;
            let (wide, narrow) = (from * 64..to * 64, from * 32..to * 32);
            let (q, k, v) = (&q[wide.clone()], &k[narrow.clone()], &v[narrow]);
            attention_backward(q, k, v, starts, shape, &d_out[wide], d_q, d_k, d_v);
            gradients
        };
        let all = run(0, 130, &starts);
        for pair in starts.windows(2) {
            let alone = run(pair[0], pair[1], &[0, pair[1] - pair[0]]);
            for (which, width) in [64, 32, 32].into_iter().enumerate() {
                assert_eq!(bits(&alone[which]), bits(&all[which][pair[0] * width..pair[1] * width]));
            }
        }
    }
}
