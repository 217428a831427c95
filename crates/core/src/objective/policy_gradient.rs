//! The policy gradient under importance weights, gated.

use serde::{Deserialize, Serialize};

use super::{Evaluation, Gate, RatioLevel, Scope, Seen, log_ratio::ratio};
use crate::{method_error::MethodError, metric::Metric};

/// `-gate(ratio, coefficient)` of every action.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PolicyGradient {
    pub ratio: RatioLevel,
    pub gate: Gate,
}

/// Batch statistics of ratio and gate.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum GateSurvey {
    /// They need none.
    None,
}

impl PolicyGradient {
    pub(super) fn scope(&self) -> Scope {
        match self.ratio {
            RatioLevel::Token => Scope::Action,
        }
    }

    /// `masks` are the final ones, in the shape of the batch.
    pub(super) fn survey(
        &self,
        batch: &[Vec<Seen<'_>>],
        masks: &[Vec<Option<Vec<f64>>>],
    ) -> Result<GateSurvey, MethodError> {
        let _ = (batch, masks);
        Ok(GateSurvey::None)
    }

    /// Adds the loss of a group and its derivatives to `parts`; an action of weight 0 is not looked at.
    pub(super) fn evaluate(
        &self,
        g: usize,
        group: &[Seen<'_>],
        weights: &[Vec<f64>],
        survey: &GateSurvey,
        parts: &mut [Evaluation],
    ) -> Result<(), MethodError> {
        let _ = (g, survey);
        for ((seen, weight), part) in group.iter().zip(weights).zip(parts) {
            let (mut trained, mut closed, mut largest) = (0.0, 0.0, f64::NEG_INFINITY);
            for i in (0..weight.len()).filter(|&i| weight[i] != 0.0) {
                let ratio = ratio(seen.rows.logp[i], seen.old_logp[i]);
                let gated = self.gate.of(ratio, seen.credit.coefficient[i]);
                part.loss -= weight[i] * gated.value;
                part.gradients.logp[i] -= weight[i] * gated.slope * ratio;
                trained += 1.0;
                closed += f64::from(u8::from(gated.closed));
                largest = f64::max(largest, ratio);
            }
            if trained > 0.0 {
                part.metrics.add("clip_fraction", Metric::Mean { total: closed, weight: trained });
                part.metrics.add("ratio_max", Metric::Max(largest));
            }
        }
        Ok(())
    }
}
