//! A method whole: one choice on each axis, from outcomes to row gradients.

use crate::{
    advantage::{Advantage, Credit},
    memory::Memory,
    method_error::MethodError,
    metric::Metrics,
    objective::{Evaluation, Objective, Scope, Seen, Survey},
    reward::RewardRule,
    row::Rows,
    trajectory::{Comparison, Trajectory},
    weight::Weighting,
};

/// The mathematics of a recipe.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Method {
    pub reward: RewardRule,
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
        let mut credits = self.advantage.credit(groups, memory)?;
        for (group, credits) in groups.iter().zip(&mut credits) {
            self.objective.auxiliary.credit(group, credits);
        }
        Ok(credits)
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
