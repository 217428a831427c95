//! From the verdicts of several terms to one number an episode.

mod combine;
mod derive;
mod kl_penalty;
mod weighted_sum;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use combine::Combine;
pub use derive::{Derive, Derived};
pub use kl_penalty::kl_penalty;
pub use weighted_sum::weighted_sum;

use crate::{memory::Memory, method_error::MethodError, registry::Entry, trajectory::Comparison};

/// The choices of this axis that a recipe can name.
pub const ENTRIES: &[&Entry] = &[];

/// How terms become a reward: first new terms from old ones, facts and the group, in order, then the combiner.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RewardRule {
    pub derive: Vec<Derived>,
    pub combine: Combine,
    /// Weight of every term in the combiner, derived ones among them.
    pub weights: BTreeMap<String, f64>,
}

impl RewardRule {
    /// Fills `reward` wherever a member has none, after adding the derived terms to `rewards`. Does nothing where every
    /// member has its reward.
    ///
    /// # Errors
    /// A term or fact that is read and not there.
    pub fn apply(&self, groups: &mut [Comparison], memory: &mut Memory) -> Result<(), MethodError> {
        if groups.iter().flat_map(|g| &g.trajectories).all(|t| !t.is_member() || t.reward.is_some()) {
            return Ok(());
        }
        for derived in &self.derive {
            derived.apply(groups, memory)?;
        }
        let combined = self.combine.of(&self.weights, groups, memory)?;
        for (group, rewards) in groups.iter_mut().zip(combined) {
            for (trajectory, reward) in group.trajectories.iter_mut().zip(rewards) {
                if trajectory.is_member() && trajectory.reward.is_none() {
                    trajectory.reward = reward;
                }
            }
        }
        Ok(())
    }
}
