//! The part of the loss that makes good actions more likely.

use serde::{Deserialize, Serialize};

use super::{Evaluation, Gate, RatioLevel, Scope, Seen, Survey, log_ratio::ratio};
use crate::{method_error::MethodError, metric::Metric};

/// The surrogate whose weighted sum is minimised.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Surrogate {
    /// `-gate(ratio, coefficient)`: the policy gradient under importance weights.
    PolicyGradient {
        #[serde(default)]
        ratio: RatioLevel,
        #[serde(default)]
        gate: Gate,
    },
    /// `-coefficient * logp`: likelihood of given actions.
    Likelihood,
}

/// Batch statistics of a surrogate.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum SurrogateSurvey {
    /// It needs none.
    None,
}

impl Default for Surrogate {
    fn default() -> Self {
        Surrogate::PolicyGradient { ratio: RatioLevel::default(), gate: Gate::default() }
    }
}

impl Surrogate {
    pub(super) fn scope(self) -> Scope {
        match self {
            Surrogate::PolicyGradient { ratio: RatioLevel::Token, .. } | Surrogate::Likelihood => Scope::Action,
        }
    }

    /// `masks` are the final ones, in the shape of the batch.
    pub(super) fn survey(
        self,
        batch: &[Vec<Seen<'_>>],
        masks: &[Vec<Option<Vec<f64>>>],
    ) -> Result<SurrogateSurvey, MethodError> {
        let _ = (batch, masks);
        Ok(SurrogateSurvey::None)
    }

    /// Adds the loss of a group and its derivatives to `parts`. `weights` hold mask over denominator times factors;
    /// an action of weight 0 is not looked at.
    pub(super) fn evaluate(
        self,
        g: usize,
        group: &[Seen<'_>],
        weights: &[Vec<f64>],
        survey: &Survey,
        parts: &mut [Evaluation],
    ) -> Result<(), MethodError> {
        let _ = (g, survey);
        for ((seen, weight), part) in group.iter().zip(weights).zip(parts) {
            self.of_trajectory(seen, weight, part);
        }
        Ok(())
    }

    fn of_trajectory(self, seen: &Seen<'_>, weight: &[f64], part: &mut Evaluation) {
        let (mut trained, mut closed, mut largest, mut nll) = (0.0, 0.0, f64::NEG_INFINITY, 0.0);
        for i in (0..weight.len()).filter(|&i| weight[i] != 0.0) {
            let (weight, coefficient, logp) = (weight[i], seen.credit.coefficient[i], seen.rows.logp[i]);
            trained += 1.0;
            match self {
                Surrogate::PolicyGradient { ratio: RatioLevel::Token, gate } => {
                    let ratio = ratio(logp, seen.old_logp[i]);
                    let gated = gate.of(ratio, coefficient);
                    part.loss -= weight * gated.value;
                    part.gradients.logp[i] -= weight * gated.slope * ratio;
                    closed += f64::from(u8::from(gated.closed));
                    largest = f64::max(largest, ratio);
                }
                Surrogate::Likelihood => {
                    part.loss -= weight * coefficient * logp;
                    part.gradients.logp[i] -= weight * coefficient;
                    nll -= logp;
                }
            }
        }
        if trained > 0.0 {
            match self {
                Surrogate::PolicyGradient { .. } => {
                    part.metrics.add("clip_fraction", Metric::Mean { total: closed, weight: trained });
                    part.metrics.add("ratio_max", Metric::Max(largest));
                }
                Surrogate::Likelihood => {
                    part.metrics.add("negative_log_likelihood", Metric::Mean { total: nll, weight: trained });
                }
            }
        }
    }
}
