//! The part of the loss that makes good actions more likely.

use serde::{Deserialize, Serialize};

use super::{Evaluation, Scope, Seen, Survey, gate::GateSurvey, likelihood, policy_gradient::PolicyGradient};
use crate::method_error::MethodError;

/// The surrogate whose weighted sum is minimised.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Surrogate {
    /// `-gate(ratio, coefficient)`: the policy gradient under importance weights.
    PolicyGradient(PolicyGradient),
    /// `-coefficient * logp`: likelihood of given actions.
    Likelihood,
}

/// Batch statistics of a surrogate.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum SurrogateSurvey {
    /// It needs none.
    None,
    PolicyGradient(GateSurvey),
}

impl Default for Surrogate {
    fn default() -> Self {
        Surrogate::PolicyGradient(PolicyGradient::default())
    }
}

impl Surrogate {
    pub(super) fn scope(&self) -> Scope {
        match self {
            Surrogate::PolicyGradient(policy_gradient) => policy_gradient.scope(),
            Surrogate::Likelihood => Scope::Action,
        }
    }

    /// `masks` are the final ones, in the shape of the batch. Rows may be empty unless the scope is
    /// [`Scope::Batch`].
    pub(super) fn survey(
        &self,
        batch: &[Vec<Seen<'_>>],
        masks: &[Vec<Option<Vec<f64>>>],
    ) -> Result<SurrogateSurvey, MethodError> {
        Ok(match self {
            Surrogate::PolicyGradient(it) => SurrogateSurvey::PolicyGradient(it.survey(batch, masks)?),
            Surrogate::Likelihood => SurrogateSurvey::None,
        })
    }

    /// Adds the loss of a group and its derivatives to `parts`. `weights` hold mask over denominator times factors;
    /// an action of weight 0 is not looked at.
    pub(super) fn evaluate(
        &self,
        g: usize,
        group: &[Seen<'_>],
        weights: &[Vec<f64>],
        survey: &Survey,
        parts: &mut [Evaluation],
    ) -> Result<(), MethodError> {
        match (self, &survey.surrogate) {
            (Surrogate::PolicyGradient(it), SurrogateSurvey::PolicyGradient(gate)) => {
                it.evaluate(g, group, weights, survey, gate, parts)
            }
            (Surrogate::Likelihood, _) => {
                likelihood::evaluate(group, weights, parts);
                Ok(())
            }
            (Surrogate::PolicyGradient(_), _) => unreachable!("a survey is of the surrogate that made it"),
        }
    }
}
