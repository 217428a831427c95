//! What the tests share: numbers, comparisons and derivatives by differences.

use crate::level::tests::at_level;
use crate::level::{Level, level};

/// Numbers in `[-1, 1)`, a function of the seed.
pub(crate) fn numbers(seed: u64, count: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(0x1234_5678_9abc_def1);
    let step = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 40) as f32 / (1u64 << 23) as f32) - 1.0
    };
    (0..count).map(step).collect()
}

pub(crate) fn wide(x: &[f32]) -> Vec<f64> {
    x.iter().map(|&x| f64::from(x)).collect()
}

pub(crate) fn bits(x: &[f32]) -> Vec<u32> {
    x.iter().map(|x| x.to_bits()).collect()
}

/// Fails unless every element is within `tolerance` of its reference, relative to the largest of them.
#[track_caller]
pub(crate) fn assert_close(actual: &[f32], expected: &[f64], tolerance: f64) {
    assert_eq!(actual.len(), expected.len());
    let scale = expected.iter().fold(0.0f64, |max, x| max.max(x.abs())).max(0.1);
    for (i, (a, e)) in actual.iter().zip(expected).enumerate() {
        assert!((f64::from(*a) - e).abs() <= tolerance * scale, "element {i}: {a} for {e}, of at most {scale}");
    }
}

/// The gradient of `f` at `x` by central differences.
pub(crate) fn differences(x: &[f32], f: impl Fn(&[f64]) -> f64) -> Vec<f64> {
    let mut x = wide(x);
    (0..x.len())
        .map(|i| {
            let (old, step) = (x[i], 1e-5);
            x[i] = old + step;
            let above = f(&x);
            x[i] = old - step;
            let below = f(&x);
            x[i] = old;
            (above - below) / (2.0 * step)
        })
        .collect()
}

pub(crate) fn dot(x: &[f64], y: &[f32]) -> f64 {
    x.iter().zip(y).map(|(x, y)| x * f64::from(*y)).sum()
}

/// Fails unless `f` gives the same bits at every level with fused multiply-adds that this machine has.
#[track_caller]
pub(crate) fn assert_levels_agree(f: impl Fn() -> Vec<f32>) {
    let native = f();
    if let Some(narrow) = at_level(Level::Avx2, &f) {
        assert_eq!(bits(&native), bits(&narrow));
    }
}

/// `a * b + c` as the level of this machine rounds it.
pub(crate) fn chain_step(a: f32, b: f32, c: f32) -> f32 {
    if level() == Level::Scalar { a * b + c } else { a.mul_add(b, c) }
}
