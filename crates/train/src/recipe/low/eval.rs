//! `[eval]`: held-out evaluations.

use serde::{Deserialize, Serialize};

use crate::evaluate::DevMetric;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EvalSection {
    /// The reward term that says whether a completion is right (its value is 1).
    /// The last term by name unless told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub correct: Option<String>,
    /// The split of the evaluations before and after. A choice is made on `dev`, so that `test` is not read for it.
    #[serde(skip_serializing_if = "MeasuredOn::is_default")]
    pub split: MeasuredOn,
    /// Samples a prompt beside the greedy one.
    pub samples: usize,
    /// Most prompts of the evaluations before and after.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// Steps between evaluations on dev; 0 for none.
    pub every: u64,
    /// The number on dev that chooses the best checkpoint.
    #[serde(skip_serializing_if = "DevMetric::is_default")]
    pub metric: DevMetric,
    /// Ends the rl stage after so many looks at dev without a gain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patience: Option<u64>,
    /// A gain is more than this.
    #[serde(skip_serializing_if = "is_zero")]
    pub min_delta: f64,
    /// Most dev prompts of those.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dev_limit: Option<usize>,
    /// A column of the rows: evaluations are told for each of its values too, as `greedy/VALUE`, and the least of these as `least/greedy`. Where it is
    /// the column of the answers, `said/VALUE` and `precision/VALUE` tell how often greedy completions say it, and how often they are right then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Evaluations order each list of the split by scores too, and tell `score/ndcg@K`, `score/ties` and `score/valid`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub score: Option<ScoreLook>,
    /// Reward terms that tell a policy's texts from a human's: evaluations tell of each `auroc/TERM`, `auroc@right/TERM` (a completion that is not right counts as detected) and `tpr@0.01/TERM`, its values of the greedy completions
    /// against those of the rows' human texts. The verifier must tell these as its fact `against`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub detectors: Vec<String>,
}

/// How a list that is ordered by scores is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ScoreLook {
    /// Places that count.
    pub k: usize,
}

impl Default for ScoreLook {
    fn default() -> Self {
        Self { k: 10 }
    }
}

impl Default for EvalSection {
    fn default() -> Self {
        Self {
            correct: None,
            split: MeasuredOn::Test,
            samples: 8,
            limit: None,
            every: 0,
            metric: DevMetric::default(),
            patience: None,
            min_delta: 0.0,
            dev_limit: None,
            by: None,
            score: None,
            detectors: Vec::new(),
        }
    }
}

/// The split that a run is measured on before and after.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MeasuredOn {
    /// What nothing else looks at.
    #[default]
    Test,
    /// What choices are made on.
    Dev,
}

impl MeasuredOn {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

fn is_zero(x: &f64) -> bool {
    *x == 0.0
}
