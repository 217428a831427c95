//! verl's pass@k: the best alone.

use crate::{
    advantage::field::divided,
    registry::{Axis, Entry},
};

pub(super) const ENTRY: Entry = Entry {
    axis: Axis::Estimator,
    name: "best_only",
    summary: "only the best of a group is reinforced, by its lead over the second",
    formula: "A of the best = (r_best - r_second) / scale, all others 0; of several best the lead is 0. The baseline is not read. Without a scale \
              the expectation of (1/n) sum A grad log pi is exactly 1/n of the gradient of the expected best of n; a scale is a bias.",
    reads: &["reward"],
    source: "verl `grpo_passk` (std with eps 1e-6); best-of-n policy gradient, arXiv 2503.19595",
    unverified: "the paper's equation",
    ..Entry::NONE
};

/// One advantage a reward; 0 for a lone one.
pub(super) fn advantages(rewards: &[f64], scales: &[f64]) -> Vec<f64> {
    let mut result = vec![0.0; rewards.len()];
    let Some(best) = (0..rewards.len()).reduce(|best, i| if rewards[i] > rewards[best] { i } else { best }) else {
        return result;
    };
    let others = rewards.iter().enumerate().filter(|(i, _)| *i != best).map(|(_, r)| *r);
    if let Some(second) = others.reduce(f64::max) {
        result[best] = divided(rewards[best] - second, scales[best]);
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lead_and_nothing_else() {
        assert_eq!(advantages(&[-0.3, 2.5, 0.7, 0.1], &[1.0; 4]), [0.0, 1.8, 0.0, 0.0]);
        assert_eq!(advantages(&[1.0, 1.0, 0.0], &[0.5; 3]), [0.0; 3], "two best");
        assert_eq!(advantages(&[1.0], &[1.0]), [0.0]);
    }
}
