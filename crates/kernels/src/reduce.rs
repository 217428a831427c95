//! Sums along a row, in one fixed order at every vector width.

use crate::level::fma;

/// The number of accumulators of every reduction: element `i` goes to accumulator `i % LANES`.
pub(crate) const LANES: usize = 16;

/// The accumulators, halves folded onto each other: the fixed end of every reduction.
#[inline(always)]
pub(crate) fn fold(mut lanes: [f32; LANES]) -> f32 {
    let mut half = LANES / 2;
    while half > 0 {
        for i in 0..half {
            lanes[i] += lanes[i + half];
        }
        half /= 2;
    }
    lanes[0]
}

/// `sum_i x[i] * y[i]`.
#[inline(always)]
pub(crate) fn dot<const FMA: bool>(x: &[f32], y: &[f32]) -> f32 {
    let (x, x_rest) = x.as_chunks::<LANES>();
    let (y, y_rest) = y.as_chunks::<LANES>();
    let mut lanes = [0.0; LANES];
    for (a, b) in x.iter().zip(y) {
        for i in 0..LANES {
            lanes[i] = fma::<FMA>(a[i], b[i], lanes[i]);
        }
    }
    for (lane, (a, b)) in lanes.iter_mut().zip(x_rest.iter().zip(y_rest)) {
        *lane = fma::<FMA>(*a, *b, *lane);
    }
    fold(lanes)
}

/// `sum_i x[i]`.
#[inline(always)]
pub(crate) fn sum(x: &[f32]) -> f32 {
    let (x, rest) = x.as_chunks::<LANES>();
    let mut lanes = [0.0; LANES];
    for a in x {
        for i in 0..LANES {
            lanes[i] += a[i];
        }
    }
    for (lane, a) in lanes.iter_mut().zip(rest) {
        *lane += *a;
    }
    fold(lanes)
}

/// The largest element that is a number, but at least `f32::MIN`: it stays finite for a row of minus infinities, so
/// that the differences taken from it are no NaN.
#[inline(always)]
pub(crate) fn max(x: &[f32]) -> f32 {
    let (x, rest) = x.as_chunks::<LANES>();
    let mut lanes = [f32::MIN; LANES];
    for a in x {
        for i in 0..LANES {
            lanes[i] = if a[i] > lanes[i] { a[i] } else { lanes[i] };
        }
    }
    let mut max = f32::MIN;
    for a in lanes.iter().chain(rest) {
        max = if *a > max { *a } else { max };
    }
    max
}
