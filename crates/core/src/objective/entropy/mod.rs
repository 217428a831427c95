//! The entropy of the policy in the loss.

mod adaptive;
mod band;
mod bonus;

use serde::{Deserialize, Serialize};

use super::{Evaluation, Scope, Seen, above_zero};
use crate::{
    method_error::{MethodError, Place},
    metric::Metric,
    registry::Entry,
    trajectory::check_column,
};

pub use adaptive::next_coefficient;

/// The choices of this axis.
pub(super) const ENTRIES: [&Entry; 4] = [&bonus::NONE, &bonus::ENTRY, &adaptive::ENTRY, &band::ENTRY];

/// What the loss does with the entropy of every action's distribution. Each variant's file has its formula.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Entropy {
    /// It is measured and not trained.
    #[default]
    None,
    /// `-coefficient * H`, weighted as the surrogate is.
    Bonus {
        /// Above 0.
        #[serde(default = "bonus::small")]
        coefficient: f64,
    },
    /// `bonus` while the batch's mean entropy is at most `target`; its coefficient follows the entropy.
    Adaptive {
        /// That of this step; at least 0.
        #[serde(default = "adaptive::step")]
        coefficient: f64,
        /// In nats; above 0.
        #[serde(default = "adaptive::target")]
        target: f64,
        /// How much the coefficient moves from step to step; above 0.
        #[serde(default = "adaptive::step")]
        step: f64,
    },
    /// A penalty on forking actions whose entropy lies outside a band of quantiles.
    Band {
        /// The lower quantile; in [0, 1).
        #[serde(default = "band::low")]
        low: f64,
        /// The upper quantile; above `low`, at most 1.
        #[serde(default = "band::high")]
        high: f64,
        /// Of the penalty; above 0.
        #[serde(default = "band::weight")]
        weight: f64,
        /// How much of a sample forks; in (0, 1].
        #[serde(default = "band::fraction")]
        fraction: f64,
    },
}

/// What must be known of the batch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct EntropySurvey {
    /// The coefficient of the bonus in this batch.
    bonus: f64,
    sequences: f64,
}

impl Entropy {
    /// Whether the entropy column must be there.
    pub fn reads_entropy(self) -> bool {
        self != Entropy::None
    }

    /// Whether the parameters are in range: the key and what is wrong with it.
    pub fn check(&self) -> Result<(), (String, String)> {
        let fault = |key: &str, problem: String| Err((key.to_owned(), problem));
        match *self {
            Entropy::None => Ok(()),
            Entropy::Bonus { coefficient } => above_zero("bonus.coefficient", coefficient),
            Entropy::Adaptive { coefficient, target, step } => {
                if !(coefficient >= 0.0 && coefficient.is_finite()) {
                    return fault("adaptive.coefficient", format!("is {coefficient}, and must be at least 0"));
                }
                above_zero("adaptive.target", target)?;
                above_zero("adaptive.step", step)
            }
            Entropy::Band { low, high, weight, fraction } => {
                if !(0.0..1.0).contains(&low) {
                    return fault("band.low", format!("is {low}, and must lie in [0, 1)"));
                }
                if !(high > low && high <= 1.0) {
                    return fault("band.high", format!("is {high}, and must lie in (low, 1]"));
                }
                if !(fraction > 0.0 && fraction <= 1.0) {
                    return fault("band.fraction", format!("is {fraction}, and must lie in (0, 1]"));
                }
                above_zero("band.weight", weight)
            }
        }
    }

    /// The choice for the next step, after a batch of this mean entropy (the metric `entropy`).
    #[must_use]
    pub fn next(self, mean_entropy: f64) -> Self {
        match self {
            Entropy::Adaptive { coefficient, target, step } => {
                let coefficient = next_coefficient(coefficient, mean_entropy, target, step);
                Entropy::Adaptive { coefficient, target, step }
            }
            Entropy::None | Entropy::Bonus { .. } | Entropy::Band { .. } => self,
        }
    }

    pub(super) fn scope(self) -> Scope {
        match self {
            Entropy::None | Entropy::Bonus { .. } => Scope::Action,
            Entropy::Band { .. } => Scope::Sequence,
            Entropy::Adaptive { .. } => Scope::Batch,
        }
    }

    /// `masks` are the final ones, in the shape of the batch.
    pub(super) fn survey(
        self,
        batch: &[Vec<Seen<'_>>],
        masks: &[Vec<Option<Vec<f64>>>],
        sequences: f64,
    ) -> Result<EntropySurvey, MethodError> {
        let bonus = match self {
            Entropy::None | Entropy::Band { .. } => 0.0,
            Entropy::Bonus { coefficient } => coefficient,
            Entropy::Adaptive { coefficient, target, .. } => {
                let mean = adaptive::mean(batch, masks)?;
                if mean.is_some_and(|mean| mean <= target) { coefficient } else { 0.0 }
            }
        };
        Ok(EntropySurvey { bonus, sequences })
    }

    /// `weight` is the mask over the denominator.
    pub(super) fn evaluate(
        self,
        seen: &Seen<'_>,
        weight: &[f64],
        survey: EntropySurvey,
        place: Place,
        part: &mut Evaluation,
    ) -> Result<(), MethodError> {
        let entropy = &seen.rows.entropy;
        if (self.reads_entropy() && seen.trajectory.is_member()) || !entropy.is_empty() {
            check_column("entropy", entropy, weight.len(), place)?;
        }
        match self {
            Entropy::None => {}
            Entropy::Bonus { .. } | Entropy::Adaptive { .. } => {
                if survey.bonus != 0.0 && seen.trajectory.is_member() {
                    bonus::evaluate(survey.bonus, entropy, weight, part);
                }
            }
            Entropy::Band { low, high, weight: of_penalty, fraction } => {
                let trained = entropy.iter().zip(weight).filter(|(_, w)| **w != 0.0).map(|(h, _)| *h);
                if let Some(band) = band::Band::of(trained.collect(), low, high, fraction) {
                    let share = of_penalty / survey.sequences;
                    band::evaluate(&band, share, entropy, weight, part);
                }
            }
        }
        let (mut total, mut trained) = (0.0, 0.0);
        for (h, _) in entropy.iter().zip(weight).filter(|(_, w)| **w != 0.0) {
            total += h;
            trained += 1.0;
        }
        part.metrics.add("entropy", Metric::Mean { total, weight: trained });
        Ok(())
    }
}
