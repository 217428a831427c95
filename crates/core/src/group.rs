//! What is rewarded (an episode) and what is compared (a group).

use serde::{Deserialize, Serialize};

use crate::{facts::Facts, outcome::Outcome, sample::Sample};

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
    /// What environment and strategy recorded of it.
    pub facts: Facts,
    pub cost: Cost,
}

impl Episode {
    /// An episode of these samples, not scored yet.
    pub fn of_samples(samples: Vec<Sample>) -> Self {
        let cost = Cost {
            context_tokens: samples.iter().map(|s| s.sampled_under.token_count() as u64).sum(),
            sampled_actions: samples.iter().map(|s| s.actions.len() as u64).sum(),
            calls: 0,
        };
        Self { samples, rewards: Vec::new(), outcome: None, facts: Facts::default(), cost }
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
}

/// A sample beside the comparison, for example a self-explanation's likelihood.
#[derive(Clone, Debug, PartialEq)]
pub struct Auxiliary {
    pub sample: Sample,
    /// Its own; without one the recipe's (`objective.auxiliary`).
    pub coefficient: Option<f64>,
}

impl Group {
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
        let group = |rewards: &[Option<f64>]| Group {
            key: GroupKey(0),
            episodes: rewards.iter().map(|&outcome| Episode { outcome, ..Episode::of_samples(Vec::new()) }).collect(),
            auxiliary: Vec::new(),
            facts: Facts::default(),
        };
        assert!(group(&[Some(1.0), None, Some(0.5)]).has_signal());
        assert!(!group(&[Some(1.0), None, Some(1.0)]).has_signal());
        assert!(!group(&[None, Some(1.0)]).has_signal() && !group(&[]).has_signal());
        assert!(group(&[Some(0.0), None, Some(2.0)]).scored().eq([0.0, 2.0]));
    }
}
