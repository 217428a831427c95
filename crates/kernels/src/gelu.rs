//! Gaussian error linear units (Hendrycks and Gimpel, arXiv 1606.08415): with the normal distribution, and by a tanh.

use crate::exp::{exp_lane, sigmoid_lane};
use crate::level::{dispatch, fma};

/// `e^(x^2) erfc(x)` for `x >= 0`, to a relative error of 1.2e-7: a polynomial in `1 / (1 + x / 2)` in the exponent
/// (Press et al., Numerical Recipes, section 6.2, `erfcc`).
#[allow(clippy::excessive_precision, reason = "as they are published")]
const ERFC: [f32; 10] = [
    0.170_872_77,
    -0.822_152_23,
    1.488_515_87,
    -1.135_203_98,
    0.278_868_07,
    -0.186_288_06,
    0.096_784_18,
    0.374_091_96,
    1.000_023_68,
    -1.265_512_23,
];

/// The normal distribution, `erfc(-x / sqrt 2) / 2`: small values keep their digits.
#[inline(always)]
fn normal_lane<const FMA: bool>(x: f32) -> f32 {
    let z = x.abs() * std::f32::consts::FRAC_1_SQRT_2;
    let t = 1.0 / fma::<FMA>(0.5, z, 1.0);
    let mut p = ERFC[0];
    for c in &ERFC[1..] {
        p = fma::<FMA>(p, t, *c);
    }
    let tail = 0.5 * t * exp_lane::<FMA>(fma::<FMA>(-z, z, p));
    if x > 0.0 { 1.0 - tail } else { tail }
}

#[inline(always)]
fn gelu_body<const FMA: bool>(x: &mut [f32]) {
    for x in x {
        // Below, the distribution is 0, and minus infinity times 0 would be no number.
        let bounded = if *x < -20.0 { -20.0 } else { *x };
        *x = bounded * normal_lane::<FMA>(bounded);
    }
}

#[inline(always)]
fn gelu_tanh_body<const FMA: bool>(x: &mut [f32]) {
    // (1 + tanh u) / 2 = sigmoid(2 u)
    const TWICE: f32 = 1.595_769;
    for x in x {
        let bounded = if *x < -20.0 { -20.0 } else { *x };
        let cube = bounded * bounded * bounded;
        *x = bounded * sigmoid_lane::<FMA>(TWICE * fma::<FMA>(0.044_715, cube, bounded));
    }
}

dispatch! {
    /// `x = x Phi(x)` in place, `Phi` the standard normal distribution: to 5e-7 of 1 or of `x`, whichever is more.
    pub fn gelu(x: &mut [f32]) = gelu_body
}

dispatch! {
    /// `x = x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2` in place, what BERT's own code calls gelu.
    pub fn gelu_tanh(x: &mut [f32]) = gelu_tanh_body
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::assert_levels_agree;

    fn sweep() -> Vec<f32> {
        (-12_000..12_000).map(|i| i as f32 * 1e-3).collect()
    }

    /// The integral of the density by Simpson's rule, from 0.
    fn normal(x: f64) -> f64 {
        let density = |t: f64| (-t * t / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt();
        let steps = 2000;
        let h = x / f64::from(steps);
        let inner: f64 = (1..steps).map(|i| density(f64::from(i) * h) * if i % 2 == 0 { 2.0 } else { 4.0 }).sum();
        0.5 + (density(0.0) + inner + density(x)) * h / 3.0
    }

    #[test]
    fn both_agree_with_their_formulas() {
        let x: Vec<f32> = sweep().into_iter().step_by(37).collect();
        let (mut exact, mut by_tanh) = (x.clone(), x.clone());
        gelu(&mut exact);
        gelu_tanh(&mut by_tanh);
        for ((x, exact), by_tanh) in x.iter().map(|&x| f64::from(x)).zip(exact).zip(by_tanh) {
            let bound = 5e-7 * x.abs().max(1.0);
            let expected = x * normal(x);
            assert!((f64::from(exact) - expected).abs() <= bound, "gelu({x}) = {exact} for {expected}");
            let inner = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x.powi(3));
            let expected = x * (1.0 + inner.tanh()) / 2.0;
            assert!((f64::from(by_tanh) - expected).abs() <= bound, "gelu_tanh({x}) = {by_tanh} for {expected}");
        }
    }

    #[test]
    fn the_ends_are_numbers() {
        for kernel in [gelu, gelu_tanh] {
            let mut x = [f32::NEG_INFINITY, f32::MIN, -0.0, 0.0, 100.0, f32::INFINITY, f32::NAN];
            kernel(&mut x);
            assert!(x[..4].iter().all(|y| y.abs() < 1e-30), "{x:?}");
            assert_eq!(x[4..6], [100.0, f32::INFINITY]);
            assert!(x[6].is_nan());
        }
    }

    #[test]
    fn levels_agree() {
        for kernel in [gelu, gelu_tanh] {
            assert_levels_agree(|| {
                let mut x = sweep();
                kernel(&mut x);
                x
            });
        }
    }
}
