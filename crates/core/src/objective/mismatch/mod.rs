//! Corrections of the mismatch between the sampler and the trainer.

mod mask;
mod truncate;

use serde::{Deserialize, Serialize};

use super::{Scope, Seen, above_zero};
use crate::{
    method_error::{MethodError, Place},
    registry::Entry,
    trajectory::check_column,
};

/// The choices of this axis.
pub(super) const ENTRIES: [&Entry; 3] = [&truncate::NONE, &truncate::ENTRY, &mask::ENTRY];

/// A factor on the surrogate of every action, from `w = exp(old_logp - behaviour_logp)`, where the sampler's
/// log-probability is that under its truncated distribution if it truncated: constant in the derivative,
/// no part of a denominator, and nothing to divergence and entropy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Mismatch {
    /// 1.
    #[default]
    None,
    /// `clip(w, floor, cap)`.
    Truncate {
        /// Above 0.
        #[serde(default = "two")]
        cap: f64,
        /// At least 0, below `cap`.
        #[serde(default)]
        floor: f64,
        #[serde(default)]
        level: Level,
    },
    /// `w` inside `[low, high]`, else 0.
    Mask {
        /// At least 0.
        #[serde(default = "half")]
        low: f64,
        /// Above `low`.
        #[serde(default = "two")]
        high: f64,
        #[serde(default)]
        level: Level,
    },
}

/// The unit that one weight covers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// A weight an action.
    #[default]
    Token,
    /// A weight a trajectory: the product over its trained actions.
    Sequence,
    /// A weight a trajectory: the geometric mean over its trained actions.
    Geometric,
}

fn half() -> f64 {
    0.5
}

fn two() -> f64 {
    2.0
}

impl Mismatch {
    /// Whether `behaviour_logp` must be there.
    pub fn reads_behaviour(self) -> bool {
        self != Mismatch::None
    }

    /// Whether the parameters are in range: the key and what is wrong with it.
    pub fn check(&self) -> Result<(), (String, String)> {
        let (word, names, low, high) = match *self {
            Mismatch::None => return Ok(()),
            Mismatch::Truncate { cap, floor, .. } => ("truncate", ("floor", "cap"), floor, cap),
            Mismatch::Mask { low, high, .. } => ("mask", ("low", "high"), low, high),
        };
        if !(low >= 0.0 && low.is_finite()) {
            return Err((format!("{word}.{}", names.0), format!("is {low}, and must be at least 0")));
        }
        above_zero(&format!("{word}.{}", names.1), high)?;
        if high > low {
            Ok(())
        } else {
            Err((format!("{word}.{}", names.1), format!("is {high}, and must be above {} = {low}", names.0)))
        }
    }

    pub(super) fn scope(self) -> Scope {
        match self {
            Mismatch::None
            | Mismatch::Truncate { level: Level::Token, .. }
            | Mismatch::Mask { level: Level::Token, .. } => Scope::Action,
            Mismatch::Truncate { .. } | Mismatch::Mask { .. } => Scope::Sequence,
        }
    }

    /// The factor of every action of a member; `None` for 1 everywhere. `mask` is the final one, and only whether it
    /// is 0 counts.
    ///
    /// # Errors
    /// `behaviour_logp` is not there.
    pub fn factor(self, seen: &Seen<'_>, mask: &[f64], place: Place) -> Result<Option<Vec<f64>>, MethodError> {
        let (level, of): (Level, Box<dyn Fn(f64) -> f64>) = match self {
            Mismatch::None => return Ok(None),
            Mismatch::Truncate { cap, floor, level } => (level, Box::new(move |w| truncate::of(w, floor, cap))),
            Mismatch::Mask { low, high, level } => (level, Box::new(move |w| mask::of(w, low, high))),
        };
        if !seen.trajectory.is_member() {
            return Ok(None);
        }
        // Where the sampler truncated, it is the truncated distribution that actions came from.
        let (field, behaviour) = match &seen.trajectory.truncated_logp {
            Some(truncated) => ("truncated_logp", Some(truncated)),
            None => ("behaviour_logp", seen.trajectory.behaviour_logp.as_ref()),
        };
        let behaviour = behaviour.ok_or_else(|| MethodError::missing(place, field))?;
        check_column(field, behaviour, mask.len(), place)?;
        let gap = |i: usize| seen.old_logp[i] - behaviour[i];
        let trained = || (0..mask.len()).filter(|&i| mask[i] != 0.0);
        Ok(Some(match level {
            Level::Token => (0..mask.len()).map(|i| if mask[i] == 0.0 { 1.0 } else { of(gap(i).exp()) }).collect(),
            Level::Sequence => vec![of(trained().map(gap).sum::<f64>().exp()); mask.len()],
            Level::Geometric => {
                let count = trained().count().max(1) as f64;
                vec![of((trained().map(gap).sum::<f64>() / count).exp()); mask.len()]
            }
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{advantage::Credit, row::Rows, trajectory::Trajectory};

    #[test]
    fn weights_are_from_the_distribution_that_was_drawn_from() {
        let rows = Rows { logp: vec![-1.0, -2.0], entropy: vec![1.0; 2], ..Rows::default() };
        let mut trajectory =
            Trajectory { mask: vec![1.0; 2], behaviour_logp: Some(rows.logp.clone()), ..Trajectory::default() };
        let credit = Credit::uniform(1.0, 2);
        let factor = |trajectory: &Trajectory, mismatch: Mismatch| {
            let seen = Seen { trajectory, credit: &credit, rows: &rows, old_logp: &rows.logp };
            mismatch.factor(&seen, &trajectory.mask, Place::default()).unwrap()
        };
        let truncate = Mismatch::Truncate { cap: 2.0, floor: 0.0, level: Level::Token };
        assert_eq!(factor(&trajectory, truncate), Some(vec![1.0, 1.0]));
        // Half of the distribution was left: the action was drawn twice as often as the whole would.
        trajectory.truncated_logp = Some(vec![-1.0 + std::f64::consts::LN_2, -2.0]);
        let half = factor(&trajectory, truncate).unwrap();
        assert!((half[0] - 0.5).abs() < 1e-12 && half[1] == 1.0, "{half:?}");
        let sequence = Mismatch::Mask { low: 0.5001, high: 2.0, level: Level::Sequence };
        assert_eq!(factor(&trajectory, sequence), Some(vec![0.0; 2]));
        assert_eq!(factor(&trajectory, Mismatch::None), None);
        trajectory.truncated_logp = Some(vec![-1.0]);
        let seen = Seen { trajectory: &trajectory, credit: &credit, rows: &rows, old_logp: &rows.logp };
        let error = truncate.factor(&seen, &trajectory.mask, Place::default()).unwrap_err();
        assert_eq!(error.field, "truncated_logp");
    }
}
