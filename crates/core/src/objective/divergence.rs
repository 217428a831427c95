//! Estimates of the divergence from the reference, from one sampled action.

use serde::{Deserialize, Serialize};

/// A divergence with its coefficient.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Divergence {
    #[serde(default)]
    pub estimator: Estimator,
    /// Above 0.
    pub coefficient: f64,
}

/// Estimators of `KL(policy || reference)` (Schulman 2020, "Approximating KL Divergence"), with
/// `d = logp - ref_logp`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Estimator {
    /// `d`: unbiased in value; as a loss its gradient is 0 in expectation.
    K1,
    /// `d^2 / 2`: biased in value; its on-policy gradient is the KL's.
    K2,
    /// `exp(-d) + d - 1`: unbiased and never negative.
    #[default]
    K3,
}

impl Estimator {
    /// The estimate and its derivative by `logp`.
    pub fn of(self, logp: f64, ref_logp: f64) -> (f64, f64) {
        let d = logp - ref_logp;
        match self {
            Estimator::K1 => (d, 1.0),
            Estimator::K2 => (0.5 * d * d, d),
            Estimator::K3 => ((-d).exp_m1() + d, -(-d).exp_m1()),
        }
    }
}
