//! Trajectories that are trained beside the comparison.

use serde::{Deserialize, Serialize};

use crate::{advantage::Credit, trajectory::Comparison};

/// The likelihood of auxiliaries: `-c sum_t mask_t logp_t / groups`, with `c` the trajectory's own weight or
/// `coefficient` (ExPO, 2025, arXiv 2507.02834, with 0.04). They have no reward, no advantage and no part in any
/// statistic or denominator; KL and entropy do not apply to them. The sum is not divided by length.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Auxiliary {
    /// Of a trajectory without a weight of its own; at least 0.
    pub coefficient: f64,
    pub apply: Apply,
}

impl Default for Auxiliary {
    fn default() -> Self {
        Self { coefficient: 1.0, apply: Apply::Always }
    }
}

/// In which groups auxiliaries are trained.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Apply {
    /// In every step.
    #[default]
    Always,
    /// Only where members have rewards and none is above 0; elsewhere the coefficient is 0. Ours.
    AllWrong,
}

impl Auxiliary {
    /// # Errors
    /// The key and what is wrong with its value.
    pub fn check(&self) -> Result<(), (String, String)> {
        super::surrogate::not_negative("coefficient", self.coefficient)
    }

    /// Whether a group's auxiliaries are trained, by the rewards of its members.
    pub(crate) fn applies(&self, group: &Comparison) -> bool {
        let mut rewards = group.trajectories.iter().filter(|t| t.is_member()).filter_map(|t| t.reward).peekable();
        match self.apply {
            Apply::Always => true,
            Apply::AllWrong => rewards.peek().is_some() && rewards.all(|r| r <= 0.0),
        }
    }

    /// Puts down the coefficients of a group's auxiliaries; 0 where they are not trained.
    pub(crate) fn credit(&self, group: &Comparison, applies: bool, credits: &mut [Credit]) {
        for (trajectory, credit) in group.trajectories.iter().zip(credits).filter(|(t, _)| !t.is_member()) {
            let own = trajectory.weight.unwrap_or(self.coefficient);
            *credit = Credit::uniform(if applies { own } else { 0.0 }, trajectory.len());
        }
    }
}
