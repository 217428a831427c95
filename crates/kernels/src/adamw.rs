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
