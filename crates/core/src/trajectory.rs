//! What methods see of a batch: numbers and facts, no contexts and no ids.

use std::collections::BTreeMap;

use crate::{
    facts::{Fact, Facts},
    group::Group,
    method_error::{MethodError, Place, Problem},
    outcome::Outcome,
    sample::Sample,
    weight::{Truncated, loss_mask},
};

/// Whether a trajectory is compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// A member of the group's comparison.
    #[default]
    Member,
    /// Trained with a coefficient of its own; no reward, no part in any statistic or denominator.
    Auxiliary,
}

/// One sample with all that is known of it before the policy's rows. Vectors have one entry an action.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Trajectory {
    pub role: Role,
    /// Trajectories of one group with the same number are one episode: one reward, one entry in the statistics.
    pub episode: usize,
    /// The combined reward; `None` before the combiner, and where no number can be given honestly.
    pub reward: Option<f64>,
    /// The outcomes of the reward terms, by name.
    pub rewards: BTreeMap<String, Outcome>,
    /// Rewards of single segments (a rank, a round, a plan), by segment.
    pub segment_rewards: BTreeMap<u32, f64>,
    /// A member's share of the loss (1 where absent); an auxiliary's own coefficient.
    pub weight: Option<f64>,
    pub facts: Facts,
    /// 1 for an action of the policy, 0 for what others wrote.
    pub mask: Vec<f64>,
    /// The segment of every action.
    pub segment: Vec<u32>,
    pub ref_logp: Option<Vec<f64>>,
    /// The sampler's own row, for corrections of a mismatch between sampler and trainer.
    pub behaviour_logp: Option<Vec<f64>>,
    /// The log-probability under the truncated distribution that the sampler drew from, where it truncated: what
    /// corrections of a mismatch take instead of `behaviour_logp`.
    pub truncated_logp: Option<Vec<f64>>,
}

impl Trajectory {
    /// A member with a sample's masks, segments and behaviour row.
    pub fn of_sample(sample: &Sample) -> Self {
        Self {
            mask: loss_mask(sample, Truncated::Keep),
            segment: sample.actions.iter().map(|a| a.segment).collect(),
            behaviour_logp: (!sample.behaviour.is_empty()).then(|| sample.behaviour.logp.clone()),
            truncated_logp: sample.truncated_logp.clone(),
            ..Self::default()
        }
    }

    /// Number of actions.
    pub fn len(&self) -> usize {
        self.mask.len()
    }

    pub fn is_empty(&self) -> bool {
        self.mask.is_empty()
    }

    pub fn is_member(&self) -> bool {
        self.role == Role::Member
    }

    /// A number that a method reads: a fact, or for `length` without one the number of actions.
    pub fn number(&self, name: &str, place: Place) -> Result<f64, MethodError> {
        let field = || format!("facts.{name}");
        let value = match self.facts.number(name) {
            Some(value) => value,
            None if name == "length" && self.facts.get(name).is_none() => self.len() as f64,
            None => return Err(self.absent(name, place, "a number")),
        };
        if value.is_finite() {
            Ok(value)
        } else {
            Err(MethodError { place, field: field(), problem: Problem::NotFinite { got: value } })
        }
    }

    /// A fact to compare for equality.
    pub fn label(&self, name: &str, place: Place) -> Result<String, MethodError> {
        self.facts.label(name).ok_or_else(|| self.absent(name, place, "a word or a number"))
    }

    /// One finite number an action.
    pub fn list(&self, name: &str, place: Place) -> Result<&[f64], MethodError> {
        let list = self.facts.list(name).ok_or_else(|| self.absent(name, place, "a list of numbers"))?;
        check_column(&format!("facts.{name}"), list, self.len(), place)?;
        Ok(list)
    }

    fn absent(&self, name: &str, place: Place, expected: &str) -> MethodError {
        let field = format!("facts.{name}");
        match self.facts.get(name) {
            None => MethodError::missing(place, field),
            Some(got) => MethodError::unfit(place, field, expected, format!("{got:?}")),
        }
    }
}

/// A column that has one finite number an action.
pub fn check_column(field: &str, column: &[f64], actions: usize, place: Place) -> Result<(), MethodError> {
    let fault = |problem| Err(MethodError { place, field: field.to_owned(), problem });
    if column.len() != actions {
        return fault(Problem::Length { expected: actions, got: column.len() });
    }
    // Without a way out in the middle several numbers are looked at at once.
    if column.iter().fold(true, |all, x| all & x.is_finite()) {
        return Ok(());
    }
    match column.iter().find(|x| !x.is_finite()) {
        Some(&got) => fault(Problem::NotFinite { got }),
        None => Ok(()),
    }
}

/// Trajectories that are compared with each other.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Comparison {
    /// Names the prompt, for what is remembered of it across steps.
    pub key: String,
    /// Facts of the whole group.
    pub facts: Facts,
    pub trajectories: Vec<Trajectory>,
}

impl Comparison {
    /// What methods see of a sampled and judged group; `terms` are the names of the reward terms. The trajectories are in the
    /// order of [`Group::samples`]. Every one has the facts of its episode, `length` in actions, and `truncated`.
    pub fn of_group(group: &Group, terms: &[&str]) -> Self {
        let mut trajectories = Vec::new();
        for (number, episode) in group.episodes.iter().enumerate() {
            let rewards: BTreeMap<String, Outcome> =
                terms.iter().map(|&name| name.to_owned()).zip(episode.rewards.iter().cloned()).collect();
            for sample in &episode.samples {
                let mut facts = episode.facts.clone();
                facts.insert("length", Fact::Number(episode.action_count() as f64));
                facts.insert("truncated", Fact::Flag(sample.stop.is_truncated()));
                trajectories.push(Trajectory {
                    episode: number,
                    reward: episode.outcome,
                    segment_rewards: episode.segment_rewards.clone(),
                    rewards: rewards.clone(),
                    facts,
                    ..Trajectory::of_sample(sample)
                });
            }
        }
        trajectories.extend(group.auxiliary.iter().map(|auxiliary| Trajectory {
            role: Role::Auxiliary,
            weight: auxiliary.coefficient,
            ..Trajectory::of_sample(&auxiliary.sample)
        }));
        Self { key: group.key.0.to_string(), facts: group.facts.clone(), trajectories }
    }

    /// The members' episodes, each as the indices of its trajectories, in order of first appearance.
    pub fn episodes(&self) -> Vec<Vec<usize>> {
        let mut order: Vec<(usize, Vec<usize>)> = Vec::new();
        for (index, trajectory) in self.trajectories.iter().enumerate().filter(|(_, t)| t.is_member()) {
            match order.iter_mut().find(|(episode, _)| *episode == trajectory.episode) {
                Some((_, of)) => of.push(index),
                None => order.push((trajectory.episode, vec![index])),
            }
        }
        order.into_iter().map(|(_, of)| of).collect()
    }
}
