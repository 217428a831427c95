//! From terms to one reward.

mod gate;
mod ladder;
mod log_tame;
mod minimum_if_wrong;
mod normalise_then_sum;
mod product;
mod router;
mod selected;
mod sum;
mod switch;
mod tiers;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use gate::Gate;
pub use ladder::{Ladder, Rung};
pub use log_tame::LogTame;
pub use minimum_if_wrong::MinimumIfWrong;
pub use normalise_then_sum::NormaliseThenSum;
pub use router::Router;
pub use switch::{By, Switch};
pub use tiers::{Tier, Tiers};

use super::group::Group;
use crate::{memory::Memory, method_error::MethodError, registry::Entry};
use selected::Selected;

pub(super) const ENTRIES: &[&Entry] = &[
    &gate::ENTRY,
    &ladder::ENTRY,
    &log_tame::ENTRY,
    &minimum_if_wrong::ENTRY,
    &normalise_then_sum::ENTRY,
    &product::ENTRY,
    &router::ENTRY,
    &switch::ENTRY,
    &tiers::ENTRY,
    &sum::ENTRY,
];

/// How the terms of an episode become its reward.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Combine {
    /// `sum of weight * value` over the terms that scored.
    #[default]
    WeightedSum,
    /// The product of `weight * value`.
    Product,
    NormaliseThenSum(NormaliseThenSum),
    LogTame(LogTame),
    Gate(Gate),
    Tiers(Tiers),
    Ladder(Ladder),
    MinimumIfWrong(MinimumIfWrong),
    Router(Router),
    Switch(Switch),
}

/// A combiner's reward of every episode, group by group; `None` where no number can be given honestly.
type Rewards = Result<Vec<Vec<Option<f64>>>, MethodError>;

impl Combine {
    /// The reward of every episode.
    pub(super) fn of(&self, weights: &BTreeMap<String, f64>, groups: &[Group<'_>], memory: &mut Memory) -> Rewards {
        match self {
            Combine::WeightedSum => {
                let all = Selected::all(weights);
                episode_by_episode(groups, |group, e| all.sum(group, e))
            }
            Combine::Product => {
                let all = Selected::all(weights);
                episode_by_episode(groups, |group, e| product::of(&all, group, e))
            }
            Combine::NormaliseThenSum(by) => by.of(weights, groups),
            Combine::LogTame(by) => by.of(weights, groups),
            Combine::Gate(by) => episode_by_episode(groups, |group, e| by.of(weights, group, e)),
            Combine::Tiers(by) => episode_by_episode(groups, |group, e| by.of(weights, group, e)),
            Combine::Ladder(by) => episode_by_episode(groups, |group, e| by.of(weights, group, e)),
            Combine::MinimumIfWrong(by) => episode_by_episode(groups, |group, e| by.of(weights, group, e)),
            Combine::Router(by) => episode_by_episode(groups, |group, e| by.of(weights, group, e)),
            Combine::Switch(by) => by.of(weights, groups, memory),
        }
    }

    /// The first parameter out of its range: its key below `reward.combine`, and what it must be.
    ///
    /// # Errors
    /// Such a parameter.
    pub fn check(&self) -> Result<(), (String, String)> {
        let (name, result) = match self {
            Combine::WeightedSum | Combine::Product => return Ok(()),
            Combine::NormaliseThenSum(by) => (normalise_then_sum::ENTRY.name, by.check()),
            Combine::LogTame(by) => (log_tame::ENTRY.name, by.check()),
            Combine::Gate(by) => (gate::ENTRY.name, by.check()),
            Combine::Tiers(by) => (tiers::ENTRY.name, by.check()),
            Combine::Ladder(by) => (ladder::ENTRY.name, by.check()),
            Combine::MinimumIfWrong(by) => (minimum_if_wrong::ENTRY.name, by.check()),
            Combine::Router(by) => (router::ENTRY.name, by.check()),
            Combine::Switch(by) => (switch::ENTRY.name, by.check()),
        };
        result.map_err(|(key, problem)| (format!("{name}.{key}"), problem))
    }
}

fn episode_by_episode(
    groups: &[Group<'_>],
    of: impl Fn(&Group<'_>, usize) -> Result<Option<f64>, MethodError>,
) -> Rewards {
    groups.iter().map(|group| (0..group.len()).map(|e| of(group, e)).collect()).collect()
}

/// What every combiner needs.
mod prelude {
    pub(super) use super::{
        super::{
            group::{Group, deviation, mean},
            parameters::*,
        },
        Rewards,
        selected::Selected,
    };
    pub(super) use crate::{
        memory::Memory,
        method_error::MethodError,
        outcome::Outcome,
        registry::{Axis, Entry, Parameter},
    };
    pub(super) use std::collections::BTreeMap;

    #[cfg(test)]
    pub(super) fn rewards(combine: &super::Combine, weights: &[(&str, f64)], group: &crate::Comparison) -> Vec<f64> {
        let weights = table_of(weights);
        let groups = [Group::new(0, group)];
        let rewards = combine.of(&weights, &groups, &mut Memory::default()).unwrap();
        rewards[0].iter().map(|r| r.unwrap_or(f64::NAN)).collect()
    }

    #[cfg(test)]
    pub(super) fn table_of(rows: &[(&str, f64)]) -> BTreeMap<String, f64> {
        rows.iter().map(|(name, x)| ((*name).to_owned(), *x)).collect()
    }

    #[cfg(test)]
    pub(super) use super::super::group::testing::{close, group, label};
}
