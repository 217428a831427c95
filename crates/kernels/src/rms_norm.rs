//! Root-mean-square normalisation of rows, whole or one head at a time.

use crate::level::dispatch;
use crate::reduce::dot;

pub(crate) fn check(name: &str, x: usize, weight: usize, others: &[usize]) -> usize {
    assert!(
        weight > 0 && x.is_multiple_of(weight) && others.iter().all(|&len| len == x),
        "{name}: rows of {weight} in slices of {x} and {others:?}"
    );
    x / weight
}

/// `1 / sqrt(mean(x^2) + eps)`.
#[inline(always)]
fn inverse_root_mean_square<const FMA: bool>(x: &[f32], eps: f32) -> f32 {
    1.0 / (dot::<FMA>(x, x) / x.len() as f32 + eps).sqrt()
}

#[inline(always)]
fn forward_body<const FMA: bool>(x: &[f32], weight: &[f32], eps: f32, out: &mut [f32]) {
    let width = weight.len();
    for (x, out) in x.chunks_exact(width).zip(out.chunks_exact_mut(width)) {
        let scale = inverse_root_mean_square::<FMA>(x, eps);
        for i in 0..width {
            out[i] = x[i] * scale * weight[i];
        }
    }
}

/// The gradient of one row; returns the scale that it was normalised with.
#[inline(always)]
fn backward_of_row<const FMA: bool>(x: &[f32], weight: &[f32], eps: f32, d_out: &[f32], d_x: &mut [f32]) -> f32 {
    let width = weight.len();
    let scale = inverse_root_mean_square::<FMA>(x, eps);
    for i in 0..width {
        d_x[i] = d_out[i] * weight[i];
    }
    let shared = dot::<FMA>(d_x, x) * scale * scale / width as f32;
    for i in 0..width {
        d_x[i] = scale * (d_x[i] - x[i] * shared);
    }
    scale
}

#[inline(always)]
fn backward_body<const FMA: bool>(
    x: &[f32],
    weight: &[f32],
    eps: f32,
    d_out: &[f32],
    d_x: &mut [f32],
    d_weight: &mut [f32],
) {
    let width = weight.len();
    d_weight.fill(0.0);
    for ((x, d_out), d_x) in x.chunks_exact(width).zip(d_out.chunks_exact(width)).zip(d_x.chunks_exact_mut(width)) {
        let scale = backward_of_row::<FMA>(x, weight, eps, d_out, d_x);
        for i in 0..width {
            d_weight[i] += d_out[i] * (x[i] * scale);
        }
    }
}

#[inline(always)]
fn backward_of_rows_body<const FMA: bool>(
    x: &[f32],
    weight: &[f32],
    eps: f32,
    d_out: &[f32],
    d_x: &mut [f32],
    scales: &mut [f32],
) {
    let width = weight.len();
    let rows = x.chunks_exact(width).zip(d_out.chunks_exact(width)).zip(d_x.chunks_exact_mut(width));
    for (((x, d_out), d_x), scale) in rows.zip(scales) {
        *scale = backward_of_row::<FMA>(x, weight, eps, d_out, d_x);
    }
}

#[inline(always)]
fn backward_of_weight_body<const FMA: bool>(
    x: &[f32],
    d_out: &[f32],
    scales: &[f32],
    width: usize,
    from: usize,
    d_weight: &mut [f32],
) {
    d_weight.fill(0.0);
    for ((x, d_out), scale) in x.chunks_exact(width).zip(d_out.chunks_exact(width)).zip(scales) {
        let (x, d_out) = (&x[from..][..d_weight.len()], &d_out[from..][..d_weight.len()]);
        for i in 0..d_weight.len() {
            d_weight[i] += d_out[i] * (x[i] * scale);
        }
    }
}

dispatch! { fn forward(x: &[f32], weight: &[f32], eps: f32, out: &mut [f32]) = forward_body }
dispatch! {
    fn backward(x: &[f32], weight: &[f32], eps: f32, d_out: &[f32], d_x: &mut [f32], d_weight: &mut [f32]) = backward_body
}

dispatch! {
    /// The rows' part of [`rms_norm_backward`]: d_x, and for each row the scale that it was normalised with.
    pub(crate) fn backward_of_rows(x: &[f32], weight: &[f32], eps: f32, d_out: &[f32], d_x: &mut [f32], scales: &mut [f32])
        = backward_of_rows_body
}
dispatch! {
    /// The weight's part of [`rms_norm_backward`] for the columns from `from`, rows in order.
    pub(crate) fn backward_of_weight(
        x: &[f32], d_out: &[f32], scales: &[f32], width: usize, from: usize, d_weight: &mut [f32],
    ) = backward_of_weight_body
}

/// `out = x / sqrt(mean(x^2) + eps) * weight` for each row: x and out `[rows, width]`, weight `[width]`. With the
/// width of a head it normalises each head of each token by itself.
pub fn rms_norm(x: &[f32], weight: &[f32], eps: f32, out: &mut [f32]) {
    check("rms_norm", x.len(), weight.len(), &[out.len()]);
    forward(x, weight, eps, out);
}

/// The gradients of [`rms_norm`], overwriting d_x `[rows, width]` and d_weight `[width]` (rows added in order). With
/// `s = 1 / sqrt(mean(x^2) + eps)` and `g = d_out * weight`: `d_x = s * (g - x * s^2 * mean(g * x))`.
pub fn rms_norm_backward(x: &[f32], weight: &[f32], eps: f32, d_out: &[f32], d_x: &mut [f32], d_weight: &mut [f32]) {
    check("rms_norm_backward", x.len(), weight.len(), &[d_out.len(), d_x.len()]);
    assert_eq!(d_weight.len(), weight.len(), "rms_norm_backward: d_weight for a weight of {}", weight.len());
    backward(x, weight, eps, d_out, d_x, d_weight);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_close, assert_levels_agree, bits, differences, dot, numbers, wide};

    fn reference(x: &[f64], weight: &[f64], eps: f64) -> Vec<f64> {
        let width = weight.len();
        x.chunks(width)
            .flat_map(|row| {
                let scale = (row.iter().map(|x| x * x).sum::<f64>() / width as f64 + eps).sqrt();
                row.iter().zip(weight).map(move |(x, w)| x / scale * w).collect::<Vec<_>>()
            })
            .collect()
    }

    #[test]
    fn forward_and_backward_agree_with_the_formula() {
        for (rows, width) in [(1, 1), (1, 16), (3, 7), (2, 33), (5, 64)] {
            let (x, weight, d_out) = (numbers(1, rows * width), numbers(2, width), numbers(3, rows * width));
            let eps = 1e-3;
            let mut out = vec![f32::NAN; x.len()];
            rms_norm(&x, &weight, eps, &mut out);
            assert_close(&out, &reference(&wide(&x), &wide(&weight), f64::from(eps)), 1e-6);
            let (mut d_x, mut d_weight) = (vec![f32::NAN; x.len()], vec![f32::NAN; width]);
            rms_norm_backward(&x, &weight, eps, &d_out, &mut d_x, &mut d_weight);
            let loss_x = |x: &[f64]| dot(&reference(x, &wide(&weight), f64::from(eps)), &d_out);
            assert_close(&d_x, &differences(&x, loss_x), 5e-6);
            let loss_weight = |weight: &[f64]| dot(&reference(&wide(&x), weight, f64::from(eps)), &d_out);
            assert_close(&d_weight, &differences(&weight, loss_weight), 5e-6);
        }
    }

    #[test]
    fn a_row_does_not_see_its_neighbours() {
        let (x, weight) = (numbers(1, 40 * 48), numbers(2, 48));
        let mut all = vec![0.0; x.len()];
        rms_norm(&x, &weight, 1e-6, &mut all);
        for (row, expected) in x.chunks(48).zip(all.chunks(48)) {
            let mut alone = [0.0; 48];
            rms_norm(row, &weight, 1e-6, &mut alone);
            assert_eq!(bits(&alone), bits(expected));
        }
    }

    #[test]
    fn levels_agree() {
        let (x, weight, d_out) = (numbers(1, 8 * 50), numbers(2, 50), numbers(3, 8 * 50));
        assert_levels_agree(|| {
            let mut out = vec![0.0; 2 * x.len() + 50];
            let (forward, rest) = out.split_at_mut(x.len());
            let (d_x, d_weight) = rest.split_at_mut(x.len());
            rms_norm(&x, &weight, 1e-6, forward);
            rms_norm_backward(&x, &weight, 1e-6, &d_out, d_x, d_weight);
            out
        });
    }
}
