//! What is rewarded (an episode) and what is compared (a group).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{action::Author, facts::Facts, outcome::Outcome, sample::Sample};

/// Identifies the prompt that a group belongs to: its index in the split it was drawn from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct GroupKey(pub u64);

/// What an episode cost, kept or discarded. Seconds are the clock's business and stand
/// in the run's timings; these numbers are the same on every machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cost {
    /// Ids in the contexts of all samples.
    pub context_tokens: u64,
    /// Actions that were sampled.
    pub sampled_actions: u64,
    /// Calls to tools, simulators and verifiers.
    pub calls: u64,
}

impl Cost {
    /// Of a sample that was drawn for nothing else.
    pub fn of_sample(sample: &Sample) -> Self {
        Self {
            context_tokens: sample.sampled_under.token_count() as u64,
            sampled_actions: sample.actions.iter().filter(|a| a.author == Author::Policy).count() as u64,
            calls: 0,
        }
    }
}

impl std::ops::AddAssign for Cost {
    fn add_assign(&mut self, other: Self) {
        self.context_tokens += other.context_tokens;
        self.sampled_actions += other.sampled_actions;
        self.calls += other.calls;
    }
}

/// What is rewarded: one sample for a single turn, several for a dialogue.
#[derive(Clone, Debug, PartialEq)]
pub struct Episode {
    pub samples: Vec<Sample>,
    /// One outcome a reward term, in the order of the recipe's terms; empty until scored.
    pub rewards: Vec<Outcome>,
    /// The combined reward; `None` until scored, and where no number can be given honestly.
    pub outcome: Option<f64>,
    /// The rewards of its numbered parts, dealt out with the combined one; empty where a recipe rewards no parts.
    pub segment_rewards: BTreeMap<u32, f64>,
    /// What environment and strategy recorded of it.
    pub facts: Facts,
    pub cost: Cost,
}

impl Episode {
    /// An episode of these samples, not scored yet.
    pub fn of_samples(samples: Vec<Sample>) -> Self {
        let mut cost = Cost::default();
        samples.iter().for_each(|sample| cost += Cost::of_sample(sample));
        Self {
            samples,
            rewards: Vec::new(),
            outcome: None,
            segment_rewards: BTreeMap::new(),
            facts: Facts::default(),
            cost,
        }
    }

    /// Whether any of its samples was cut at the cap.
    pub fn is_truncated(&self) -> bool {
        self.samples.iter().any(|s| s.stop.is_truncated())
    }

    pub fn action_count(&self) -> usize {
        self.samples.iter().map(|s| s.actions.len()).sum()
    }
}

/// Episodes that are compared with each other.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    pub key: GroupKey,
    pub episodes: Vec<Episode>,
    /// Samples that are trained with a coefficient of their own and no advantage.
    pub auxiliary: Vec<Auxiliary>,
    /// What was recorded of the group as a whole.
    pub facts: Facts,
    /// What was spent beside its episodes: branches that were pruned, hints, explanations, groups that another one replaced.
    pub spent: Cost,
}

/// A sample beside the comparison, for example a self-explanation's likelihood.
#[derive(Clone, Debug, PartialEq)]
pub struct Auxiliary {
    pub sample: Sample,
    /// Its own; without one the recipe's (`objective.auxiliary`).
    pub coefficient: Option<f64>,
}

impl Group {
    /// A comparison of these episodes, with nothing beside it.
    pub fn of_episodes(key: GroupKey, episodes: Vec<Episode>) -> Self {
        Self { key, episodes, auxiliary: Vec::new(), facts: Facts::default(), spent: Cost::default() }
    }

    /// What the group took, kept or not.
    pub fn cost(&self) -> Cost {
        self.episodes.iter().fold(self.spent, |mut sum, episode| {
            sum += episode.cost;
            sum
        })
    }

    /// Its samples in the order of training: episodes, then auxiliary ones.
    pub fn samples(&self) -> impl Iterator<Item = &Sample> {
        self.episodes.iter().flat_map(|e| &e.samples).chain(self.auxiliary.iter().map(|a| &a.sample))
    }

    /// The combined rewards of the scored episodes.
    pub fn scored(&self) -> impl Iterator<Item = f64> + '_ {
        self.episodes.iter().filter_map(|e| e.outcome)
    }

    /// Whether its scored rewards differ at all: without it no comparison says anything.
    pub fn has_signal(&self) -> bool {
        let mut rewards = self.scored();
        rewards.next().is_some_and(|first| rewards.any(|r| r != first))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signal_is_a_difference_among_the_scored() {
        let group = |rewards: &[Option<f64>]| {
            let episode = |&outcome: &Option<f64>| Episode { outcome, ..Episode::of_samples(Vec::new()) };
            Group::of_episodes(GroupKey(0), rewards.iter().map(episode).collect())
        };
        assert!(group(&[Some(1.0), None, Some(0.5)]).has_signal());
        assert!(!group(&[Some(1.0), None, Some(1.0)]).has_signal());
        assert!(!group(&[None, Some(1.0)]).has_signal() && !group(&[]).has_signal());
        assert!(group(&[Some(0.0), None, Some(2.0)]).scored().eq([0.0, 2.0]));
    }
}
