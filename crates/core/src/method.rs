//! A method whole: one choice on each axis, from outcomes to row gradients.

use crate::{
    advantage::{Advantage, Credit},
    memory::Memory,
    method_error::{MethodError, Place},
    metric::Metrics,
    objective::{Evaluation, Objective, Scope, Seen, Survey},
    reward::{RewardRule, kl_penalty},
    row::Rows,
    trajectory::{Comparison, Trajectory, check_column},
    weight::Weighting,
};

/// The mathematics of a recipe.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Method {
    pub reward: RewardRule,
    /// Coefficient of the divergence from the reference that is taken off the reward.
    pub reward_kl: Option<f64>,
    pub advantage: Advantage,
    pub weight: Weighting,
    pub objective: Objective,
}

/// A batch with its rows, for computing a method without a policy.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Study {
    pub groups: Vec<Comparison>,
    /// In the shape of the groups.
    pub rows: Vec<Vec<Rows>>,
    /// `None` where they are the rows.
    pub old_logp: Vec<Vec<Option<Vec<f64>>>>,
}

/// What a method says of a batch.
#[derive(Clone, Debug, PartialEq)]
pub struct Calculation {
    pub credits: Vec<Vec<Credit>>,
    pub loss: f64,
    pub parts: Vec<Vec<Evaluation>>,
    pub metrics: Metrics,
}

impl Study {
    fn see<'a>(&'a self, g: usize, t: usize, trajectory: &'a Trajectory, credit: &'a Credit) -> Seen<'a> {
        let rows = &self.rows[g][t];
        let old_logp = self.old_logp[g][t].as_ref().unwrap_or(&rows.logp);
        Seen { trajectory, credit, rows, old_logp }
    }
}

impl Method {
    /// Rewards and advantages of a batch, in its shape.
    pub fn credit(&self, groups: &mut [Comparison], memory: &mut Memory) -> Result<Vec<Vec<Credit>>, MethodError> {
        self.reward.apply(groups, memory)?;
        // A penalty is no verdict: what is all wrong is so before it.
        let open: Vec<bool> = groups.iter().map(|group| self.objective.auxiliary.applies(group)).collect();
        if let Some(coefficient) = self.reward_kl {
            penalise(groups, coefficient)?;
        }
        let mut credits = self.advantage.credit(groups, memory)?;
        for ((group, credits), open) in groups.iter().zip(&mut credits).zip(open) {
            self.objective.auxiliary.credit(group, open, credits);
        }
        Ok(credits)
    }

    /// Whether every parameter lies in its range.
    ///
    /// # Errors
    /// The recipe's key, and what is wrong with it.
    pub fn check(&self) -> Result<(), (String, String)> {
        fn under(key: &str, checked: Result<(), (String, String)>) -> Result<(), (String, String)> {
            checked.map_err(|(below, problem)| (format!("{key}.{below}"), problem))
        }
        let objective = &self.objective;
        under("reward", self.reward.check())?;
        under("advantage", self.advantage.check())?;
        under("weight", self.weight.check())?;
        under("objective.surrogate", objective.surrogate.check())?;
        under("objective.denominator", objective.denominator.check())?;
        under("objective.entropy", objective.entropy.check())?;
        under("objective.auxiliary", objective.auxiliary.check())?;
        under("objective.mismatch", objective.mismatch.check())?;
        objective.kl.iter().try_for_each(|kl| under("objective.kl", kl.check()))?;
        if self.reward_kl.is_some() && objective.surrogate.reads_correctness() {
            let problem = "cannot stand beside a surrogate that reads rewards of 0 and 1: the penalty moves them";
            return Err(("reward.kl".to_owned(), problem.to_owned()));
        }
        Ok(())
    }

    /// Whether the segments of actions matter.
    pub fn reads_segments(&self) -> bool {
        self.advantage.reads_segments() || self.weight.reads_segments() || self.objective.reads_segments()
    }

    /// Whether a reference policy is needed.
    pub fn reads_reference(&self) -> bool {
        self.objective.reads_reference() || self.reward_kl.is_some()
    }

    /// The scope of objective and weighting together.
    pub fn scope(&self) -> Scope {
        if self.weight.reads_rows() { Scope::Batch } else { self.objective.scope() }
    }

    pub fn survey(&self, batch: &[Vec<Seen<'_>>]) -> Result<Survey, MethodError> {
        self.objective.survey(&self.weight, batch)
    }

    /// The part of group `g` of the surveyed batch.
    pub fn evaluate(&self, g: usize, group: &[Seen<'_>], survey: &Survey) -> Result<Vec<Evaluation>, MethodError> {
        self.objective.evaluate(&self.weight, g, group, survey)
    }

    /// The whole path on given numbers.
    pub fn calculate(&self, study: &Study, memory: &mut Memory) -> Result<Calculation, MethodError> {
        let mut groups = study.groups.clone();
        if self.reward_kl.is_some() {
            // Sampler and trainer are one: without the sampler's row, the old one stands for it.
            for (g, group) in groups.iter_mut().enumerate() {
                for (t, trajectory) in group.trajectories.iter_mut().enumerate() {
                    let old = || study.old_logp[g][t].clone().unwrap_or_else(|| study.rows[g][t].logp.clone());
                    trajectory.behaviour_logp.get_or_insert_with(old);
                }
            }
        }
        let credits = self.credit(&mut groups, memory)?;
        let batch: Vec<Vec<Seen<'_>>> = groups
            .iter()
            .enumerate()
            .map(|(g, group)| {
                group
                    .trajectories
                    .iter()
                    .enumerate()
                    .map(|(t, trajectory)| study.see(g, t, trajectory, &credits[g][t]))
                    .collect()
            })
            .collect();
        let survey = self.survey(&batch)?;
        let parts = batch
            .iter()
            .enumerate()
            .map(|(g, group)| self.evaluate(g, group, &survey))
            .collect::<Result<Vec<_>, _>>()?;
        let loss = parts.iter().flatten().map(|part| part.loss).sum();
        let mut metrics = Metrics::default();
        parts.iter().flatten().for_each(|part| metrics.merge(&part.metrics));
        drop(batch);
        Ok(Calculation { credits, loss, parts, metrics })
    }
}

/// Takes the divergence of every episode from the reference off its reward.
fn penalise(groups: &mut [Comparison], coefficient: f64) -> Result<(), MethodError> {
    for (g, group) in groups.iter_mut().enumerate() {
        for episode in group.episodes() {
            let mut penalty = 0.0;
            for &t in &episode {
                let trajectory = &group.trajectories[t];
                let column = |column: &Option<Vec<f64>>, name: &str| {
                    let place = Place::trajectory(g, t);
                    let column = column.clone().ok_or_else(|| MethodError::missing(place, name))?;
                    check_column(name, &column, trajectory.len(), place).map(|()| column)
                };
                let behaviour = column(&trajectory.behaviour_logp, "behaviour_logp")?;
                penalty += kl_penalty(&behaviour, &column(&trajectory.ref_logp, "ref_logp")?, coefficient);
            }
            for &t in &episode {
                let reward = &mut group.trajectories[t].reward;
                *reward = reward.map(|reward| reward - penalty);
            }
        }
    }
    Ok(())
}
