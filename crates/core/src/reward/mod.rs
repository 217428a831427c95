//! From the verdicts of several terms to one number an episode.

pub mod combine;
mod control;
pub mod derive;
mod group;
mod kl_penalty;
pub mod noise_rate;
mod parameters;
mod weighted_sum;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

pub use combine::Combine;
pub use control::Control;
pub use derive::{Derive, Derived};
pub use kl_penalty::kl_penalty;
pub use weighted_sum::weighted_sum;

use crate::{memory::Memory, method_error::MethodError, registry::Entry, trajectory::Comparison};
use group::Group;

/// The choices of this axis that a recipe can name: the combiners, then the derived terms.
pub const ENTRIES: &[&Entry] = &joined();

const fn joined() -> [&'static Entry; combine::ENTRIES.len() + derive::ENTRIES.len()] {
    let mut all = [combine::ENTRIES[0]; combine::ENTRIES.len() + derive::ENTRIES.len()];
    let mut i = 0;
    while i < all.len() {
        let combiners = combine::ENTRIES.len();
        all[i] = if i < combiners { combine::ENTRIES[i] } else { derive::ENTRIES[i - combiners] };
        i += 1;
    }
    all
}

/// How terms become a reward: first new terms from old ones, facts and the group, in order, then the combiner.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RewardRule {
    pub derive: Vec<Derived>,
    pub combine: Combine,
    /// Weight of every term in the combiner. A derived term that is not here has the weight it was declared with. A
    /// term of weight 0 is measured and not summed: whatever it says, the reward stays.
    pub weights: BTreeMap<String, f64>,
    /// What is done to the combined rewards that were filled in, to see what learns without them.
    pub control: Control,
}

impl RewardRule {
    /// Fills `reward` wherever a member has none, after adding the derived terms to `rewards`. Does nothing where every
    /// member has its reward. The trajectories of an episode get one reward.
    ///
    /// # Errors
    /// A term or fact that is read and not there, or that the function cannot take.
    pub fn apply(&self, groups: &mut [Comparison], memory: &mut Memory) -> Result<(), MethodError> {
        if groups.iter().flat_map(|g| &g.trajectories).all(|t| !t.is_member() || t.reward.is_some()) {
            return Ok(());
        }
        for derived in &self.derive {
            derived.apply(groups, memory)?;
        }
        let seen = Group::all(groups);
        let combined = self.combine.of(&self.all_weights(), &seen, memory)?;
        let episodes: Vec<Vec<Vec<usize>>> = seen.into_iter().map(|group| group.episodes).collect();
        for ((group, episodes), rewards) in groups.iter_mut().zip(episodes).zip(combined) {
            for (of, reward) in episodes.iter().zip(rewards) {
                for &t in of {
                    let slot = &mut group.trajectories[t].reward;
                    *slot = slot.or(reward);
                }
            }
        }
        self.control.apply(groups, memory);
        Ok(())
    }

    /// The weight of every term, derived ones among them.
    pub fn all_weights(&self) -> BTreeMap<String, f64> {
        let mut weights = self.weights.clone();
        for derived in &self.derive {
            weights.entry(derived.into.clone()).or_insert(derived.weight);
        }
        weights
    }

    /// The first parameter out of its range: its key below `reward`, and what it must be.
    ///
    /// # Errors
    /// Such a parameter, and two derived terms of one name.
    pub fn check(&self) -> Result<(), (String, String)> {
        let mut names = BTreeSet::new();
        for (i, derived) in self.derive.iter().enumerate() {
            let fault = |(key, problem): (String, String)| (format!("derive.{i}.{key}"), problem);
            derived.check().map_err(fault)?;
            if !names.insert(&derived.into) {
                return Err(fault(("into".to_owned(), format!("`{}` is already a derived term", derived.into))));
            }
        }
        self.combine.check().map_err(|(key, problem)| (format!("combine.{key}"), problem))?;
        match self.weights.iter().find(|(_, weight)| !weight.is_finite()) {
            Some((name, _)) => Err((format!("weights.{name}"), "must be a finite number".to_owned())),
            None => Ok(()),
        }
    }
}
