//! The gradients of packed attention: probabilities are recomputed by blocks of rows, the products go to `gemm`.

use std::ops::Range;

use crate::attention::AttentionShape;
use crate::exp::exp_lane;
use crate::level::dispatch;
use crate::matrix::{View, multiply};
use crate::reduce::{dot, max, sum};
use crate::sequences::{Joined, Sequences};

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
/// of a sequence depend on that sequence alone, but for what others that go on from it add to its keys and values, in their
/// order; probabilities are computed again, one block of rows at a time.
#[allow(clippy::too_many_arguments)]
pub fn attention_backward<'a>(
    q: &[f32],
    k: &[f32],
    v: &[f32],
    sequences: impl Into<Sequences<'a>>,
    shape: AttentionShape,
    d_out: &[f32],
    d_q: &mut [f32],
    d_k: &mut [f32],
    d_v: &mut [f32],
) {
    let sequences = sequences.into();
    shape.check_packed("attention_backward", q.len(), k.len(), v.len(), sequences);
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
    attention_backward_of(kv_heads, q, k, v, sequences, shape, d_out, Gradients { d_q, d_k, d_v });
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
    sequences: Sequences,
    shape: AttentionShape,
    d_out: &[f32],
    Gradients { d_q, d_k, d_v }: Gradients,
) {
    let AttentionShape { query_heads, kv_heads, head_dim, .. } = shape;
    let (q_width, kv_width) = (query_heads * head_dim, kv_heads * head_dim);
    let (d_q_width, d_kv_width) = (heads.len() * query_heads / kv_heads * head_dim, heads.len() * head_dim);
    d_q.fill(0.0);
    d_k.fill(0.0);
    d_v.fill(0.0);
    let most = (0..sequences.count()).map(|s| sequences.own(s).len()).max().unwrap_or(0);
    let mut scratch = vec![0.0; 2 * ROW_BLOCK.min(most) * sequences.longest()];
    let (mut joined_k, mut joined_v) = (Joined::default(), Joined::default());
    let (mut d_joined_k, mut d_joined_v) = (Vec::new(), Vec::new());
    for s in 0..sequences.count() {
        let (before, own) = (sequences.before(s), sequences.own(s));
        let (wide, keys) = (own.start * q_width..own.end * q_width, own.start * kv_width..own.end * kv_width);
        let (q, d_out) = (&q[wide.clone()], &d_out[wide]);
        let d_q = &mut d_q[own.start * d_q_width..own.end * d_q_width];
        let d_own = own.start * d_kv_width..own.end * d_kv_width;
        let heads = heads.clone();
        if before.is_empty() {
            let (d_k, d_v) = (&mut d_k[d_own.clone()], &mut d_v[d_own]);
            let gradients = Gradients { d_q, d_k, d_v };
            of_sequence(heads, 0, q, &k[keys.clone()], &v[keys], shape, d_out, gradients, &mut scratch);
            continue;
        }
        let k = joined_k.of(k, &before, own.clone(), kv_width);
        let v = joined_v.of(v, &before, own.clone(), kv_width);
        let first = before.iter().map(Range::len).sum::<usize>();
        let d_len = (first + own.len()) * d_kv_width;
        for d in [&mut d_joined_k, &mut d_joined_v] {
            d.clear();
            d.resize(d_len, 0.0);
        }
        let gradients = Gradients { d_q, d_k: &mut d_joined_k, d_v: &mut d_joined_v };
        of_sequence(heads, first, q, k, v, shape, d_out, gradients, &mut scratch);
        for (d, d_joined) in [(&mut *d_k, &d_joined_k), (&mut *d_v, &d_joined_v)] {
            let (mut d_before, d_after) = d_joined.split_at(first * d_kv_width);
            for part in &before {
                let (more, rest) = d_before.split_at(part.len() * d_kv_width);
                for (d, more) in d[part.start * d_kv_width..].iter_mut().zip(more) {
                    *d += *more;
                }
                d_before = rest;
            }
            d[d_own.clone()].copy_from_slice(d_after);
        }
    }
}

/// Adds the gradients of one sequence, whose queries are those from position `first`; k and v `[first + queries, kv_width]`.
#[allow(clippy::too_many_arguments)]
fn of_sequence(
    heads: Range<usize>,
    first: usize,
    q: &[f32],
    k: &[f32],
    v: &[f32],
    shape: AttentionShape,
    d_out: &[f32],
    Gradients { d_q, d_k, d_v }: Gradients,
    scratch: &mut [f32],
) {
    let AttentionShape { query_heads, kv_heads, head_dim, .. } = shape;
    let (q_width, kv_width, group) = (query_heads * head_dim, kv_heads * head_dim, query_heads / kv_heads);
    let (d_q_width, d_kv_width) = (heads.len() * group * head_dim, heads.len() * head_dim);
    let queries = q.len() / q_width;
    let (p, d_p) = scratch.split_at_mut(scratch.len() / 2);
    for from in (0..queries).step_by(ROW_BLOCK) {
        let rows_here = ROW_BLOCK.min(queries - from);
        // No query of the block sees a key before the first one's first.
        let base = shape.first_key(first + from);
        let keys = first + from + rows_here - base;
        for query_head in heads.start * group..heads.end * group {
            let at_q = from * q_width + query_head * head_dim;
            let at_k = base * kv_width + query_head / group * head_dim;
            let at_d_q = from * d_q_width + (query_head - heads.start * group) * head_dim;
            let at_d_k = base * d_kv_width + (query_head / group - heads.start) * head_dim;
            let p = &mut p[..rows_here * keys];
            let d_p = &mut d_p[..rows_here * keys];
            let queries = View::rows(&q[at_q..], rows_here, head_dim, q_width);
            let d_outs = View::rows(&d_out[at_q..], rows_here, head_dim, q_width);
            let keys_view = View::rows(&k[at_k..], keys, head_dim, kv_width);
            multiply(p, keys, false, queries, keys_view.transposed());
            let values = View::rows(&v[at_k..], keys, head_dim, kv_width);
            multiply(d_p, keys, false, d_outs, values.transposed());
            rows(p, d_p, keys, first + from, base, shape);
            let p = View::rows(p, rows_here, keys, keys);
            let d_s = View::rows(d_p, rows_here, keys, keys);
            multiply(&mut d_q[at_d_q..], d_q_width, false, d_s, keys_view);
            multiply(&mut d_k[at_d_k..], d_kv_width, true, d_s.transposed(), queries);
            multiply(&mut d_v[at_d_k..], d_kv_width, true, p.transposed(), d_outs);
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

    /// The rows of `x` at the places of a sequence, those before its own first.
    fn whole(x: &[f32], sequences: Sequences, s: usize, width: usize) -> Vec<f32> {
        let rows = sequences.before(s).into_iter().flatten().chain(sequences.own(s));
        rows.flat_map(|row| x[row * width..][..width].to_vec()).collect()
    }

    /// What goes on from a sequence gives the numbers that it gives with that sequence copied before it: outputs to the bit, gradients
    /// added up.
    #[test]
    fn going_on_is_standing_behind_a_copy() {
        // The fourth goes on from the second, which goes on from the first.
        let (starts, after) = ([0, 70, 75, 75, 140, 145, 150], [None, Some(0), Some(0), Some(1), None, Some(4)]);
        let sequences = Sequences::new(&starts, &after);
        for shape in [shape(2, 2, 16), within(9, shape(1, 3, 8)), within(100, shape(1, 1, 5))] {
            let (wide, narrow) = (shape.query_heads * shape.head_dim, shape.kv_heads * shape.head_dim);
            let (q, d_out) = (numbers(1, 150 * wide), numbers(4, 150 * wide));
            let (k, v) = (numbers(2, 150 * narrow), numbers(3, 150 * narrow));
            let run = |q: &[f32], k: &[f32], v: &[f32], d_out: &[f32], sequences: Sequences| {
                let mut out = vec![f32::NAN; q.len()];
                crate::attention(q, k, v, sequences, shape, &mut out);
                let [mut d_q, mut d_k, mut d_v] = [q, k, v].map(|x| vec![f32::NAN; x.len()]);
                attention_backward(q, k, v, sequences, shape, d_out, &mut d_q, &mut d_k, &mut d_v);
                [out, d_q, d_k, d_v]
            };
            let shared = run(&q, &k, &v, &d_out, sequences);
            let mut sums = [vec![0.0f64; 150 * narrow], vec![0.0f64; 150 * narrow]];
            for s in 0..6 {
                let own = sequences.own(s);
                let before = sequences.length(s) - own.len();
                let mut d_out = whole(&d_out, sequences, s, wide);
                // The rows before its own have their derivatives where they stand.
                d_out[..before * wide].fill(0.0);
                let [q, k, v] =
                    [(&q, wide), (&k, narrow), (&v, narrow)].map(|(x, width)| whole(x, sequences, s, width));
                let alone = run(&q, &k, &v, &d_out, Sequences::from(&[0, before + own.len()]));
                for (shared, alone) in shared.iter().zip(&alone).take(2) {
                    let shared = &shared[own.start * wide..own.end * wide];
                    match before {
                        0 => assert_eq!(bits(shared), bits(alone)),
                        _ => assert_close(shared, &crate::testing::wide(&alone[before * wide..]), 1e-6),
                    }
                }
                assert_eq!(bits(&shared[0][own.start * wide..own.end * wide]), bits(&alone[0][before * wide..]));
                for (sums, alone) in sums.iter_mut().zip(&alone[2..]) {
                    let rows = sequences.before(s).into_iter().flatten().chain(own.clone());
                    for (row, alone) in rows.zip(alone.chunks(narrow)) {
                        sums[row * narrow..].iter_mut().zip(alone).for_each(|(sum, x)| *sum += f64::from(*x));
                    }
                }
            }
            for (shared, sums) in shared[2..].iter().zip(&sums) {
                assert_close(shared, sums, 2e-6);
            }
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
