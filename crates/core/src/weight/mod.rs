//! Which actions count in the loss, and how much.

mod loss_mask;

use serde::{Deserialize, Serialize};

pub use loss_mask::{Truncated, loss_mask};

use crate::{method_error::MethodError, objective::Seen, registry::Entry};

/// The choices of this axis that a recipe can name.
pub const ENTRIES: &[&Entry] = &[];

/// The weighting of a recipe.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Weighting {
    pub truncated: Truncated,
}

impl Weighting {
    /// Whether the mask depends on the policy's rows.
    pub fn reads_rows(&self) -> bool {
        false
    }

    /// The final mask of every trajectory of the batch, in its shape; `None` for one that is not counted
    /// (an auxiliary, a dropped member). Rows may be empty unless [`Weighting::reads_rows`].
    pub fn masks(&self, batch: &[Vec<Seen<'_>>]) -> Result<Vec<Vec<Option<Vec<f64>>>>, MethodError> {
        let counted = |seen: &Seen<'_>| seen.trajectory.is_member() && seen.credit.is_kept();
        Ok(batch
            .iter()
            .map(|group| group.iter().map(|seen| counted(seen).then(|| self.mask(seen))).collect())
            .collect())
    }

    fn mask(&self, seen: &Seen<'_>) -> Vec<f64> {
        let share = seen.trajectory.weight.unwrap_or(1.0);
        seen.trajectory.mask.iter().map(|m| m * share).collect()
    }

    /// What the surrogate of an action is multiplied with beside its mask; no part of a denominator.
    /// `None` for 1 everywhere.
    pub fn factor(&self, seen: &Seen<'_>) -> Result<Option<Vec<f64>>, MethodError> {
        let _ = seen;
        Ok(None)
    }
}
