//! The policy gradient under importance weights, gated.

use serde::{Deserialize, Serialize};

use super::{
    Evaluation, Gate, RatioLevel, Scope, Seen, Staleness, Survey,
    gate::{At, GateSurvey},
};
use crate::{
    method_error::{MethodError, Place, Problem},
    metric::Metric,
};

/// `-gate(ratio, coefficient)` of every action.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PolicyGradient {
    pub ratio: RatioLevel,
    pub gate: Gate,
}

impl PolicyGradient {
    /// What a recipe without a second update makes of ratio and gate.
    pub fn staleness(&self) -> Staleness {
        match (self.ratio.staleness(), self.gate.staleness()) {
            (Staleness::Second(why), _) | (_, Staleness::Second(why)) => Staleness::Second(why),
            (Staleness::Any, gate) => gate,
            (ratio, _) => ratio,
        }
    }

    /// Whether the parameters are in range: the key and what is wrong with it.
    pub fn check(&self) -> Result<(), (String, String)> {
        self.ratio.check().map_err(|(key, problem)| (format!("ratio.{key}"), problem))?;
        self.gate.check().map_err(|(key, problem)| (format!("gate.{key}"), problem))
    }

    /// Whether the column `kl_old` must be there.
    pub fn reads_kl_old(&self) -> bool {
        self.ratio.reads_kl_old()
    }

    /// Whether `behaviour_logp` must be there.
    pub fn reads_behaviour(&self) -> bool {
        self.gate.reads_behaviour()
    }

    pub(super) fn scope(&self) -> Scope {
        self.ratio.scope().max(self.gate.scope())
    }

    /// `masks` are the final ones, in the shape of the batch.
    pub(super) fn survey(
        &self,
        batch: &[Vec<Seen<'_>>],
        masks: &[Vec<Option<Vec<f64>>>],
    ) -> Result<GateSurvey, MethodError> {
        self.gate.survey(self.ratio, batch, masks)
    }

    /// Adds the loss of a group and its derivatives to `parts`. Which actions a shared ratio is made of is the
    /// survey's say; an action of weight 0 adds nothing to the loss.
    pub(super) fn evaluate(
        &self,
        g: usize,
        group: &[Seen<'_>],
        weights: &[Vec<f64>],
        survey: &Survey,
        gate: &GateSurvey,
        parts: &mut [Evaluation],
    ) -> Result<(), MethodError> {
        for (t, ((seen, weight), part)) in group.iter().zip(weights).zip(parts).enumerate() {
            if let Some(mask) = survey.weights[g][t].as_deref() {
                self.trajectory(seen, mask, weight, gate.selected(g, t), Place::trajectory(g, t), part)?;
            }
        }
        Ok(())
    }

    fn trajectory(
        &self,
        seen: &Seen<'_>,
        mask: &[f64],
        weight: &[f64],
        selected: &[usize],
        place: Place,
        part: &mut Evaluation,
    ) -> Result<(), MethodError> {
        let mut ratios = self.ratio.of(seen, mask, place)?;
        let old = self.ratio.old(seen);
        let drift = self.gate.drift(seen, old, mask, place)?;
        let mut selected = selected.iter().copied().peekable();
        let (mut loss, mut slopes) = (0.0, 0.0);
        let (mut trained, mut closed, mut largest) = (0.0, 0.0, f64::NEG_INFINITY);
        // From here on a slot holds the derivative of the loss by the action's log ratio.
        let mut upstream = std::mem::take(&mut ratios.values);
        for (i, slot) in upstream.iter_mut().enumerate() {
            let picked = selected.next_if_eq(&i).is_some();
            let (w, ratio) = (weight[i], *slot);
            *slot = 0.0;
            if w == 0.0 {
                continue;
            }
            let at = At {
                ratio,
                advantage: seen.credit.coefficient[i],
                logp: seen.rows.logp[i],
                old_logp: old[i],
                selected: picked,
                drift,
            };
            let gated = self.gate.of(at);
            loss -= w * gated.value;
            if gated.slope != 0.0 {
                *slot = -w * gated.slope * ratio;
                slopes += slot.abs();
            }
            if gated.by_logp != 0.0 {
                part.gradients.logp[i] -= w * gated.by_logp;
            }
            trained += 1.0;
            closed += f64::from(u8::from(gated.closed));
            largest = f64::max(largest, ratio);
        }
        if !(loss.is_finite() && slopes.is_finite()) {
            // Either the ratio or the advantage is beyond what a number holds.
            let coefficient = seen.credit.coefficient.iter().copied().find(|c| !c.is_finite());
            let (field, got) = coefficient.map_or(("ratio", largest), |got| ("advantage", got));
            return Err(MethodError { place, field: field.to_owned(), problem: Problem::NotFinite { got } });
        }
        part.loss += loss;
        ratios.backward(&upstream, mask, part);
        if trained > 0.0 {
            part.metrics.add("clip_fraction", Metric::Mean { total: closed, weight: trained });
            part.metrics.add("ratio_max", Metric::Max(largest));
        }
        Ok(())
    }
}
