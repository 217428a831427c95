//! AdamW as torch computes it.

use crate::level::dispatch;

/// The constants of one AdamW update.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamW {
    /// Learning rate.
    pub lr: f64,
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Added to the root of the second moment, after its bias correction.
    pub eps: f64,
    /// Decoupled weight decay.
    pub weight_decay: f64,
    /// The number of this update, counted from 1.
    pub step: u64,
}

#[derive(Clone, Copy)]
struct Constants {
    gradient_scale: f32,
    keep: f32,
    one_minus_beta1: f32,
    beta2: f32,
    one_minus_beta2: f32,
    eps: f32,
    step_size: f32,
    root_correction: f32,
}

#[inline(always)]
fn update_body<const FMA: bool>(
    weights: &mut [f32],
    gradient: &[f32],
    first: &mut [f32],
    second: &mut [f32],
    c: Constants,
) {
    for (((w, g), m), v) in weights.iter_mut().zip(gradient).zip(first).zip(second) {
        let g = *g * c.gradient_scale;
        *m += (g - *m) * c.one_minus_beta1;
        *v = *v * c.beta2 + c.one_minus_beta2 * g * g;
        let denominator = v.sqrt() / c.root_correction + c.eps;
        *w = *w * c.keep - c.step_size * *m / denominator;
    }
}

dispatch! {
    fn update(weights: &mut [f32], gradient: &[f32], first: &mut [f32], second: &mut [f32], c: Constants) = update_body
}

/// One update in place, with `g = gradient * gradient_scale`:
///
/// ```text
/// w *= 1 - lr * weight_decay
/// m  = beta1 * m + (1 - beta1) * g        v = beta2 * v + (1 - beta2) * g^2
/// w -= lr / (1 - beta1^step) * m / (sqrt(v) / sqrt(1 - beta2^step) + eps)
/// ```
///
/// Slices of one length; no fused operations, so every level gives the same bits.
pub fn adamw(
    weights: &mut [f32],
    gradient: &[f32],
    gradient_scale: f32,
    first: &mut [f32],
    second: &mut [f32],
    config: &AdamW,
) {
    let lengths = [gradient.len(), first.len(), second.len()];
    assert!(lengths.iter().all(|&len| len == weights.len()), "adamw: slices of {} and {lengths:?}", weights.len());
    assert!(config.step > 0, "adamw: steps are counted from 1");
    let power = |beta: f64| beta.powf(config.step as f64);
    let constants = Constants {
        gradient_scale,
        keep: (1.0 - config.lr * config.weight_decay) as f32,
        one_minus_beta1: (1.0 - config.beta1) as f32,
        beta2: config.beta2 as f32,
        one_minus_beta2: (1.0 - config.beta2) as f32,
        eps: config.eps as f32,
        step_size: (config.lr / (1.0 - power(config.beta1))) as f32,
        root_correction: (1.0 - power(config.beta2)).sqrt() as f32,
    };
    update(weights, gradient, first, second, constants);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::level::Level;
    use crate::level::tests::at_level;
    use crate::testing::{bits, numbers};

    const CONFIG: AdamW = AdamW { lr: 0.1, beta1: 0.9, beta2: 0.99, eps: 1e-2, weight_decay: 0.05, step: 1 };

    #[test]
    fn three_steps_by_hand() {
        // Weight, first and second moment after each step from weight 1 with gradients 0.5, -1 and 0.25, in f64.
        let expected = [
            [0.896_960_784_313_725_4, 0.05, 0.0025],
            [0.928_580_745_486_506_7, -0.055, 0.012_475],
            [0.937_412_041_077_461_9, -0.0245, 0.012_975_25],
        ];
        let (mut w, mut m, mut v) = (vec![1.0; 19], vec![0.0; 19], vec![0.0; 19]);
        for (step, (gradient, expected)) in [0.5, -1.0, 0.25].into_iter().zip(expected).enumerate() {
            // The scale halves a gradient that was summed twice.
            let gradient = vec![2.0 * gradient; 19];
            adamw(&mut w, &gradient, 0.5, &mut m, &mut v, &AdamW { step: step as u64 + 1, ..CONFIG });
            for (actual, expected) in [&w, &m, &v].into_iter().zip(expected) {
                assert!(actual.iter().all(|x| (f64::from(*x) - expected).abs() < 2e-7), "{actual:?} for {expected}");
            }
        }
    }

    #[test]
    fn a_constant_gradient_moves_by_the_learning_rate() {
        let config = AdamW { eps: 0.0, weight_decay: 0.0, ..CONFIG };
        let (mut w, mut m, mut v) = ([3.0], [0.0], [0.0]);
        for step in 1..=10 {
            adamw(&mut w, &[-7.0], 1.0, &mut m, &mut v, &AdamW { step, ..config });
            assert!((f64::from(w[0]) - (3.0 + 0.1 * step as f64)).abs() < 5e-6, "{w:?} after {step}");
        }
    }

    #[test]
    fn every_level_gives_the_same_bits() {
        let run = || {
            let (mut w, mut m, mut v) = (numbers(1, 101), vec![0.0; 101], vec![0.0; 101]);
            for step in 1..=3 {
                adamw(&mut w, &numbers(step, 101), 0.3, &mut m, &mut v, &AdamW { step, ..CONFIG });
            }
            bits(&[w, m, v].concat())
        };
        for level in [Level::Scalar, Level::Avx2] {
            assert!(at_level(level, run).is_none_or(|narrow| narrow == run()));
        }
    }

    #[test]
    #[should_panic(expected = "steps are counted from 1")]
    fn step_zero_is_refused() {
        adamw(&mut [], &[], 1.0, &mut [], &mut [], &AdamW { step: 0, ..CONFIG });
    }
}
