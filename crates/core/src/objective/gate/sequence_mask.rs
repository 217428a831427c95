//! Bad trajectories that the policy has left behind are not trained.

use serde::{Deserialize, Serialize};

use super::{At, Gated, clip};
use crate::{
    method_error::{MethodError, Place},
    objective::Seen,
    registry::{Axis, Entry, Parameter},
    trajectory::check_column,
};

pub(in crate::objective) const ENTRY: Entry = Entry {
    axis: Axis::Gate,
    name: "sequence_mask",
    summary: "clip, without the bad actions of trajectories that have drifted too far",
    formula: "g = clip's, and 0 where A < 0 and (1/n) sum_i (b_i - logp_i) > delta over the n trained actions of the trajectory, b = old_logp or behaviour_logp; the mask is constant in the derivative, and open exactly at delta. Denominators do not change, and a divergence is not masked",
    parameters: &[
        Parameter { name: "delta", default: "0.5", range: "above 0", meaning: "the most mean drift, in nats" },
        Parameter {
            name: "against",
            default: "old",
            range: "old or behaviour",
            meaning: "the rows that drift is measured from: old_logp or behaviour_logp",
        },
        Parameter { name: "low", default: "0.2", range: "in (0, 1]", meaning: "as under clip" },
        Parameter { name: "high", default: "0.2", range: "above 0", meaning: "as under clip" },
    ],
    reads: &["old_logp", "behaviour_logp (against = behaviour)"],
    source: "DeepSeek-V3.2, arXiv 2512.02556, off-policy sequence masking; TRL's off_policy_mask_threshold",
    unverified: "the paper prints no delta; 0.5 is the value of TRL's example",
    ..Entry::NONE
};

/// Which rows drift is measured from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Against {
    /// The trainer's, at the first pass over the batch.
    #[default]
    Old,
    /// The sampler's.
    Behaviour,
}

/// The mean of `from - logp` over the trained actions; 0 for none.
pub(super) fn drift(
    against: Against,
    seen: &Seen<'_>,
    old: &[f64],
    mask: &[f64],
    place: Place,
) -> Result<f64, MethodError> {
    let from = match against {
        Against::Old => old,
        Against::Behaviour => {
            let field = "behaviour_logp";
            let column = seen.trajectory.behaviour_logp.as_ref().ok_or_else(|| MethodError::missing(place, field))?;
            check_column(field, column, mask.len(), place)?;
            column
        }
    };
    let (mut sum, mut trained) = (0.0, 0.0);
    for ((b, p), _) in from.iter().zip(&seen.rows.logp).zip(mask).filter(|(_, m)| **m != 0.0) {
        sum += b - p;
        trained += 1.0;
    }
    Ok(if trained > 0.0 { sum / trained } else { 0.0 })
}

#[inline]
pub(super) fn of(at: At, delta: f64, low: f64, high: f64) -> Gated {
    if at.advantage < 0.0 && at.drift > delta { Gated::SHUT } else { clip::of(at.ratio, at.advantage, low, high) }
}
