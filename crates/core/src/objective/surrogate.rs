//! The part of the loss that makes good actions more likely.

use serde::{Deserialize, Serialize};

use super::{
    Evaluation, Scope, Seen, Staleness, Survey,
    disco::{ConstraintSurvey, Disco},
    dpo::Dpo,
    dro::Dro,
    gate::GateSurvey,
    likelihood,
    luspo::Luspo,
    nft::Nft,
    policy_gradient::PolicyGradient,
    rebel::Rebel,
    regression::Regression,
    sequence_weight,
    topr::Topr,
    vespo::Vespo,
};
use crate::{
    method_error::MethodError,
    registry::{Axis, Entry, Parameter},
};

pub(super) const POLICY_GRADIENT: Entry = Entry {
    axis: Axis::Surrogate,
    name: "policy_gradient",
    summary: "ratio times advantage behind a gate: GRPO, PPO and their family",
    formula: "loss = -sum w gate(ratio, A), w = mask over the denominator times factors, A the action's coefficient. The \
              ratio compares the policy with the one that the batch was taken from, for an action or a sequence; the gate \
              bounds what it can gain. At the first update of a batch every ratio is 1 and no gate is closed.",
    parameters: &[
        Parameter {
            name: "ratio",
            default: "token",
            range: "see the axis ratio",
            meaning: "the unit that a ratio covers",
        },
        Parameter {
            name: "gate",
            default: "{ clip = { low = 0.2, high = 0.2 } }",
            range: "see the axis gate",
            meaning: "what stops an update from going too far",
        },
    ],
    reads: &["old_logp"],
    source: "GRPO: Shao et al. 2024, arXiv 2402.03300, eq. 3; PPO: Schulman et al. 2017, arXiv 1707.06347, eq. 7",
    ..Entry::NONE
};

/// The surrogate whose weighted sum is minimised.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Surrogate {
    /// `-gate(ratio, coefficient)`: the policy gradient under importance weights.
    PolicyGradient(PolicyGradient),
    /// `-coefficient * logp`: likelihood of given actions.
    Likelihood,
    /// The standardised log-ratio is regressed on the advantage (Reg-GRPO).
    Regression(Regression),
    /// Differences of log-ratios are regressed on differences of rewards (REBEL).
    Rebel(Rebel),
    /// Scores of right answers against scores of wrong ones (DisCO).
    Disco(Disco),
    /// Supervised on right and wrong answers (NFT).
    Nft(Nft),
    /// Right answers preferred to wrong ones (DPO).
    Dpo(Dpo),
    /// Bad answers weighted by a truncated ratio (TOPR).
    Topr(Topr),
    /// Trajectories weighted by a smooth function of their ratio (VESPO).
    Vespo(Vespo),
    /// The clipped sequence ratio times the length (LUSPO).
    Luspo(Luspo),
    /// Likelihood with a quadratic pull towards the old policy (DRO).
    Dro(Dro),
}

/// Batch statistics of a surrogate.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum SurrogateSurvey {
    /// It needs none.
    None,
    PolicyGradient(GateSurvey),
    Constraint(ConstraintSurvey),
    /// Number of pairs of the batch.
    Pairs(f64),
}

impl Default for Surrogate {
    fn default() -> Self {
        Surrogate::PolicyGradient(PolicyGradient::default())
    }
}

/// A parameter above 0 and finite.
pub(super) fn above_zero(key: &str, value: f64) -> Result<(), (String, String)> {
    if value > 0.0 && value.is_finite() { Ok(()) } else { Err((key.to_owned(), "must be above 0".to_owned())) }
}

/// A parameter of 0 or more, and finite.
pub(super) fn not_negative(key: &str, value: f64) -> Result<(), (String, String)> {
    if value >= 0.0 && value.is_finite() { Ok(()) } else { Err((key.to_owned(), "must be at least 0".to_owned())) }
}

impl Surrogate {
    pub(super) fn scope(&self) -> Scope {
        match self {
            Surrogate::PolicyGradient(it) => it.scope(),
            Surrogate::Likelihood | Surrogate::Dro(_) => Scope::Action,
            Surrogate::Topr(_) | Surrogate::Vespo(_) | Surrogate::Luspo(_) => Scope::Sequence,
            Surrogate::Regression(_) | Surrogate::Rebel(_) | Surrogate::Nft(_) | Surrogate::Dpo(_) => Scope::Group,
            Surrogate::Disco(it) => it.scope(),
        }
    }

    /// Whether it reads rewards of 0 and 1, and no others.
    pub fn reads_correctness(&self) -> bool {
        matches!(self, Surrogate::Disco(_) | Surrogate::Dpo(_) | Surrogate::Nft(_))
    }

    /// # Errors
    /// The key, relative to the surrogate, and what is wrong with its value.
    pub fn check(&self) -> Result<(), (String, String)> {
        match self {
            Surrogate::PolicyGradient(it) => {
                it.check().map_err(|(key, problem)| (format!("policy_gradient.{key}"), problem))
            }
            Surrogate::Likelihood => Ok(()),
            Surrogate::Regression(it) => it.check(),
            Surrogate::Rebel(it) => it.check(),
            Surrogate::Disco(it) => it.check(),
            Surrogate::Nft(it) => it.check(),
            Surrogate::Dpo(it) => it.check(),
            Surrogate::Topr(it) => it.check(),
            Surrogate::Vespo(it) => it.check(),
            Surrogate::Luspo(it) => it.check(),
            Surrogate::Dro(it) => it.check(),
        }
    }

    /// What it needs of the age of a batch.
    pub fn staleness(&self) -> Staleness {
        match self {
            Surrogate::PolicyGradient(it) => it.staleness(),
            Surrogate::Likelihood | Surrogate::Dpo(_) => Staleness::Any,
            Surrogate::Regression(_) => {
                Staleness::Second("at the first update every log-ratio is 0, and there is nothing to standardise")
            }
            Surrogate::Rebel(_) => {
                Staleness::Inert("its regression: at the first update its gradient is that of the policy gradient")
            }
            Surrogate::Disco(it) if it.constraint.coefficient > 0.0 => Staleness::Inert("its constraint"),
            Surrogate::Disco(_) => Staleness::Any,
            Surrogate::Nft(_) => Staleness::Inert(
                "its negative policy: at one update per batch it equals GRPO (prompt weight sqrt) or Dr. GRPO (hard)",
            ),
            Surrogate::Topr(_) => Staleness::Inert("its taper"),
            Surrogate::Vespo(_) => Staleness::Inert("its weight"),
            Surrogate::Luspo(_) => Staleness::Inert("its clip"),
            Surrogate::Dro(_) => Staleness::Inert("its quadratic pull"),
        }
    }

    /// The keys of a recipe that have no effect on it, for a warning.
    pub fn ignores(&self) -> &'static [&'static str] {
        match self {
            Surrogate::Regression(_) => &["objective.denominator", "objective.mismatch"],
            Surrogate::Rebel(_) | Surrogate::Disco(_) | Surrogate::Dpo(_) => {
                &["advantage", "objective.denominator", "objective.mismatch"]
            }
            Surrogate::Nft(_) => &["advantage"],
            Surrogate::PolicyGradient(_)
            | Surrogate::Likelihood
            | Surrogate::Topr(_)
            | Surrogate::Vespo(_)
            | Surrogate::Luspo(_)
            | Surrogate::Dro(_) => &[],
        }
    }

    /// Whether `ref_logp` is read.
    pub(super) fn reads_reference(&self) -> bool {
        matches!(self, Surrogate::Dpo(_))
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
            Surrogate::Disco(it) => SurrogateSurvey::Constraint(it.survey(batch, masks)?),
            Surrogate::Dpo(it) => SurrogateSurvey::Pairs(it.survey(batch, masks)?),
            Surrogate::Likelihood
            | Surrogate::Regression(_)
            | Surrogate::Rebel(_)
            | Surrogate::Nft(_)
            | Surrogate::Topr(_)
            | Surrogate::Vespo(_)
            | Surrogate::Luspo(_)
            | Surrogate::Dro(_) => SurrogateSurvey::None,
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
                return it.evaluate(g, group, weights, survey, gate, parts);
            }
            (Surrogate::Disco(it), SurrogateSurvey::Constraint(constraint)) => {
                return it.evaluate(g, group, survey, constraint, parts);
            }
            (Surrogate::Dpo(it), SurrogateSurvey::Pairs(pairs)) => {
                return it.evaluate(g, group, survey, *pairs, parts);
            }
            (Surrogate::Regression(it), _) => return it.evaluate(g, group, survey, parts),
            (Surrogate::Rebel(it), _) => return it.evaluate(g, group, survey, parts),
            (Surrogate::Nft(it), _) => return it.evaluate(g, group, weights, parts),
            (Surrogate::Likelihood, _) => likelihood::evaluate(group, weights, parts),
            (Surrogate::Dro(it), _) => it.evaluate(group, weights, parts),
            (Surrogate::Luspo(it), _) => it.evaluate(g, group, weights, survey, parts),
            (Surrogate::Topr(it), _) => {
                let of = |log_ratio, coefficient| it.of(log_ratio, coefficient);
                sequence_weight::evaluate(g, group, weights, survey, parts, |d| d, of);
            }
            (Surrogate::Vespo(it), _) => {
                let of = |log_ratio, coefficient| it.of(log_ratio, coefficient);
                sequence_weight::evaluate(g, group, weights, survey, parts, Vespo::log_ratio_of, of);
            }
            (Surrogate::PolicyGradient(_) | Surrogate::Disco(_) | Surrogate::Dpo(_), _) => {
                unreachable!("a survey is of the surrogate that made it")
            }
        }
        Ok(())
    }
}
