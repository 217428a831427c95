//! REINFORCE off policy, tapered on bad answers only.

use serde::{Deserialize, Serialize};

use crate::registry::{Axis, Entry, Parameter};

pub(super) const ENTRY: Entry = Entry {
    axis: Axis::Surrogate,
    name: "topr",
    summary: "good answers as in supervised training, bad ones weighted by their own truncated ratio",
    formula: "loss = -sum w s A logp, w = mask over the denominator; s = 1 where A >= 0, min(cap, exp(sum over the \
              trajectory's trained actions of logp - old_logp)) where A < 0, constant in the derivative. A good answer is \
              learned however unlikely it has become; a bad one is let go once it is unlikely. With old_logp the sampler's \
              own. At one update a batch s = 1.",
    parameters: &[Parameter {
        name: "cap",
        default: "1.0",
        range: "above 0",
        meaning: "greatest weight of a bad answer",
    }],
    reads: &["old_logp"],
    source: "TOPR: Le Roux et al. 2025, arXiv 2503.14286, section 3",
    ..Entry::NONE
};

/// Tapered off-policy REINFORCE.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Topr {
    /// Above 0.
    pub cap: f64,
}

impl Default for Topr {
    fn default() -> Self {
        Self { cap: 1.0 }
    }
}

impl Topr {
    pub(super) fn check(&self) -> Result<(), (String, String)> {
        super::surrogate::above_zero("topr.cap", self.cap)
    }

    /// The weight of an action in a trajectory with this log-ratio.
    pub fn of(&self, log_ratio: f64, coefficient: f64) -> f64 {
        if coefficient >= 0.0 { 1.0 } else { log_ratio.exp().min(self.cap) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_bad_answers_are_tapered() {
        let topr = Topr::default();
        assert_eq!(topr.of(0.0, -2.0), 1.0);
        assert_eq!(topr.of(-40.0, 1.0), 1.0);
        assert_eq!(topr.of(-800.0, -1.0), 0.0);
        assert_eq!(topr.of(800.0, -1.0), 1.0, "an infinite ratio is cut");
    }
}
