//! `[reward_model]`: the models of texts that a run trains for its own reward terms.

use std::collections::BTreeMap;

use cohort_env::text_model::Family;
use serde::{Deserialize, Serialize};

/// Models that give a text a number, trained before the rl stage and frozen in it: rewards that are learned from demonstrations, classifiers,
/// detectors. A term reads one by `verifier.trained = { model = "NAME" }`. The policy stands still meanwhile.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RewardModelSection {
    /// The models by their names.
    pub models: BTreeMap<String, ModelSection>,
    /// Steps of the stage; all models take part in each.
    pub steps: u64,
    /// Rows a step.
    pub batch_size: usize,
    /// A column: each of its values has the same share of a step's rows, however many rows it has. All rows alike unless told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub balance: Option<String>,
    /// Answers that the policy gives to each row of a step, as `[rollout]` draws them, for the models that learn against them.
    pub samples: usize,
    /// Steps between checkpoints.
    pub save_every: u64,
}

impl Default for RewardModelSection {
    fn default() -> Self {
        Self { models: BTreeMap::new(), steps: 100, batch_size: 32, balance: None, samples: 4, save_every: 50 }
    }
}

/// One model: what it is, and what it learns from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ModelSection {
    /// How it scores a text.
    pub family: Family,
    /// The column with the text that shall score high.
    pub positive: String,
    /// What that stands against.
    #[serde(default)]
    pub negative: Negative,
    /// A column: a model of its own for each of its values. One for all rows unless told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

/// What a model learns to tell its positives from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Negative {
    /// `reward_model.samples` answers of the policy to the row.
    #[default]
    Policy,
    /// The text of a column.
    Column(String),
}
