//! The likelihood of good actions with a quadratic pull towards the old policy.

use serde::{Deserialize, Serialize};

use super::{Evaluation, Seen};
use crate::{
    metric::Metric,
    registry::{Axis, Entry, Parameter},
};

pub(super) const ENTRY: Entry = Entry {
    axis: Axis::Surrogate,
    name: "dro",
    summary: "likelihood times advantage, less a squared log-ratio an action; no clip",
    formula: "loss = sum w (-A logp + beta / 2 (logp - old_logp)^2), w = mask over the denominator, the square \
              differentiated and not clamped. The optimum of an action is logp = old_logp + A / beta.",
    parameters: &[Parameter {
        name: "beta",
        default: "0.1",
        range: "above 0",
        meaning: "strength of the pull: an advantage of 1 is worth 1 / beta nats",
    }],
    reads: &["old_logp"],
    source: "DRO: Richemond et al. 2024, arXiv 2405.19107, in the form of verl's policy loss dro",
    unverified: "the value of beta: verl has no default",
    ..Entry::NONE
};

/// Direct reward optimisation, action by action.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Dro {
    /// Above 0.
    pub beta: f64,
}

impl Default for Dro {
    fn default() -> Self {
        Self { beta: 0.1 }
    }
}

impl Dro {
    pub(super) fn check(&self) -> Result<(), (String, String)> {
        super::surrogate::above_zero("dro.beta", self.beta)
    }

    pub(super) fn evaluate(&self, group: &[Seen<'_>], weights: &[Vec<f64>], parts: &mut [Evaluation]) {
        for ((seen, weight), part) in group.iter().zip(weights).zip(parts) {
            let (mut trained, mut total) = (0.0, 0.0);
            for i in (0..weight.len()).filter(|&i| weight[i] != 0.0) {
                let (coefficient, logp) = (seen.credit.coefficient[i], seen.rows.logp[i]);
                let d = logp - seen.old_logp[i];
                part.loss += weight[i] * (0.5 * self.beta * d * d - coefficient * logp);
                part.gradients.logp[i] += weight[i] * (self.beta * d - coefficient);
                trained += 1.0;
                total += d * d;
            }
            if trained > 0.0 {
                part.metrics.add("squared_log_ratio", Metric::Mean { total, weight: trained });
            }
        }
    }
}
