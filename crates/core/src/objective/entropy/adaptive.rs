//! A bonus that is there only while entropy is too low.

use crate::{
    method_error::{MethodError, Place},
    objective::Seen,
    registry::{Axis, Entry, Parameter},
    trajectory::check_column,
};

pub(in crate::objective) const ENTRY: Entry = Entry {
    axis: Axis::Entropy,
    name: "adaptive",
    summary: "a bonus while the batch's mean entropy is at most a target, with a coefficient that follows it",
    formula: "- coefficient H_i [mean H <= target], the mean over the trained actions of the batch, constant in the derivative; from step to step: coefficient + step where mean H < target, coefficient - step (at least 0) where it is above",
    parameters: &[
        Parameter { name: "coefficient", default: "0.005", range: "at least 0", meaning: "that of the first step" },
        Parameter { name: "target", default: "0.2", range: "above 0", meaning: "in nats" },
        Parameter {
            name: "step",
            default: "0.005",
            range: "above 0",
            meaning: "how much the coefficient moves from step to step",
        },
    ],
    reads: &["entropy"],
    source: "Skywork-OR1: He et al. 2025, arXiv 2505.22312, adaptive entropy control; TRL's use_adaptive_entropy",
    unverified: "the paper starts at coefficient 0; here one step, so that the first batch has a bonus",
    ..Entry::NONE
};

pub(super) fn step() -> f64 {
    0.005
}

pub(super) fn target() -> f64 {
    0.2
}

/// The coefficient of the next step: up by `step` below the target, down above it, never below 0.
pub fn next_coefficient(coefficient: f64, mean_entropy: f64, target: f64, step: f64) -> f64 {
    if mean_entropy < target {
        coefficient + step
    } else if mean_entropy > target {
        (coefficient - step).max(0.0)
    } else {
        coefficient
    }
}

/// The mean over the trained actions of the batch; `None` where there are none.
pub(super) fn mean(batch: &[Vec<Seen<'_>>], masks: &[Vec<Option<Vec<f64>>>]) -> Result<Option<f64>, MethodError> {
    let (mut total, mut trained) = (0.0, 0.0);
    for (g, (group, masks)) in batch.iter().zip(masks).enumerate() {
        for (t, (seen, mask)) in group.iter().zip(masks).enumerate() {
            let Some(mask) = mask else { continue };
            check_column("entropy", &seen.rows.entropy, mask.len(), Place::trajectory(g, t))?;
            for (h, _) in seen.rows.entropy.iter().zip(mask).filter(|(_, m)| **m != 0.0) {
                total += h;
                trained += 1.0;
            }
        }
    }
    Ok((trained > 0.0).then(|| total / trained))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_coefficient_follows_the_entropy() {
        assert_eq!(next_coefficient(0.01, 0.1, 0.2, 0.005), 0.015);
        assert_eq!(next_coefficient(0.01, 0.3, 0.2, 0.005), 0.005);
        assert_eq!(next_coefficient(0.003, 0.3, 0.2, 0.005), 0.0);
        assert_eq!(next_coefficient(0.01, 0.2, 0.2, 0.005), 0.01);
    }
}
