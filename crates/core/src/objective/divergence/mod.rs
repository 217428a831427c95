//! Estimates of the divergence from the reference, from one sampled action.

mod corrected;
mod exact;
mod k1;
mod k2;
mod k3;

use serde::{Deserialize, Serialize};

use super::{Evaluation, Seen, above_zero, log_ratio::ratio};
use crate::{
    method_error::{MethodError, Place, Problem},
    metric::Metric,
    registry::Entry,
    trajectory::check_column,
};

/// The choices of this axis.
pub(super) const ENTRIES: [&Entry; 7] =
    [&k1::ENTRY, &k2::ENTRY, &k3::ENTRY, &k1::ABS, &exact::ENTRY, &corrected::ENTRY, &k3::CLAMPED];

/// A divergence with its coefficient.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Divergence {
    pub estimator: Estimator,
    /// Above 0.
    pub coefficient: f64,
}

impl Default for Divergence {
    /// k3 with the coefficient of Shao et al. 2024, arXiv 2402.03300, section 4.2.
    fn default() -> Self {
        Self { estimator: Estimator::default(), coefficient: 0.04 }
    }
}

/// Estimators of `KL(policy || reference)`, with `d = logp - ref_logp`. Each variant's file has its formula.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Estimator {
    /// `d`: unbiased in value; as a loss its gradient is 0 in expectation.
    K1,
    /// `d^2 / 2`: biased in value; its on-policy gradient is the KL's.
    K2,
    /// `exp(-d) + d - 1`: unbiased and never negative.
    #[default]
    K3,
    /// `|d|`.
    Abs,
    /// The exact divergence of the action's distribution: the column `kl_ref`.
    Exact,
    /// `r k3`, `r = exp(logp - old_logp)`.
    Corrected,
    /// `k3` with bounds on the difference and on the estimate.
    K3Clamped {
        /// In nats; above 0.
        #[serde(default = "k3::difference")]
        difference: f64,
        /// In nats; above 0.
        #[serde(default = "k3::value")]
        value: f64,
    },
}

impl Estimator {
    /// Whether the estimate is made from `ref_logp`; else from `kl_ref`.
    pub fn reads_reference(self) -> bool {
        self != Estimator::Exact
    }

    /// The estimate and its derivative by `logp`; `old_logp` is read by `corrected` only.
    ///
    /// `None` for `exact`, which has no estimate from a sampled action.
    #[inline]
    pub fn of(self, logp: f64, ref_logp: f64, old_logp: f64) -> Option<(f64, f64)> {
        let d = logp - ref_logp;
        Some(match self {
            Estimator::K1 => (d, 1.0),
            Estimator::K2 => (0.5 * d * d, d),
            Estimator::K3 => k3::of(d),
            Estimator::Abs => k1::abs(d),
            Estimator::Exact => return None,
            Estimator::Corrected => corrected::of(d, ratio(logp, old_logp)),
            Estimator::K3Clamped { difference, value } => k3::clamped(d, difference, value),
        })
    }
}

impl Divergence {
    /// Whether the parameters are in range: the key and what is wrong with it.
    pub fn check(&self) -> Result<(), (String, String)> {
        above_zero("coefficient", self.coefficient)?;
        if let Estimator::K3Clamped { difference, value } = self.estimator {
            above_zero("estimator.k3_clamped.difference", difference)?;
            above_zero("estimator.k3_clamped.value", value)?;
        }
        Ok(())
    }

    /// Adds `weight * coefficient * estimate` of every trained action of a member.
    pub(super) fn evaluate(
        &self,
        seen: &Seen<'_>,
        weight: &[f64],
        place: Place,
        part: &mut Evaluation,
    ) -> Result<(), MethodError> {
        if !seen.trajectory.is_member() {
            return Ok(());
        }
        let field = if self.estimator.reads_reference() { "ref_logp" } else { "kl_ref" };
        let column = match self.estimator {
            Estimator::Exact => &seen.rows.kl_ref,
            _ => &seen.trajectory.ref_logp,
        };
        let column = column.as_ref().ok_or_else(|| MethodError::missing(place, field))?;
        check_column(field, column, weight.len(), place)?;
        let (mut loss, mut total, mut trained) = (0.0, 0.0, 0.0);
        if self.estimator == Estimator::Exact {
            for ((d, w), kl) in part.d_kl_ref().iter_mut().zip(weight).zip(column).filter(|((_, w), _)| **w != 0.0) {
                *d += w * self.coefficient;
                loss += w * self.coefficient * kl;
                total += kl;
                trained += 1.0;
            }
        } else {
            let columns = seen.rows.logp.iter().zip(column).zip(seen.old_logp);
            let slots = part.gradients.logp.iter_mut().zip(weight);
            for (((p, q), old), (d, w)) in columns.zip(slots).filter(|(_, (_, w))| **w != 0.0) {
                let (value, slope) = self.estimator.of(*p, *q, *old).unwrap_or_default();
                loss += w * self.coefficient * value;
                *d += w * self.coefficient * slope;
                total += value;
                trained += 1.0;
            }
        }
        if !loss.is_finite() {
            return Err(MethodError { place, field: field.to_owned(), problem: Problem::NotFinite { got: total } });
        }
        part.loss += loss;
        part.metrics.add("kl", Metric::Mean { total, weight: trained });
        Ok(())
    }
}
