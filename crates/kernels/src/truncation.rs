//! Which ids of a distribution may be drawn.

/// Bounds on what may be drawn, in the order in which they are applied; each sees what the one before left, renormalised.
/// Ids of equal weight (f32) stay or go together, and the heaviest always stay.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Truncation {
    /// The `k` heaviest ids, at least 1, and those as heavy as the last of them.
    pub top_k: Option<usize>,
    /// The ids above which less than this share of the weight stands, in (0, 1].
    pub top_p: f64,
    /// The ids of at least this share of the largest weight, in [0, 1].
    pub min_p: f64,
}

impl Truncation {
    /// Every id may be drawn.
    pub const OFF: Self = Self { top_k: None, top_p: 1.0, min_p: 0.0 };

    /// Sets the weights of the ids that may not be drawn to 0. Weights are finite, at least 0, and the largest is 1.
    pub(crate) fn apply(self, weights: &mut [f32], scratch: &mut Vec<f32>) {
        if let Some(k) = self.top_k {
            keep_from(weights, kth_largest(weights, k, scratch));
        }
        if self.top_p < 1.0 {
            keep_from(weights, nucleus_floor(weights, self.top_p, scratch));
        }
        if self.min_p > 0.0 {
            // Compared in f64: rounding the bound would let ids in that are below it.
            weights.iter_mut().filter(|w| f64::from(**w) < self.min_p).for_each(|w| *w = 0.0);
        }
    }
}

fn keep_from(weights: &mut [f32], floor: f32) {
    weights.iter_mut().filter(|w| **w < floor).for_each(|w| *w = 0.0);
}

/// The `k`-th largest weight; 0 where there are no `k`.
fn kth_largest(weights: &[f32], k: usize, scratch: &mut Vec<f32>) -> f32 {
    if k > weights.len() {
        return 0.0;
    }
    scratch.clear();
    scratch.extend_from_slice(weights);
    *scratch.select_nth_unstable_by(k - 1, |a, b| b.total_cmp(a)).1
}

/// The smallest weight above which less than `top_p` of the whole stands: sums in f64, the heaviest first.
///
/// A distribution over a large vocabulary has few heavy ids, so only those above a bound are sorted, and the bound is
/// lowered until they hold enough. The bound shows in no result.
fn nucleus_floor(weights: &[f32], top_p: f64, scratch: &mut Vec<f32>) -> f32 {
    let total = weights.iter().fold(0.0, |sum, &w| sum + f64::from(w));
    let target = top_p * total;
    let mut bound = 1.0 / 64.0;
    loop {
        scratch.clear();
        scratch.extend(weights.iter().filter(|w| **w >= bound && **w > 0.0));
        scratch.sort_unstable_by(|a, b| b.total_cmp(a));
        let (mut floor, mut sum) = (f32::INFINITY, 0.0);
        for &weight in scratch.iter() {
            if weight < floor {
                if sum >= target {
                    return floor;
                }
                floor = weight;
            }
            sum += f64::from(weight);
        }
        if sum >= target || bound == 0.0 {
            // Everything below stands under enough, or there is nothing below.
            return floor;
        }
        bound /= 1024.0;
    }
}

#[cfg(test)]
#[path = "truncation_tests.rs"]
mod tests;
