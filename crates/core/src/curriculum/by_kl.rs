//! Prompts that pull the policy away wait.

use std::collections::VecDeque;

use super::state;
use crate::registry::{Axis, Entry, Parameter};

pub(super) const ENTRY: Entry = Entry {
    axis: Axis::Curriculum,
    name: "by_kl",
    summary: "a prompt whose responses are far from the reference sits out this step, and is looked at again later",
    formula: "curriculum.defer = {by_kl = {window = W, sigmas = k, period = T, least = n}}: threshold = mean + k std (population) of the \
              mean divergences of the latest W groups before this step. A group above it (not at it) is not trained, and its prompt \
              is out of the row for T steps; then it comes first, and re-enters the row when its divergence is no longer above. Until \
              n groups were measured nothing is put off. All finite divergences enter the window, those of deferred groups too: a \
              policy that drifts as a whole moves the threshold along.",
    parameters: &[
        Parameter {
            name: "window",
            default: "200",
            range: "at least 2",
            meaning: "groups that the threshold is taken of",
        },
        Parameter { name: "sigmas", default: "3", range: "at least 0", meaning: "standard deviations above the mean" },
        Parameter { name: "period", default: "100", range: "at least 1", meaning: "steps until another look" },
        Parameter { name: "least", default: "20", range: "2 to window", meaning: "groups before any judgement" },
    ],
    reads: &["kl_ref"],
    source: "TACO 2025 (rollback resample, later memory-guided KL stabilisation)",
    unverified: "the form of the threshold and its window; the least number of groups is ours",
    ..Entry::NONE
};

pub(super) fn window() -> u32 {
    200
}

pub(super) fn sigmas() -> f64 {
    3.0
}

pub(super) fn period() -> u64 {
    100
}

pub(super) fn least() -> u32 {
    20
}

pub(super) fn threshold(window: &VecDeque<f64>, sigmas: f64, least: usize) -> Option<f64> {
    let values: Vec<f64> = window.iter().copied().collect();
    let mean = state::mean(&values).filter(|_| values.len() >= least)?;
    Some(mean + sigmas * state::variance(&values).sqrt())
}

/// A divergence that is no finite number is over any threshold.
pub(super) fn is_over(kl: f64, threshold: f64) -> bool {
    !kl.is_finite() || kl > threshold
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        let window = VecDeque::from([1.0, 3.0]);
        assert_eq!(threshold(&window, 3.0, 2), Some(5.0));
        assert_eq!(threshold(&window, 3.0, 3), None, "two groups say little");
        // Equal divergences: the threshold is the divergence, and nothing lies above it.
        let equal = threshold(&VecDeque::from([0.1; 30]), 3.0, 20).unwrap();
        assert!(!is_over(0.1, equal) && is_over(0.1 + 1e-15, equal) && is_over(f64::NAN, equal));
    }
}
