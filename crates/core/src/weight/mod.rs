//! Which actions count in the loss, and how much.
//!
//! Two kinds of weight are kept apart. A *mask* decides which actions are trained: every denominator is computed from
//! it. A *factor* scales the surrogate of an action and is no part of a denominator: halving it halves the gradient.

mod inverse_step_size;
mod loss_mask;
mod malformed;
mod noise;
pub mod parameter_mask;
mod pivots;
mod roles;
mod segments;
mod step;
mod tokens;
mod top_entropy;

use serde::{Deserialize, Serialize};

pub use loss_mask::{Truncated, loss_mask};
pub use malformed::Malformed;
pub use parameter_mask::ParameterMask;
pub use roles::Roles;
pub use step::Step;
pub use tokens::{EntropyScope, Tokens};

use crate::{
    method_error::{MethodError, Place, Problem},
    objective::Seen,
    registry::Entry,
    trajectory::check_column,
};

/// The choices of this axis that a recipe can name.
pub const ENTRIES: &[&Entry] = &[
    &loss_mask::KEEP,
    &loss_mask::MASK,
    &tokens::ALL,
    &top_entropy::ENTRY,
    &pivots::ENTRY,
    &roles::POLICY,
    &segments::ENTRY,
    &step::ONE,
    &inverse_step_size::ENTRY,
    &noise::ENTRY,
    &malformed::SCALE,
];

/// The masks of a batch, in its shape; `None` for what is not counted.
pub type Masks = Vec<Vec<Option<Vec<f64>>>>;

/// The weighting of a recipe: one word a key.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Weighting {
    /// Whether samples that were cut are trained.
    pub truncated: Truncated,
    /// Which actions of a sample are trained.
    pub tokens: Tokens,
    /// Which segments of a sample are trained.
    pub roles: Roles,
    /// A factor for each step of a denoising process.
    pub step: Step,
    /// A factor for spans that were flagged as malformed.
    pub malformed: Malformed,
}

impl Weighting {
    /// Whether every parameter lies in its range; else the key below `weight` and the problem.
    pub fn check(&self) -> Result<(), (String, String)> {
        self.tokens.check()?;
        self.roles.check()?;
        self.malformed.check()
    }

    /// Whether the segments of actions matter.
    pub fn reads_segments(&self) -> bool {
        matches!(self.roles, Roles::Segments { .. })
    }

    /// Whether the mask depends on the policy's rows.
    pub fn reads_rows(&self) -> bool {
        matches!(self.tokens, Tokens::TopEntropy { .. })
    }

    /// The final mask of every trajectory of the batch, in its shape; `None` for one that is not counted
    /// (an auxiliary, a dropped member). Rows may be empty unless [`Weighting::reads_rows`].
    ///
    /// # Errors
    /// A fact or column that is read and not there, a mask or weight that is not finite.
    pub fn masks(&self, batch: &[Vec<Seen<'_>>]) -> Result<Masks, MethodError> {
        let one =
            |g, t, seen: &Seen<'_>| is_counted(seen).then(|| self.mask(Place::trajectory(g, t), seen)).transpose();
        let mut masks = batch
            .iter()
            .enumerate()
            .map(|(g, group)| group.iter().enumerate().map(|(t, seen)| one(g, t, seen)).collect())
            .collect::<Result<Masks, _>>()?;
        self.tokens.apply(batch, &mut masks)?;
        Ok(masks)
    }

    /// The mask before any choice among single actions.
    fn mask(&self, place: Place, seen: &Seen<'_>) -> Result<Vec<f64>, MethodError> {
        let trajectory = seen.trajectory;
        check_column("mask", &trajectory.mask, trajectory.len(), place)?;
        let share = trajectory.weight.unwrap_or(1.0);
        if !share.is_finite() {
            return Err(MethodError { place, field: "weight".to_owned(), problem: Problem::NotFinite { got: share } });
        }
        if self.truncated.cuts(trajectory, place)? {
            return Ok(vec![0.0; trajectory.len()]);
        }
        let mut mask: Vec<f64> = trajectory.mask.iter().map(|m| m * share).collect();
        self.roles.apply(trajectory, place, &mut mask)?;
        Ok(mask)
    }

    /// What the surrogate of an action is multiplied with beside its mask; no part of a denominator.
    /// `None` for 1 everywhere. Where the mask is 0 the factor is 1: nothing is read there.
    ///
    /// # Errors
    /// A fact that is read and not there, or a factor that is not finite.
    pub fn factor(&self, place: Place, seen: &Seen<'_>) -> Result<Option<Vec<f64>>, MethodError> {
        if !is_counted(seen) {
            return Ok(None);
        }
        let mut factor = self.step.factor(seen.trajectory, place)?;
        self.malformed.apply(seen.trajectory, place, &mut factor)?;
        Ok(factor)
    }
}

/// Whether a trajectory has any part in the loss of the members.
fn is_counted(seen: &Seen<'_>) -> bool {
    seen.trajectory.is_member() && seen.credit.is_kept()
}
