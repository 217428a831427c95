//! `[score]`: what the score of a prompt is, and how a stage trains it.

use cohort_core::{schedule::Decay, score::ScoreLoss};
use serde::{Deserialize, Serialize};

/// The score of a prompt is the gap between two answers of one token at its end, `logp(yes) - logp(no)` at temperature 1: what a reranker orders by. A score
/// stage trains it on labels, after the rl stage where there is one; `eval.score` measures it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ScoreSection {
    /// The two answers, yes and no, each one token.
    pub alternatives: [String; 2],
    /// The column with the label of a row: a number.
    pub label: String,
    /// The column whose value the rows of one list share, such as their query. Without it each row is a list of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// What scores are held against.
    pub loss: ScoreLoss,
    /// Steps of the score stage.
    pub steps: u64,
    /// Lists a step: rows, where `group` is left out.
    pub batch_size: usize,
    /// Most candidates that a step takes of a list, drawn anew each time; all unless told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub candidates: Option<usize>,
    /// Learning rate of AdamW at its highest.
    pub lr: f64,
    /// Steps in which the learning rate rises linearly from 0.
    pub warmup_steps: u64,
    /// How the learning rate falls after the warmup.
    pub decay: Decay,
    /// Decay rates of the first and the second moment.
    pub betas: [f64; 2],
    /// Added to the root of the second moment; above 0.
    pub eps: f64,
    /// Decoupled decay of the weights a step, times the learning rate.
    pub weight_decay: f64,
    /// Largest norm of the gradient; above 0.
    pub clip_norm: f64,
    /// Steps between checkpoints.
    pub save_every: u64,
}

impl Default for ScoreSection {
    fn default() -> Self {
        Self {
            alternatives: ["1", "0"].map(str::to_owned),
            label: "label".to_owned(),
            group: None,
            loss: ScoreLoss::default(),
            steps: 100,
            batch_size: 16,
            candidates: None,
            lr: 1e-4,
            warmup_steps: 0,
            decay: Decay::Constant,
            betas: [0.9, 0.999],
            eps: 1e-8,
            weight_decay: 0.0,
            clip_norm: 1.0,
            save_every: 50,
        }
    }
}
