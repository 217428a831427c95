//! From terms to one reward.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::weighted_sum;
use crate::{
    memory::Memory,
    method_error::{MethodError, Place},
    outcome::Outcome,
    trajectory::{Comparison, Trajectory},
};

/// How the terms of an episode become its reward.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Combine {
    /// `sum of weight * value` over the terms that scored.
    #[default]
    WeightedSum,
}

impl Combine {
    /// The reward of every trajectory, in the shape of the batch; `None` where no number can be given honestly.
    pub(super) fn of(
        &self,
        weights: &BTreeMap<String, f64>,
        groups: &[Comparison],
        memory: &mut Memory,
    ) -> Result<Vec<Vec<Option<f64>>>, MethodError> {
        let _ = memory;
        groups
            .iter()
            .enumerate()
            .map(|(g, group)| {
                let of = |(t, trajectory): (usize, &Trajectory)| {
                    if !trajectory.is_member() {
                        return Ok(None);
                    }
                    let (terms, weights) = terms_of(trajectory, weights, Place::trajectory(g, t))?;
                    Ok(weighted_sum(&terms, &weights))
                };
                group.trajectories.iter().enumerate().map(of).collect()
            })
            .collect()
    }
}

/// The outcomes of the weighted terms, in the order of their names, with their weights.
fn terms_of(
    trajectory: &Trajectory,
    weights: &BTreeMap<String, f64>,
    place: Place,
) -> Result<(Vec<Outcome>, Vec<f64>), MethodError> {
    let mut outcomes = Vec::with_capacity(weights.len());
    for name in weights.keys() {
        let outcome = trajectory.rewards.get(name);
        outcomes.push(outcome.cloned().ok_or_else(|| MethodError::missing(place, format!("rewards.{name}")))?);
    }
    Ok((outcomes, weights.values().copied().collect()))
}
