//! `[supervised]`: a stage of likelihood.

use cohort_core::schedule::Decay;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SupervisedSection {
    /// The most steps; `until` may end it earlier.
    pub steps: u64,
    /// Worked solutions a step.
    pub batch_size: usize,
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
    /// Seeds the order of its rows and its own evaluations.
    pub seed: u64,
    /// Ends the stage early.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Until>,
}

impl Default for SupervisedSection {
    fn default() -> Self {
        Self {
            steps: 100,
            batch_size: 64,
            lr: 1e-3,
            warmup_steps: 0,
            decay: Decay::Constant,
            betas: [0.9, 0.999],
            eps: 1e-8,
            weight_decay: 0.0,
            clip_norm: 1.0,
            save_every: 50,
            seed: 0,
            until: None,
        }
    }
}

/// Ends a supervised stage at a sampled accuracy on dev.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Until {
    /// Share of right answers at which the stage ends.
    pub accuracy: f64,
    /// Steps between checks.
    pub check_every: u64,
    /// Dev prompts a check.
    pub prompts: usize,
}
