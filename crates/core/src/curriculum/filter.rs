//! Which groups are trained.

use serde::{Deserialize, Serialize};

use super::{NEUTRAL, zero_variance};
use crate::registry::{Axis, Entry};

pub(super) const KEEP: Entry = Entry {
    axis: Axis::Curriculum,
    name: "keep",
    summary: "every group is trained",
    formula: "curriculum.filter = \"keep\": groups without signal stay; they have advantage 0 and count in the denominators.",
    source: "GRPO: Shao et al. 2024, arXiv 2402.03300",
    equals: &[("shuffled", NEUTRAL), ("all", NEUTRAL), ("none", NEUTRAL)],
    ..Entry::NONE
};

/// What is done with groups that say nothing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Filter {
    /// They are trained.
    #[default]
    Keep,
    /// They are discarded, and others are drawn for them.
    ZeroVariance {
        /// The most refills of a step.
        #[serde(default = "zero_variance::budget")]
        budget: u32,
        /// What becomes of groups that are too many.
        #[serde(default)]
        surplus: Surplus,
        /// Groups that are drawn for each one that is missing; at least 1.
        #[serde(default = "zero_variance::oversample")]
        oversample: f64,
    },
}

/// What becomes of the groups that a step has too many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Surplus {
    /// Their prompts come first at the next step, drawn anew by the policy of that step.
    #[default]
    Carry,
    /// They are forgotten.
    Drop,
}

/// What is done with one group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Keep,
    Discard(Reason),
}

/// Why a group is not trained.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// All its rewards are equal.
    EqualRewards,
    /// Fewer than two of its members have a reward.
    TooFewScored,
    /// Its policy is far from the reference.
    HighKl,
}

impl Reason {
    /// For a counter's name.
    pub fn word(self) -> &'static str {
        match self {
            Reason::EqualRewards => "equal_rewards",
            Reason::TooFewScored => "too_few_scored",
            Reason::HighKl => "high_kl",
        }
    }
}

impl Filter {
    pub(super) fn check(&self) -> Result<(), (String, String)> {
        match self {
            Filter::ZeroVariance { oversample, .. } if !(oversample.is_finite() && *oversample >= 1.0) => {
                Err(("filter.zero_variance.oversample".to_owned(), "must be at least 1, and finite".to_owned()))
            }
            Filter::Keep | Filter::ZeroVariance { .. } => Ok(()),
        }
    }

    pub(super) fn verdict(&self, rewards: &[Option<f64>]) -> Verdict {
        match self {
            Filter::Keep => Verdict::Keep,
            Filter::ZeroVariance { .. } => zero_variance::verdict(rewards),
        }
    }
}
