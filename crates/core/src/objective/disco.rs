//! Scores of right answers against scores of wrong ones, under a hinge on the divergence from the old policy.

use serde::{Deserialize, Serialize};

use super::{
    Evaluation, Scope, Seen, Survey,
    surrogate::above_zero,
    unit::{Unit, trained, units},
};
use crate::{
    method_error::{MethodError, Place},
    metric::Metric,
    registry::{Axis, Entry, Parameter},
    trajectory::check_column,
};

pub(super) const ENTRY: Entry = Entry {
    axis: Axis::Surrogate,
    name: "disco",
    summary: "right answers are scored above wrong ones, every question alike; a squared hinge keeps the policy near",
    formula: "s_i = mean over the trained actions of episode i of logp (score likelihood) or of exp(logp - old_logp) (score \
              ratio); P, N: the group's episodes with reward exactly 1, exactly 0 (others have no part, nor has an \
              episode without a trained action). J = mean_P s - mean_N s (negatives mean) or mean_P s - tau log mean_N \
              exp(s / tau) (log_mean_exp; tau -> inf is the mean, tau -> 0 the largest). loss = -(1/groups) sum J + \
              0.5 coefficient max(c - delta, 0)^2; a group without a right or a wrong answer adds 0 and counts. c = the mean \
              over all trained actions of the whole optimizer batch of old_logp - logp (estimator plain) or exp(d) - d - \
              1, d = logp - old_logp (low_variance); in nats. Its value is given to the actions in equal shares. \
              Denominator, factors and advantages do not act: masks count as 0 or 1. At the first update of a batch c = 0: \
              the constraint acts from the second on.",
    parameters: &[
        Parameter {
            name: "score",
            default: "likelihood",
            range: "likelihood, ratio",
            meaning: "what an answer is scored with",
        },
        Parameter {
            name: "negatives",
            default: "{ log_mean_exp = { tau = 10 } }",
            range: "mean, or log_mean_exp with tau above 0 (10 for the likelihood, 1 for the ratio)",
            meaning: "how wrong answers are taken together: alike, or the likely ones first",
        },
        Parameter {
            name: "constraint",
            default: "{ coefficient = 1000, delta = 1e-4, estimator = plain }",
            range: "coefficient at least 0 (0: none), delta at least 0, estimator plain or low_variance",
            meaning: "the squared hinge on c; delta in nats an action, at the sampling temperature",
        },
    ],
    reads: &["old_logp"],
    source: "DisCO, 2025, arXiv 2505.12366, sections 4.1-4.3; the hinge's gradient and the divisor as in its repository",
    ..Entry::NONE
};

/// DisCO.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Disco {
    pub score: Score,
    pub negatives: Negatives,
    pub constraint: Constraint,
}

/// What an answer is scored with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Score {
    /// The mean of `logp`.
    #[default]
    Likelihood,
    /// The mean of `exp(logp - old_logp)`.
    Ratio,
}

/// How wrong answers are taken together.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Negatives {
    /// Alike (DisCO-b).
    Mean,
    /// `tau log mean exp(s / tau)`: the likely ones weigh most.
    LogMeanExp {
        /// Above 0.
        #[serde(default = "ten")]
        tau: f64,
    },
}

fn ten() -> f64 {
    10.0
}

impl Default for Negatives {
    fn default() -> Self {
        Negatives::LogMeanExp { tau: ten() }
    }
}

/// The squared hinge on the divergence from the old policy.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Constraint {
    /// At least 0; 0 is no constraint.
    pub coefficient: f64,
    /// In nats an action; at least 0.
    pub delta: f64,
    pub estimator: ConstraintEstimator,
}

impl Default for Constraint {
    fn default() -> Self {
        Self { coefficient: 1000.0, delta: 1e-4, estimator: ConstraintEstimator::Plain }
    }
}

/// Estimators of `KL(old || policy)` from one sampled action.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ConstraintEstimator {
    /// `old_logp - logp`
    #[default]
    Plain,
    /// `exp(d) - d - 1` with `d = logp - old_logp`
    LowVariance,
}

impl ConstraintEstimator {
    /// The estimate and its derivative by `logp`.
    fn of(self, logp: f64, old_logp: f64) -> (f64, f64) {
        let d = logp - old_logp;
        match self {
            ConstraintEstimator::Plain => (-d, -1.0),
            ConstraintEstimator::LowVariance => (d.exp_m1() - d, d.exp_m1()),
        }
    }
}

/// The divergence of the whole batch.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct ConstraintSurvey {
    /// The mean of the estimates; 0 where nothing is trained.
    divergence: f64,
    /// Number of trained actions.
    actions: f64,
}

impl Negatives {
    /// The scores taken together, and the derivative by each. `scores` is not empty.
    pub fn of(self, scores: &[f64]) -> (f64, Vec<f64>) {
        let n = scores.len() as f64;
        match self {
            Negatives::Mean => (scores.iter().sum::<f64>() / n, vec![1.0 / n; scores.len()]),
            Negatives::LogMeanExp { tau } => {
                let top = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let shares: Vec<f64> = scores.iter().map(|s| ((s - top) / tau).exp()).collect();
                let total: f64 = shares.iter().sum();
                // The mean of exp_m1 keeps what a large tau leaves of the differences.
                let lift = scores.iter().map(|s| ((s - top) / tau).exp_m1()).sum::<f64>() / n;
                (top + tau * lift.ln_1p(), shares.iter().map(|share| share / total).collect())
            }
        }
    }
}

impl Disco {
    pub(super) fn scope(&self) -> Scope {
        if self.constraint.coefficient > 0.0 { Scope::Batch } else { Scope::Group }
    }

    pub(super) fn check(&self) -> Result<(), (String, String)> {
        if let Negatives::LogMeanExp { tau } = self.negatives {
            above_zero("disco.negatives.log_mean_exp.tau", tau)?;
        }
        super::surrogate::not_negative("disco.constraint.coefficient", self.constraint.coefficient)?;
        super::surrogate::not_negative("disco.constraint.delta", self.constraint.delta)
    }

    pub(super) fn survey(
        &self,
        batch: &[Vec<Seen<'_>>],
        masks: &[Vec<Option<Vec<f64>>>],
    ) -> Result<ConstraintSurvey, MethodError> {
        let (mut total, mut actions) = (0.0, 0.0);
        if self.constraint.coefficient > 0.0 {
            for (g, (group, masks)) in batch.iter().zip(masks).enumerate() {
                for (t, (seen, mask)) in group.iter().zip(masks).enumerate().filter(|(_, (_, mask))| mask.is_some()) {
                    let place = Place::trajectory(g, t);
                    check_column("logp", &seen.rows.logp, seen.trajectory.len(), place)?;
                    check_column("old_logp", seen.old_logp, seen.trajectory.len(), place)?;
                    for i in trained(mask.as_ref()) {
                        total += self.constraint.estimator.of(seen.rows.logp[i], seen.old_logp[i]).0;
                        actions += 1.0;
                    }
                }
            }
        }
        let divergence = if actions > 0.0 { total / actions } else { 0.0 };
        Ok(ConstraintSurvey { divergence, actions })
    }

    pub(super) fn evaluate(
        &self,
        g: usize,
        group: &[Seen<'_>],
        survey: &Survey,
        constraint: &ConstraintSurvey,
        parts: &mut [Evaluation],
    ) -> Result<(), MethodError> {
        let masks = &survey.weights[g];
        let units = units(g, group, masks)?;
        let of = |reward: f64| units.iter().filter(|unit| unit.reward == Some(reward)).collect::<Vec<_>>();
        let (right, wrong) = (of(1.0), of(0.0));
        if let Some(first) = units.first() {
            let skipped = right.is_empty() || wrong.is_empty();
            parts[first.trajectories[0]].metrics.add("groups_skipped", Metric::mean_of(f64::from(u8::from(skipped))));
        }
        if !right.is_empty() && !wrong.is_empty() {
            let share = 1.0 / (right.len() as f64 * survey.counts.groups);
            for unit in &right {
                parts[unit.trajectories[0]].loss -= share * self.score(unit, group, masks);
                self.add_slope(unit, -share, group, masks, parts);
            }
            let scores: Vec<f64> = wrong.iter().map(|unit| self.score(unit, group, masks)).collect();
            let (together, slopes) = self.negatives.of(&scores);
            for (unit, slope) in wrong.iter().zip(slopes) {
                parts[unit.trajectories[0]].loss += together / (wrong.len() as f64 * survey.counts.groups);
                self.add_slope(unit, slope / survey.counts.groups, group, masks, parts);
            }
        }
        self.constrain(group, masks, constraint, parts);
        Ok(())
    }

    fn score(&self, unit: &Unit, group: &[Seen<'_>], masks: &[Option<Vec<f64>>]) -> f64 {
        let of = |t: usize, i: usize| match self.score {
            Score::Likelihood => group[t].rows.logp[i],
            Score::Ratio => (group[t].rows.logp[i] - group[t].old_logp[i]).exp(),
        };
        unit.sum(masks, of) / unit.trained
    }

    /// Adds `slope` times the derivative of the unit's score.
    fn add_slope(
        &self,
        unit: &Unit,
        slope: f64,
        group: &[Seen<'_>],
        masks: &[Option<Vec<f64>>],
        parts: &mut [Evaluation],
    ) {
        for &t in &unit.trajectories {
            for i in trained(masks[t].as_ref()) {
                let of_score = match self.score {
                    Score::Likelihood => 1.0,
                    Score::Ratio => (group[t].rows.logp[i] - group[t].old_logp[i]).exp(),
                };
                parts[t].gradients.logp[i] += slope * of_score / unit.trained;
            }
        }
    }

    fn constrain(
        &self,
        group: &[Seen<'_>],
        masks: &[Option<Vec<f64>>],
        survey: &ConstraintSurvey,
        parts: &mut [Evaluation],
    ) {
        if self.constraint.coefficient == 0.0 {
            return;
        }
        let excess = (survey.divergence - self.constraint.delta).max(0.0);
        let value = 0.5 * self.constraint.coefficient * excess * excess / survey.actions;
        let slope = self.constraint.coefficient * excess / survey.actions;
        for ((seen, mask), part) in group.iter().zip(masks).zip(parts) {
            let (mut actions, mut total) = (0.0, 0.0);
            for i in trained(mask.as_ref()) {
                let (estimate, by_logp) = self.constraint.estimator.of(seen.rows.logp[i], seen.old_logp[i]);
                part.gradients.logp[i] += slope * by_logp;
                actions += 1.0;
                total += estimate;
            }
            if actions > 0.0 {
                part.loss += value * actions;
                part.metrics.add("constraint", Metric::Mean { total, weight: actions });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tau_goes_from_the_mean_to_the_largest() {
        let scores = [-0.3, -1.7, -0.9];
        let at = |tau: f64| Negatives::LogMeanExp { tau }.of(&scores);
        let (value, slopes) = Negatives::Mean.of(&scores);
        assert!((at(1e8).0 - value).abs() < 1e-7);
        assert!(at(1e8).1.iter().zip(slopes).all(|(a, b)| (a - b).abs() < 1e-7));
        assert!((at(1e-4).0 + 0.3).abs() < 1e-3);
        assert_eq!(at(1e-4).1, [1.0, 0.0, 0.0]);
    }

    /// Trap: a ratio of a sum and its frozen copy has the right slope and no value.
    #[test]
    fn the_value_is_that_of_the_logarithm() {
        let (value, slopes) = Negatives::LogMeanExp { tau: 2.0 }.of(&[1.0, 3.0]);
        assert!((value - 2.0 * ((0.5f64.exp() + 1.5f64.exp()) / 2.0).ln()).abs() < 1e-15);
        assert!((slopes.iter().sum::<f64>() - 1.0).abs() < 1e-15);
        // Scores that overflow on their own.
        assert!((Negatives::LogMeanExp { tau: 1e-3 }.of(&[5.0, 5.0]).0 - 5.0).abs() < 1e-12);
    }

    #[test]
    fn both_estimators_are_flat_or_falling_at_the_old_policy() {
        assert_eq!(ConstraintEstimator::Plain.of(-1.0, -1.0), (0.0, -1.0));
        assert_eq!(ConstraintEstimator::LowVariance.of(-1.0, -1.0), (0.0, 0.0));
    }
}
