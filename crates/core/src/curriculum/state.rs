//! What a curriculum remembers, and a checkpoint keeps.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

/// The most visits of a prompt that are remembered.
pub const HISTORY: usize = 64;

/// What was seen so far. Serialises to the same choices: nothing else is remembered anywhere.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CurriculumState {
    /// By the prompt's index.
    pub prompts: BTreeMap<u64, PromptRecord>,
    /// The mean rewards of the latest groups, oldest first; kept where a recipe reads them.
    pub window: VecDeque<f64>,
    /// The mean divergences of the latest groups, oldest first; kept where a recipe reads them.
    pub kl: VecDeque<f64>,
    /// Prompts that come first at the next step.
    pub carry: Vec<u64>,
}

/// What was seen of one prompt.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PromptRecord {
    /// Groups that were drawn for it.
    pub seen: u64,
    /// The latest steps in which it was scored, oldest first: as many as the recipe reads, at most [`HISTORY`].
    pub visits: VecDeque<Visit>,
    /// The mean reward by which it is sorted: that of the first visit; a 0 gives way to the first later one that is not.
    pub rate: Option<f64>,
    /// Its hint level.
    pub level: u32,
    /// The step at which it is looked at again.
    pub deferred_until: Option<u64>,
}

/// The rewards of one prompt in one step.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Visit {
    /// 0 for what was measured before the first step.
    pub step: u64,
    pub mean: f64,
    /// The population variance; `None` for fewer than two rewards.
    pub variance: Option<f64>,
}

impl CurriculumState {
    pub(super) fn record(&self, prompt: usize) -> Option<&PromptRecord> {
        self.prompts.get(&(prompt as u64))
    }

    /// Notes rewards that were measured before the first step, by the starting policy.
    pub fn measure(&mut self, prompt: usize, rewards: &[Option<f64>]) {
        self.prompts.entry(prompt as u64).or_default().visit(0, &scored(rewards), HISTORY);
    }

    pub(super) fn push_mean(&mut self, scored: &[f64], width: usize) {
        push(&mut self.window, mean(scored), width);
    }

    pub(super) fn push_kl(&mut self, kl: Option<f64>, width: usize) {
        push(&mut self.kl, kl.filter(|kl| kl.is_finite()), width);
    }
}

impl PromptRecord {
    /// Notes a visit and keeps the latest `history`; without any nothing is noted.
    pub(super) fn visit(&mut self, step: u64, scored: &[f64], history: usize) {
        let Some(mean) = mean(scored).filter(|_| history > 0) else { return };
        self.visits.push_back(Visit { step, mean, variance: (scored.len() > 1).then(|| variance(scored)) });
        self.visits.drain(..self.visits.len().saturating_sub(history));
        if self.rate.is_none_or(|rate| rate == 0.0) {
            self.rate = Some(mean);
        }
    }

    pub(super) fn is_deferred(&self, step: u64) -> bool {
        self.deferred_until.is_some_and(|until| until > step)
    }

    pub(super) fn is_due(&self, step: u64) -> bool {
        self.deferred_until.is_some_and(|until| until <= step)
    }

    /// Whether what is known of it is `recheck` steps old.
    pub(super) fn is_stale(&self, step: u64, recheck: u64) -> bool {
        self.visits.back().is_none_or(|visit| visit.step.saturating_add(recheck) <= step)
    }
}

fn push(window: &mut VecDeque<f64>, value: Option<f64>, width: usize) {
    window.extend(value);
    while window.len() > width {
        window.pop_front();
    }
}

/// The rewards that are numbers.
pub(super) fn scored(rewards: &[Option<f64>]) -> Vec<f64> {
    rewards.iter().flatten().copied().filter(|r| r.is_finite()).collect()
}

/// Exact where all values are equal, and of 0s and 1s the same in any order, so that equal rates tie.
pub(super) fn mean(values: &[f64]) -> Option<f64> {
    let first = values.first()?;
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    Some(if values.iter().all(|v| v == first) { *first } else { mean })
}

/// The population variance; exactly 0 where all values are equal.
pub(super) fn variance(values: &[f64]) -> f64 {
    let centre = mean(values).unwrap_or(0.0);
    values.iter().map(|v| (v - centre).powi(2)).sum::<f64>() / values.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn history_is_bounded_and_the_first_rate_stays() {
        let mut record = PromptRecord::default();
        for step in 1..=HISTORY as u64 + 5 {
            record.visit(step, &[step as f64, step as f64], HISTORY);
        }
        assert_eq!(record.visits.len(), HISTORY);
        assert_eq!(record.visits[0], Visit { step: 6, mean: 6.0, variance: Some(0.0) });
        assert_eq!(record.rate, Some(1.0));
    }

    #[test]
    fn a_rate_of_zero_gives_way_and_an_unscored_group_is_no_visit() {
        let mut record = PromptRecord::default();
        record.visit(1, &[], HISTORY);
        assert_eq!((record.rate, record.visits.len()), (None, 0));
        record.visit(2, &[0.0], HISTORY);
        assert_eq!((record.rate, record.visits[0].variance), (Some(0.0), None));
        record.visit(3, &[0.0, 1.0], HISTORY);
        record.visit(4, &[1.0, 1.0], HISTORY);
        assert_eq!(record.rate, Some(0.5));
    }

    #[test]
    fn rewards_that_are_no_numbers_are_unscored() {
        assert_eq!(scored(&[Some(f64::NAN), None, Some(1.0), Some(f64::INFINITY)]), [1.0]);
        assert_eq!(variance(&[0.1; 3]), 0.0, "the sum of three tenths is not exact");
        assert_eq!(mean(&[0.0, 0.0, 1.0]), mean(&[1.0, 0.0, 0.0]), "which of them was right does not matter");
    }
}
