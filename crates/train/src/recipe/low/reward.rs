//! `[reward]`: what an answer is worth.

use std::collections::BTreeMap;

use cohort_core::reward::{Combine, Control, Derived};
use cohort_env::{Sandbox, verifier::VerifierConfig};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RewardSection {
    /// How the terms become one number.
    pub combine: Combine,
    /// Terms that a verifier scores, by name.
    pub terms: BTreeMap<String, TermSection>,
    /// Terms that are computed from terms, facts and the group, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub derive: Vec<Derived>,
    /// Divergence from the reference, taken off the reward. Excludes `objective.kl`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kl: Option<RewardKl>,
    /// Numbered parts of a completion with a reward each, for methods that compare or train part by part (`advantage.scope.segment`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub segments: Option<SegmentsSection>,
    /// What is done to the combined rewards of a step's batch, to see what learns without them.
    #[serde(skip_serializing_if = "Control::is_none")]
    pub control: Control,
    /// Share of a step's episodes whose reward may fail before the run ends.
    pub error_budget: f64,
    /// What stands between generated programs and this machine, for the terms that run them. `"none"` runs them with your rights.
    #[serde(skip_serializing_if = "Sandbox::is_jail")]
    pub sandbox: Sandbox,
    /// What becomes of a completion when a term times out or fails; a term may say otherwise.
    #[serde(skip_serializing_if = "OnFailure::is_default")]
    pub on_failure: OnFailure,
}

/// What a verdict that is none does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    /// The completion has no reward, and its group is compared without it.
    #[default]
    Exclude,
    /// The term counts as 0. It still counts against `reward.error_budget`.
    Zero,
    /// The run ends with exit status 6 at the first.
    Abort,
}

impl OnFailure {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// The recipe's word.
    pub fn word(self) -> &'static str {
        match self {
            OnFailure::Exclude => "exclude",
            OnFailure::Zero => "zero",
            OnFailure::Abort => "abort",
        }
    }
}

impl Default for RewardSection {
    fn default() -> Self {
        Self {
            combine: Combine::default(),
            terms: BTreeMap::new(),
            derive: Vec::new(),
            kl: None,
            segments: None,
            control: Control::None,
            error_budget: 0.05,
            sandbox: Sandbox::default(),
            on_failure: OnFailure::Exclude,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TermSection {
    /// Factor of the term in the combined reward.
    #[serde(default = "default_weight")]
    pub weight: f64,
    /// Only `cohort calc`, which is given the term's values, does without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verifier: Option<VerifierConfig>,
    /// Facts that methods read, each by the name that they read it under and the name that the verifier tells it under:
    /// `{ decision = "label" }` gives `asymmetric_penalty` the label that `categorical` read.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub facts: BTreeMap<String, String>,
    /// In place of `reward.on_failure`, for this term.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_failure: Option<OnFailure>,
}

fn default_weight() -> f64 {
    1.0
}

/// Numbered parts of a completion, and what each is worth.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SegmentsSection {
    /// Where one part ends and the next begins.
    pub cut: Cut,
    /// The fact that holds a list of numbers, one a part: a name of some term's `facts`. A completion with an empty list has a reward of 0 for
    /// its first part.
    pub rewards: String,
}

/// Where one part of a completion ends and the next begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Cut {
    /// Part k is the k-th line that holds anything, from 0, with the end of line and what blank lines follow it. What stands beyond `most`
    /// lines, and the end of the sequence wherever it comes, is part `most`.
    Lines {
        /// Lines of a full list.
        most: u32,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RewardKl {
    /// Factor of the divergence, above 0.
    pub coefficient: f64,
}
