//! A smooth, asymmetric weight of whole trajectories in place of a clip.

use serde::{Deserialize, Serialize};

use super::surrogate::{above_zero, not_negative};
use crate::registry::{Axis, Entry, Parameter};

/// The log-ratio of a trajectory is held between these, in nats.
const BOTTOM: f64 = 1e-8;
const TOP: f64 = 20.0;

pub(super) const ENTRY: Entry = Entry {
    axis: Axis::Surrogate,
    name: "vespo",
    summary: "likelihood weighted by a gamma-shaped function of the trajectory's ratio",
    formula: "loss = -sum w phi A logp, w = mask over the denominator; z = sum over the trajectory's trained actions of \
              clamp(logp - old_logp, -20, 20), held between ln 1e-8 and 20; phi = exp(lambda + k z - lambda e^z), constant \
              in the derivative, 1 at z = 0 and greatest at e^z = k / lambda; k, lambda are those of the sign of A (0 counts \
              as positive). A sum, not a mean: long trajectories leave the middle of phi soon.",
    parameters: &[
        Parameter { name: "k_pos", default: "2.0", range: "at least 0", meaning: "power of the ratio where A >= 0" },
        Parameter {
            name: "lambda_pos",
            default: "3.0",
            range: "at least 1e-4",
            meaning: "decay in the ratio where A >= 0",
        },
        Parameter { name: "k_neg", default: "3.0", range: "at least 0", meaning: "power of the ratio where A < 0" },
        Parameter {
            name: "lambda_neg",
            default: "2.0",
            range: "at least 1e-4",
            meaning: "decay in the ratio where A < 0",
        },
    ],
    reads: &["old_logp"],
    source: "VESPO, 2026, arXiv 2602.10693; clamps and defaults as in TRL 1.16, loss_type vespo",
    ..Entry::NONE
};

/// Variational sequence-level soft policy optimisation.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Vespo {
    /// At least 0.
    pub k_pos: f64,
    /// At least 1e-4.
    pub lambda_pos: f64,
    /// At least 0.
    pub k_neg: f64,
    /// At least 1e-4.
    pub lambda_neg: f64,
}

impl Default for Vespo {
    fn default() -> Self {
        Self { k_pos: 2.0, lambda_pos: 3.0, k_neg: 3.0, lambda_neg: 2.0 }
    }
}

impl Vespo {
    pub(super) fn check(&self) -> Result<(), (String, String)> {
        not_negative("vespo.k_pos", self.k_pos)?;
        not_negative("vespo.k_neg", self.k_neg)?;
        for (key, lambda) in [("vespo.lambda_pos", self.lambda_pos), ("vespo.lambda_neg", self.lambda_neg)] {
            above_zero(key, lambda)?;
            if lambda < 1e-4 {
                return Err((key.to_owned(), "must be at least 1e-4".to_owned()));
            }
        }
        Ok(())
    }

    /// What one action gives to the log-ratio of its trajectory.
    pub fn log_ratio_of(d: f64) -> f64 {
        d.clamp(-TOP, TOP)
    }

    /// The weight of an action in a trajectory with this log-ratio.
    pub fn of(&self, log_ratio: f64, coefficient: f64) -> f64 {
        let positive = coefficient >= 0.0;
        let (k, lambda) = if positive { (self.k_pos, self.lambda_pos) } else { (self.k_neg, self.lambda_neg) };
        let z = log_ratio.clamp(BOTTOM.ln(), TOP);
        let weight = (lambda + k * z - lambda * z.exp()).exp();
        // A power too great for a number weighs nothing, as in TRL.
        if weight.is_finite() { weight } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_one_at_the_old_policy_and_greatest_at_k_over_lambda() {
        let vespo = Vespo::default();
        assert_eq!(vespo.of(0.0, 1.0), 1.0);
        assert_eq!(vespo.of(0.0, -1.0), 1.0);
        let top =
            |a: f64, at: f64| vespo.of(at, a) > vespo.of(at + 1e-3, a) && vespo.of(at, a) > vespo.of(at - 1e-3, a);
        assert!(top(1.0, (2.0f64 / 3.0).ln()));
        assert!(top(-1.0, (3.0f64 / 2.0).ln()));
        assert_eq!(vespo.of(900.0, 1.0), 0.0);
        assert!(vespo.of(-900.0, 1.0) > 0.0, "held at 1e-8");
    }

    /// Trap: one action alone can carry a trajectory off; it is held before the sum, and the sum again.
    #[test]
    fn actions_are_held_before_the_sum() {
        assert_eq!(Vespo::log_ratio_of(-90.0) + Vespo::log_ratio_of(20.0), 0.0);
        assert_eq!(Vespo::log_ratio_of(90.0), 20.0);
        assert_eq!(Vespo::default().of(-90.0, 1.0), Vespo::default().of(-30.0, 1.0));
    }
}
