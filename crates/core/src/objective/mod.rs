//! From rows to the loss and its derivative for every column of every row.

mod auxiliary;
mod context;
mod denominator;
mod disco;
mod divergence;
mod dpo;
mod dro;
mod entropy;
mod evaluation;
mod gate;
pub mod gumbel_density;
mod likelihood;
mod log_ratio;
mod luspo;
mod mismatch;
mod nft;
mod policy_gradient;
mod rebel;
mod regression;
mod sequence_weight;
mod staleness;
mod surrogate;
mod survey;
mod topr;
mod unit;
mod vespo;

use serde::{Deserialize, Serialize};

pub use auxiliary::{Apply, Auxiliary};
pub use context::RatioContext;
pub use denominator::{Counts, Denominator};
pub use disco::{Constraint, ConstraintEstimator, Disco, Negatives, Score};
pub use divergence::{Divergence, Estimator};
pub use dpo::{Chosen, Dpo};
pub use dro::Dro;
pub use entropy::{Entropy, next_coefficient};
pub use evaluation::{Evaluation, Seen};
pub use gate::{Against, Gate, Order};
pub use log_ratio::RatioLevel;
pub use luspo::Luspo;
pub use mismatch::{Level, Mismatch};
pub use nft::{Nft, PromptWeight};
pub use policy_gradient::PolicyGradient;
pub use rebel::Rebel;
pub use regression::Regression;
pub use staleness::Staleness;
pub use surrogate::Surrogate;
pub use survey::Survey;
pub use topr::Topr;
pub use vespo::Vespo;

use crate::{
    method_error::{MethodError, Place},
    registry::Entry,
    trajectory::check_column,
    weight::Weighting,
};

/// The surrogates, and the contexts that their ratio may be under.
const SURROGATES: &[&Entry] = &[
    &surrogate::POLICY_GRADIENT,
    &likelihood::ENTRY,
    &regression::ENTRY,
    &rebel::ENTRY,
    &disco::ENTRY,
    &nft::ENTRY,
    &dpo::ENTRY,
    &topr::ENTRY,
    &vespo::ENTRY,
    &luspo::ENTRY,
    &dro::ENTRY,
    &context::SCORED,
    &context::SAMPLED,
];

/// The choices of this axis that a recipe can name, key by key.
pub const ENTRIES: &[&[&Entry]] = &[
    SURROGATES,
    &log_ratio::ENTRIES,
    &gate::ENTRIES,
    &denominator::ENTRIES,
    &divergence::ENTRIES,
    &entropy::ENTRIES,
    &mismatch::ENTRIES,
];

/// How much of a batch must be seen at once to evaluate an objective.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    Action,
    Sequence,
    Group,
    /// The rows of the whole optimizer batch are needed before any derivative.
    Batch,
}

/// The objective: `loss = sum over actions of w (f surrogate + coefficient KL - bonus entropy)`, where the weights `w` are
/// the final mask over one denominator of the whole optimizer batch, and `f` are factors that are no part of it (a
/// correction of the mismatch between sampler and trainer, a step weight).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Objective {
    pub surrogate: Surrogate,
    /// Where old rows come from, for a sample that is scored under another context than it was drawn under.
    pub context: RatioContext,
    pub denominator: Denominator,
    /// Divergence from the reference, in the loss.
    pub kl: Option<Divergence>,
    pub entropy: Entropy,
    /// Trajectories that are trained beside the comparison.
    pub auxiliary: Auxiliary,
    /// Between sampler and trainer.
    pub mismatch: Mismatch,
    /// [`RowsAt::SamplingTemperature`] unless told; a recipe that truncates what it draws from must tell.
    pub at: Option<RowsAt>,
}

/// Which distribution is trained.
///
/// The default is the sampler's own, whole: its rows are those that the sampler computed, so that the first ratio is 1 and
/// the gap between sampler and trainer can be held to a red line, and every action keeps a log-probability whatever
/// updates do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RowsAt {
    /// The one at the sampling temperature, before any truncation.
    #[default]
    SamplingTemperature,
    /// The one at temperature 1.
    One,
    /// The one that actions were drawn from, after top-k, top-p and min-p. Recipes refuse it: what it leaves changes with
    /// every update, and an action outside has no log-probability.
    Truncated,
}

impl Objective {
    /// The likelihood of given actions, per token: supervised training.
    pub fn likelihood() -> Self {
        Self { surrogate: Surrogate::Likelihood, denominator: Denominator::Tokens, ..Self::default() }
    }

    pub fn scope(&self) -> Scope {
        self.surrogate.scope().max(self.entropy.scope()).max(self.mismatch.scope())
    }

    /// What the objective is before a second update on a batch.
    pub fn staleness(&self) -> Staleness {
        self.surrogate.staleness()
    }

    /// Whether the segments of actions matter.
    pub fn reads_segments(&self) -> bool {
        let ratio = matches!(&self.surrogate, Surrogate::PolicyGradient(it) if it.ratio == RatioLevel::Segment);
        ratio || self.denominator == Denominator::Segment
    }

    /// Whether `ref_logp` is read.
    pub fn reads_reference(&self) -> bool {
        self.kl.is_some_and(|kl| kl.estimator.reads_reference()) || self.surrogate.reads_reference()
    }

    /// Whether the column `kl_ref` is read.
    pub fn reads_kl_ref(&self) -> bool {
        self.kl.is_some_and(|kl| !kl.estimator.reads_reference())
    }

    /// Whether the column `kl_old` is read.
    pub fn reads_kl_old(&self) -> bool {
        matches!(&self.surrogate, Surrogate::PolicyGradient(it) if it.reads_kl_old())
    }

    /// Whether `behaviour_logp` is read.
    pub fn reads_behaviour(&self) -> bool {
        let gated = matches!(&self.surrogate, Surrogate::PolicyGradient(it) if it.reads_behaviour());
        gated || self.mismatch.reads_behaviour()
    }

    /// What must be known of the whole optimizer batch before any derivative: the weights over one denominator and the
    /// statistics of batch-scope choices. Rows may be empty unless the scope is [`Scope::Batch`].
    ///
    /// # Errors
    /// A fact that is read and not there.
    pub fn survey(&self, weighting: &Weighting, batch: &[Vec<Seen<'_>>]) -> Result<Survey, MethodError> {
        let masks = weighting.masks(batch)?;
        let counts = Counts::of(&masks);
        let weights = self.denominator.weights(&masks, batch)?;
        let entropy = self.entropy.survey(batch, &masks, counts.sequences)?;
        Ok(Survey { counts, weights, surrogate: self.surrogate.survey(batch, &masks)?, entropy })
    }

    /// The part of one group, trajectory by trajectory. Pure, and independent of every other group but for the
    /// survey: any split of a batch into whole groups gives the same bits.
    ///
    /// # Errors
    /// A column or fact that is read and not there, has another length, or is not finite.
    pub fn evaluate(
        &self,
        weighting: &Weighting,
        g: usize,
        group: &[Seen<'_>],
        survey: &Survey,
    ) -> Result<Vec<Evaluation>, MethodError> {
        for (t, seen) in group.iter().enumerate() {
            let (n, place) = (seen.trajectory.len(), Place::trajectory(g, t));
            check_column("logp", &seen.rows.logp, n, place)?;
            check_column("old_logp", seen.old_logp, n, place)?;
        }
        let mut parts: Vec<Evaluation> = group.iter().map(|seen| Evaluation::zero(seen.trajectory.len())).collect();
        let weights = survey.weights_of(g, group);
        let mut factored = Vec::with_capacity(group.len());
        for (t, (seen, weight)) in group.iter().zip(&weights).enumerate() {
            let place = Place::trajectory(g, t);
            let mut of = weight.to_vec();
            let mismatch = self.mismatch.factor(seen, weight, place)?;
            for factor in [weighting.factor(place, seen)?, mismatch].into_iter().flatten() {
                of.iter_mut().zip(&factor).for_each(|(w, f)| *w *= f);
            }
            factored.push(of);
        }
        self.surrogate.evaluate(g, group, &factored, survey, &mut parts)?;
        for (t, (seen, part)) in group.iter().zip(&mut parts).enumerate() {
            self.auxiliary(seen, survey, part);
            if let Some(divergence) = &self.kl {
                divergence.evaluate(seen, &weights[t], Place::trajectory(g, t), part)?;
            }
            self.entropy.evaluate(seen, &weights[t], survey.entropy, Place::trajectory(g, t), part)?;
        }
        Ok(parts)
    }

    /// `-c sum_t mask_t logp_t / groups` of an auxiliary trajectory.
    fn auxiliary(&self, seen: &Seen<'_>, survey: &Survey, part: &mut Evaluation) {
        if seen.trajectory.is_member() {
            return;
        }
        for (i, mask) in seen.trajectory.mask.iter().enumerate() {
            let weight = mask * seen.credit.coefficient[i] / survey.counts.groups;
            part.loss -= weight * seen.rows.logp[i];
            part.gradients.logp[i] -= weight;
        }
    }
}

/// A parameter that must be above 0 and finite.
fn above_zero(key: &str, x: f64) -> Result<(), (String, String)> {
    if x > 0.0 && x.is_finite() { Ok(()) } else { Err((key.to_owned(), format!("is {x}, and must be above 0"))) }
}

#[cfg(test)]
mod tests;
