//! Normalisation of rows to mean 0 and variance 1, with a gain and a shift a column.

use crate::level::dispatch;
use crate::reduce::{dot, sum};

#[inline(always)]
fn forward_body<const FMA: bool>(x: &[f32], weight: &[f32], bias: &[f32], eps: f32, out: &mut [f32]) {
    let width = weight.len();
    let bias = &bias[..width];
    for (x, out) in x.chunks_exact(width).zip(out.chunks_exact_mut(width)) {
        let mean = sum(x) / width as f32;
        // Two passes: the variance of what is left loses no digits to a large mean.
        for i in 0..width {
            out[i] = x[i] - mean;
        }
        let scale = 1.0 / (dot::<FMA>(out, out) / width as f32 + eps).sqrt();
        for i in 0..width {
            out[i] = out[i] * scale * weight[i] + bias[i];
        }
    }
}

dispatch! { fn forward(x: &[f32], weight: &[f32], bias: &[f32], eps: f32, out: &mut [f32]) = forward_body }

/// `out = (x - mean(x)) / sqrt(mean((x - mean(x))^2) + eps) * weight + bias` for each row of x and out
/// `[rows, width]`; weight and bias `[width]`.
pub fn layer_norm(x: &[f32], weight: &[f32], bias: &[f32], eps: f32, out: &mut [f32]) {
    let width = weight.len();
    assert!(
        width > 0 && bias.len() == width && x.len().is_multiple_of(width) && out.len() == x.len(),
        "layer_norm: rows of {width}, a bias of {}, slices of {} and {}",
        bias.len(),
        x.len(),
        out.len()
    );
    forward(x, weight, bias, eps, out);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_close, assert_levels_agree, bits, numbers};

    fn reference(x: &[f32], weight: &[f32], bias: &[f32], eps: f64) -> Vec<f64> {
        let width = weight.len() as f64;
        let row = |x: &[f32]| {
            let mean = x.iter().map(|&x| f64::from(x)).sum::<f64>() / width;
            let variance = x.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum::<f64>() / width;
            let scale = 1.0 / (variance + eps).sqrt();
            let all = x.iter().zip(weight).zip(bias);
            all.map(|((&x, &w), &b)| (f64::from(x) - mean) * scale * f64::from(w) + f64::from(b)).collect::<Vec<_>>()
        };
        x.chunks(weight.len()).flat_map(row).collect()
    }

    #[test]
    fn rows_agree_with_the_formula() {
        for width in [1, 3, 16, 48, 97] {
            let (weight, bias) = (numbers(2, width), numbers(3, width));
            for (offset, tolerance) in [(0.0, 2e-6), (300.0, 1e-3)] {
                let x: Vec<f32> = numbers(1, 5 * width).iter().map(|x| x * 4.0 + offset).collect();
                let mut out = vec![f32::NAN; x.len()];
                layer_norm(&x, &weight, &bias, 1e-5, &mut out);
                assert_close(&out, &reference(&x, &weight, &bias, 1e-5), tolerance);
            }
        }
    }

    #[test]
    fn a_row_stands_alone_and_equal_elements_become_the_bias() {
        let (weight, bias, x) = (numbers(2, 40), numbers(3, 40), numbers(1, 200));
        let (mut all, mut one) = (vec![0.0; 200], vec![0.0; 40]);
        layer_norm(&x, &weight, &bias, 1e-12, &mut all);
        layer_norm(&x[80..120], &weight, &bias, 1e-12, &mut one);
        assert_eq!(bits(&all[80..120]), bits(&one));
        layer_norm(&[0.5; 40], &weight, &bias, 1e-12, &mut one);
        assert_eq!(one, bias);
    }

    #[test]
    fn levels_agree() {
        let (weight, bias, x) = (numbers(2, 50), numbers(3, 50), numbers(1, 150));
        assert_levels_agree(|| {
            let mut out = vec![0.0; 150];
            layer_norm(&x, &weight, &bias, 1e-5, &mut out);
            out
        });
    }

    #[test]
    #[should_panic(expected = "a bias of 3")]
    fn lengths_are_checked() {
        layer_norm(&[0.0; 8], &[1.0; 4], &[0.0; 3], 1e-5, &mut [0.0; 8]);
    }
}
