//! The part of the loss that makes good actions more likely.

use serde::{Deserialize, Serialize};

use super::{Gate, RatioLevel, Scope, Trajectory, log_ratio::ratio};
use crate::metric::{Metric, Metrics};

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

    /// The loss of one sample and its derivative by every `logp`. An action of weight 0 is not looked at.
    pub(super) fn evaluate(self, t: &Trajectory<'_>, metrics: &mut Metrics) -> (f64, Vec<f64>) {
        let mut loss = 0.0;
        let mut d_logp = vec![0.0; t.rows.len()];
        for i in (0..t.rows.len()).filter(|&i| t.weight[i] != 0.0) {
            let (weight, coefficient, logp) = (t.weight[i], t.coefficient[i], t.rows.logp[i]);
            match self {
                Surrogate::PolicyGradient { ratio: RatioLevel::Token, gate } => {
                    let ratio = ratio(logp, t.old_logp[i]);
                    let gated = gate.of(ratio, coefficient);
                    loss -= weight * gated.value;
                    d_logp[i] = -weight * gated.slope * ratio;
                    metrics.add("clip_fraction", Metric::mean_of(f64::from(gated.closed)));
                    metrics.add("ratio_max", Metric::Max(ratio));
                }
                Surrogate::Likelihood => {
                    loss -= weight * coefficient * logp;
                    d_logp[i] = -weight * coefficient;
                    metrics.add("negative_log_likelihood", Metric::mean_of(-logp));
                }
            }
        }
        (loss, d_logp)
    }
}
