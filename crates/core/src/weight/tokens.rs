//! Which actions of a sample are trained.

use serde::{Deserialize, Serialize};

use super::{Masks, loss_mask::NEUTRAL, pivots, top_entropy};
use crate::{
    method_error::MethodError,
    objective::Seen,
    registry::{Axis, Entry},
};

pub(super) const ALL: Entry = Entry {
    axis: Axis::Weight,
    name: "all",
    summary: "every action of the policy is trained",
    formula: "weight.tokens = \"all\": m_t as it was recorded.",
    source: "GRPO: Shao et al. 2024, arXiv 2402.03300, equation 3",
    equals: &[("keep", NEUTRAL), ("policy", NEUTRAL), ("one", NEUTRAL)],
    ..Entry::NONE
};

/// Which of the actions that the other keys leave are trained. Decides denominators.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Tokens {
    /// All of them.
    #[default]
    All,
    /// Those that the policy was least certain of.
    TopEntropy {
        /// The share that is kept; above 0, at most 1.
        #[serde(default = "top_entropy::fraction")]
        fraction: f64,
        #[serde(default)]
        scope: EntropyScope,
    },
    /// Those that a fact flags.
    Pivots {
        /// A list with one number an action; 0 leaves the action out.
        #[serde(default = "pivots::fact")]
        fact: String,
    },
}

/// Among which actions entropies are ranked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EntropyScope {
    /// Those of one sample.
    #[default]
    Sequence,
    /// Those of the whole optimizer batch.
    Batch,
}

impl Tokens {
    pub(super) fn check(&self) -> Result<(), (String, String)> {
        match self {
            Tokens::TopEntropy { fraction, .. } if !(*fraction > 0.0 && *fraction <= 1.0) => {
                Err(("tokens.top_entropy.fraction".to_owned(), "must lie in (0, 1]".to_owned()))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn apply(&self, batch: &[Vec<Seen<'_>>], masks: &mut Masks) -> Result<(), MethodError> {
        match self {
            Tokens::All => Ok(()),
            Tokens::TopEntropy { fraction, scope } => top_entropy::apply(*fraction, *scope, batch, masks),
            Tokens::Pivots { fact } => pivots::apply(fact, batch, masks),
        }
    }
}
