//! `exp` and `sigmoid` without branches, so that loops over them vectorise.

use crate::level::{dispatch, fma};

/// `e^x` to 2 ulp: a rounded multiple of ln 2 taken off, a polynomial of degree 7, two exact scalings. Gives 0 below
/// the subnormals, infinity above the largest float, NaN for NaN.
#[inline(always)]
pub(crate) fn exp_lane<const FMA: bool>(x: f32) -> f32 {
    // 1.5 * 2^23: adding it rounds to an integer that stands in the low bits.
    const ROUND: f32 = 12_582_912.0;
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    // Comparisons are false for NaN, which therefore passes.
    let x = if x > 89.0 { 89.0 } else { x };
    let x = if x < -104.0 { -104.0 } else { x };
    let shifted = fma::<FMA>(x, std::f32::consts::LOG2_E, ROUND);
    let n = shifted - ROUND;
    let r = fma::<FMA>(n, -LN2_HIGH, x);
    let r = fma::<FMA>(n, -LN2_LOW, r);
    let mut p = 1.987_569_1e-4;
    p = fma::<FMA>(p, r, 1.398_2e-3);
    p = fma::<FMA>(p, r, 8.333_452e-3);
    p = fma::<FMA>(p, r, 4.166_579_6e-2);
    p = fma::<FMA>(p, r, 1.666_666_5e-1);
    p = fma::<FMA>(p, r, 0.5);
    p = fma::<FMA>(p, r * r, r) + 1.0;
    // 2^n in two factors: n reaches -150 and 128, which no single float's exponent does.
    let n = (shifted.to_bits() as i32).wrapping_sub(ROUND.to_bits() as i32);
    let half = n >> 1;
    let first = f32::from_bits((half.wrapping_add(127) as u32) << 23);
    let second = f32::from_bits((n.wrapping_sub(half).wrapping_add(127) as u32) << 23);
    p * first * second
}

/// `1 / (1 + e^-x)`.
#[inline(always)]
pub(crate) fn sigmoid_lane<const FMA: bool>(x: f32) -> f32 {
    1.0 / (1.0 + exp_lane::<FMA>(-x))
}

#[inline(always)]
fn exp_body<const FMA: bool>(x: &mut [f32]) {
    for x in x {
        *x = exp_lane::<FMA>(*x);
    }
}

#[inline(always)]
fn sigmoid_body<const FMA: bool>(x: &mut [f32]) {
    for x in x {
        *x = sigmoid_lane::<FMA>(*x);
    }
}

dispatch! {
    /// `x = e^x` in place, to 2 ulp over the whole range: 0 for minus infinity, NaN for NaN.
    pub fn exp(x: &mut [f32]) = exp_body
}

dispatch! {
    /// `x = 1 / (1 + e^-x)` in place.
    pub fn sigmoid(x: &mut [f32]) = sigmoid_body
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::level::Level;
    use crate::level::tests::at_level;
    use crate::testing::assert_levels_agree;

    fn one(x: f32) -> f32 {
        let mut x = [x];
        exp(&mut x);
        x[0]
    }

    /// The distance between neighbouring floats at `x`, down to that of the subnormals.
    fn ulp(x: f64) -> f64 {
        2f64.powi((x.log2().floor() as i32).max(-126) - 23)
    }

    fn sweep() -> Vec<f32> {
        let mut x: Vec<f32> = (-1_100_000..890_000).map(|i| i as f32 * 1e-4).collect();
        x.extend((0..100_000).map(|i| f32::from_bits(i * 10_000)).filter(|x| *x < 88.0));
        x
    }

    #[test]
    fn exp_is_within_two_ulp_everywhere() {
        let check = || {
            let x = sweep();
            let mut y = x.clone();
            exp(&mut y);
            for (x, y) in x.iter().zip(&y) {
                let exact = f64::from(*x).exp();
                if exact < f64::from(f32::MAX) {
                    let error = (f64::from(*y) - exact).abs() / ulp(exact);
                    assert!(error <= 2.0, "exp({x}) = {y}, {error} ulp from {exact}");
                }
            }
        };
        check();
        at_level(Level::Scalar, check);
    }

    #[test]
    fn exp_at_the_ends() {
        assert_eq!(one(f32::NEG_INFINITY), 0.0);
        assert_eq!(one(-104.0), 0.0);
        assert_eq!(one(f32::MIN), 0.0);
        assert_eq!(one(-103.0), (-103f64).exp() as f32);
        assert!(one(-103.0) > 0.0);
        assert_eq!(one(0.0), 1.0);
        assert_eq!(one(-0.0), 1.0);
        assert!(one(88.7).is_finite());
        assert_eq!(one(88.8), f32::INFINITY);
        assert_eq!(one(f32::INFINITY), f32::INFINITY);
        assert!(one(f32::NAN).is_nan());
        assert!(one(-f32::NAN).is_nan());
    }

    #[test]
    fn sigmoid_is_close_and_total() {
        let x: Vec<f32> = (-3000..3000).map(|i| i as f32 * 0.05).collect();
        let mut y = x.clone();
        sigmoid(&mut y);
        for (x, y) in x.iter().zip(&y) {
            let exact = 1.0 / (1.0 + (-f64::from(*x)).exp());
            assert!((f64::from(*y) - exact).abs() <= 4.0 * ulp(exact) + 1.2e-38, "sigmoid({x}) = {y} for {exact}");
        }
        let mut ends = [f32::NEG_INFINITY, f32::INFINITY, f32::NAN];
        sigmoid(&mut ends);
        assert_eq!(ends[..2], [0.0, 1.0]);
        assert!(ends[2].is_nan());
    }

    #[test]
    fn levels_agree() {
        assert_levels_agree(|| {
            let mut x = sweep();
            exp(&mut x);
            x
        });
    }
}
