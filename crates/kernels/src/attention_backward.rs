//! The gradients of packed attention: probabilities are recomputed by blocks of rows, the products go to `gemm`.

use crate::attention::AttentionShape;
use crate::exp::exp_lane;
use crate::level::dispatch;
use crate::matrix::{View, multiply};
use crate::reduce::{dot, max, sum};

/// Query rows whose probabilities are held at once.
const ROW_BLOCK: usize = 64;

/// For rows `from ..` of `[rows, stride]`: scores become probabilities, and the gradient of the probabilities becomes
/// that of the scores before scaling; both are 0 past the diagonal.
#[inline(always)]
fn rows_body<const FMA: bool>(p: &mut [f32], d_p: &mut [f32], stride: usize, from: usize, scale: f32) {
    for (r, (p, d_p)) in p.chunks_exact_mut(stride).zip(d_p.chunks_exact_mut(stride)).enumerate() {
        let (p, p_rest) = p.split_at_mut(from + r + 1);
        let (d_p, d_p_rest) = d_p.split_at_mut(from + r + 1);
        p_rest.fill(0.0);
        d_p_rest.fill(0.0);
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

dispatch! { fn rows(p: &mut [f32], d_p: &mut [f32], stride: usize, from: usize, scale: f32) = rows_body }

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
    let AttentionShape { query_heads, kv_heads, head_dim } = shape;
    let (q_width, kv_width, group) = (query_heads * head_dim, kv_heads * head_dim, query_heads / kv_heads);
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
            let keys = from + rows_here;
            for query_head in 0..query_heads {
                let at_q = (start + from) * q_width + query_head * head_dim;
                let at_k = start * kv_width + query_head / group * head_dim;
                let p = &mut p[..rows_here * keys];
                let d_p = &mut d_p[..rows_here * keys];
                let queries = View::rows(&q[at_q..], rows_here, head_dim, q_width);
                let d_outs = View::rows(&d_out[at_q..], rows_here, head_dim, q_width);
                let keys_view = View::rows(&k[at_k..], keys, head_dim, kv_width);
                multiply(p, keys, false, queries, keys_view.transposed());
                let values = View::rows(&v[at_k..], keys, head_dim, kv_width);
                multiply(d_p, keys, false, d_outs, values.transposed());
                rows(p, d_p, keys, from, shape.scale());
                let p = View::rows(p, rows_here, keys, keys);
                let d_s = View::rows(d_p, rows_here, keys, keys);
                multiply(&mut d_q[at_q..], q_width, false, d_s, keys_view);
                multiply(&mut d_k[at_k..], kv_width, true, d_s.transposed(), queries);
                multiply(&mut d_v[at_k..], kv_width, true, p.transposed(), d_outs);
            }
        }
    }
}
