//! From rows to the loss and its derivative for every column of every row.

mod denominator;
mod divergence;
mod gate;
mod log_ratio;
mod surrogate;

use serde::{Deserialize, Serialize};

pub use denominator::Denominator;
pub use divergence::{Divergence, Estimator};
pub use gate::Gate;
pub use log_ratio::RatioLevel;
pub use surrogate::Surrogate;

use crate::{
    metric::{Metric, Metrics},
    row::{RowGradients, Rows},
};

/// How much of a batch must be seen at once to evaluate an objective.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    Action,
    Sequence,
    Group,
    Batch,
}

/// The objective: `loss = sum over actions of w (surrogate + coefficient KL - bonus entropy)`, where the
/// weights `w` are the loss mask over one denominator of the whole optimizer batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Objective {
    pub surrogate: Surrogate,
    pub denominator: Denominator,
    /// Divergence from the reference, in the loss.
    pub kl: Option<Divergence>,
    /// Coefficient of the entropy bonus; 0 for none.
    pub entropy_bonus: f64,
}

/// One sample as the objective sees it; all slices have one entry an action.
#[derive(Clone, Copy, Debug)]
pub struct Trajectory<'a> {
    pub rows: &'a Rows,
    /// The trainer's own rows at the first pass over the batch, constant in the derivative.
    pub old_logp: &'a [f64],
    /// The reference's log-probabilities, where the recipe has a reference.
    pub ref_logp: Option<&'a [f64]>,
    /// The advantage, or an auxiliary sample's own coefficient.
    pub coefficient: &'a [f64],
    /// The loss mask over the denominator ([`Denominator::weights`]).
    pub weight: &'a [f64],
}

/// What the objective says of one sample.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    /// Its part of the loss that is minimised.
    pub loss: f64,
    pub gradients: RowGradients,
    pub metrics: Metrics,
}

/// The objective reads a column that the trajectory does not have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the objective reads `{column}`, which the trajectory does not have")]
pub struct MissingColumn {
    pub column: &'static str,
}

impl Objective {
    /// The likelihood of given actions, per token: supervised training.
    pub fn likelihood() -> Self {
        Self { surrogate: Surrogate::Likelihood, denominator: Denominator::Tokens, ..Self::default() }
    }

    pub fn scope(&self) -> Scope {
        self.surrogate.scope()
    }

    /// Whether `ref_logp` is read.
    pub fn reads_reference(&self) -> bool {
        self.kl.is_some()
    }

    /// The part of one sample. Pure, and independent of every other sample: any split of a batch
    /// gives the same bits.
    pub fn evaluate(&self, t: &Trajectory<'_>) -> Result<Evaluation, MissingColumn> {
        let n = t.rows.len();
        debug_assert!(t.old_logp.len() == n && t.coefficient.len() == n && t.weight.len() == n);
        let mut metrics = Metrics::default();
        let (mut loss, mut d_logp) = self.surrogate.evaluate(t, &mut metrics);

        if let Some(divergence) = self.kl {
            let reference = t.ref_logp.ok_or(MissingColumn { column: "ref_logp" })?;
            for i in (0..n).filter(|&i| t.weight[i] != 0.0) {
                let (value, slope) = divergence.estimator.of(t.rows.logp[i], reference[i]);
                loss += t.weight[i] * divergence.coefficient * value;
                d_logp[i] += t.weight[i] * divergence.coefficient * slope;
                metrics.add("kl", Metric::mean_of(value));
            }
        }

        let mut d_entropy = None;
        if self.entropy_bonus != 0.0 {
            loss -= self.entropy_bonus * t.rows.entropy.iter().zip(t.weight).map(|(h, w)| h * w).sum::<f64>();
            d_entropy = Some(t.weight.iter().map(|w| -self.entropy_bonus * w).collect());
        }
        for i in (0..n).filter(|&i| t.weight[i] != 0.0) {
            metrics.add("entropy", Metric::mean_of(t.rows.entropy[i]));
        }
        let gradients = RowGradients { logp: d_logp, entropy: d_entropy, kl_old: None, kl_ref: None };
        Ok(Evaluation { loss, gradients, metrics })
    }
}

#[cfg(test)]
mod tests;
