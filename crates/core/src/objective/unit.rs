//! What a comparison inside a group is about: episodes with their trained actions.

use std::collections::BTreeMap;

use super::{Evaluation, Seen};
use crate::method_error::{MethodError, Place, Problem};

/// One episode of a group, compared as a whole.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Unit {
    /// Its trajectories that have trained actions; at least one.
    pub trajectories: Vec<usize>,
    /// Number of trained actions; at least 1.
    pub trained: f64,
    pub reward: Option<f64>,
    /// The coefficient of its first trained action.
    pub credit: f64,
}

/// The positions with a mask that is not 0; none for what is not counted.
pub(super) fn trained(mask: Option<&Vec<f64>>) -> impl Iterator<Item = usize> + '_ {
    mask.into_iter().flatten().enumerate().filter(|(_, m)| **m != 0.0).map(|(i, _)| i)
}

/// The episodes with at least one trained action, in order of first appearance. `masks` may be over any denominator.
pub(super) fn units(g: usize, group: &[Seen<'_>], masks: &[Option<Vec<f64>>]) -> Result<Vec<Unit>, MethodError> {
    let mut units: Vec<Unit> = Vec::new();
    let mut of_episode = BTreeMap::new();
    for (t, seen) in group.iter().enumerate().filter(|(_, seen)| seen.trajectory.is_member()) {
        let at = *of_episode.entry(seen.trajectory.episode).or_insert(units.len());
        if at == units.len() {
            let reward = finite_reward(seen, Place::trajectory(g, t))?;
            units.push(Unit { trajectories: Vec::new(), trained: 0.0, reward, credit: 0.0 });
        }
        let unit = &mut units[at];
        let Some(first) = trained(masks[t].as_ref()).next() else { continue };
        if unit.trajectories.is_empty() {
            unit.credit = seen.credit.coefficient[first];
        }
        unit.trajectories.push(t);
        unit.trained += trained(masks[t].as_ref()).count() as f64;
    }
    units.retain(|unit| !unit.trajectories.is_empty());
    Ok(units)
}

/// The rewards of the group's scored episodes, trained or not.
pub(super) fn rewards(g: usize, group: &[Seen<'_>]) -> Result<Vec<f64>, MethodError> {
    let mut of_episode = BTreeMap::new();
    for (t, seen) in group.iter().enumerate().filter(|(_, seen)| seen.trajectory.is_member()) {
        let reward = finite_reward(seen, Place::trajectory(g, t))?;
        of_episode.entry(seen.trajectory.episode).or_insert(reward);
    }
    Ok(of_episode.into_values().flatten().collect())
}

fn finite_reward(seen: &Seen<'_>, place: Place) -> Result<Option<f64>, MethodError> {
    match seen.trajectory.reward {
        Some(got) if !got.is_finite() => {
            Err(MethodError { place, field: "reward".to_owned(), problem: Problem::NotFinite { got } })
        }
        reward => Ok(reward),
    }
}

impl Unit {
    /// Adds a loss to the first trajectory, and its slope by the log-ratio of the episode to every trained action.
    pub fn put(&self, loss: f64, slope: f64, masks: &[Option<Vec<f64>>], parts: &mut [Evaluation]) {
        parts[self.trajectories[0]].loss += loss;
        for &t in &self.trajectories {
            for i in trained(masks[t].as_ref()) {
                parts[t].gradients.logp[i] += slope;
            }
        }
    }

    /// The sum of `of(trajectory, action)` over the trained actions.
    pub fn sum(&self, masks: &[Option<Vec<f64>>], of: impl Fn(usize, usize) -> f64) -> f64 {
        self.trajectories.iter().map(|&t| trained(masks[t].as_ref()).map(|i| of(t, i)).sum::<f64>()).sum()
    }

    /// The log-ratio of the whole: the sum of `logp - old_logp` over the trained actions.
    pub fn log_ratio(&self, group: &[Seen<'_>], masks: &[Option<Vec<f64>>]) -> f64 {
        self.sum(masks, |t, i| group[t].rows.logp[i] - group[t].old_logp[i])
    }
}

/// The mean, exact where all values are equal; 0 for none.
pub(super) fn mean(values: &[f64]) -> f64 {
    match values {
        [] => 0.0,
        [first, ..] => first + values.iter().map(|v| v - first).sum::<f64>() / values.len() as f64,
    }
}
