//! `[train]`: the length of the rl stage, its batches, its optimizer.

use cohort_core::schedule::Decay;
use serde::{Deserialize, Serialize};

use crate::{ema::EmaSection, update::DeadSamples};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TrainSection {
    /// Steps of the rl stage; the only key that may grow when a run is resumed.
    pub steps: u64,
    /// Ends the stage at the first step that has sampled this many tokens; `decay` then runs over them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u64>,
    /// Ends the stage at the first step that ends after this many seconds of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_seconds: Option<f64>,
    /// Which rows of the train split the stage draws its prompts from; all unless told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub among: Option<Among>,
    /// Groups a step.
    pub prompts_per_step: usize,
    /// Optimizer updates on one batch of rollouts.
    pub inner_epochs: usize,
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
    /// Groups of one micro-batch: what a worker holds at a time, and a leaf of the tree of summation.
    pub groups_per_block: usize,
    /// Steps between checkpoints.
    pub save_every: u64,
    /// Checkpoints kept beside the best one.
    pub keep_checkpoints: usize,
    /// An average of the weights, kept beside them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ema: Option<EmaSection>,
    /// What divergences are measured from, where the recipe has one.
    #[serde(skip_serializing_if = "ReferenceSection::is_default")]
    pub reference: ReferenceSection,
    /// One a core unless told. Changes no number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workers: Option<usize>,
    /// What becomes of samples without a derivative, such as those of a group with equal rewards. Changes no number.
    pub dead_samples: DeadSamples,
    /// How the cores share a training pass. Changes no number.
    pub parallel: ParallelChoice,
    /// What a training pass holds between forward and backward. Changes no number.
    pub activations: ActivationsChoice,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ParallelChoice {
    /// `workers`, or `rows` where the memory plan says that a gradient a worker does not fit, or a batch has fewer
    /// micro-batches than there are workers.
    #[default]
    Auto,
    /// A micro-batch a core.
    Workers,
    /// One micro-batch at a time, its rows split over the cores.
    Rows,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ActivationsChoice {
    /// `keep`, or `recompute` where the memory plan says that they do not fit.
    #[default]
    Auto,
    /// All that the way back needs is held from the way there.
    Keep,
    /// What goes into each layer alone; the layer is computed again on the way back.
    Recompute,
}

impl Default for TrainSection {
    fn default() -> Self {
        Self {
            steps: 100,
            max_tokens: None,
            max_seconds: None,
            among: None,
            prompts_per_step: 32,
            inner_epochs: 1,
            lr: 1e-6,
            warmup_steps: 0,
            decay: Decay::Constant,
            betas: [0.9, 0.999],
            eps: 1e-8,
            weight_decay: 0.0,
            clip_norm: 1.0,
            groups_per_block: 4,
            save_every: 10,
            keep_checkpoints: 2,
            ema: None,
            reference: ReferenceSection::default(),
            workers: None,
            dead_samples: DeadSamples::Skip,
            parallel: ParallelChoice::Auto,
            activations: ActivationsChoice::Auto,
        }
    }
}

/// Rows by the value of a column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Among {
    /// Its name.
    pub column: String,
    /// The values that are drawn from, as texts.
    pub values: Vec<String>,
}

/// How the reference policy moves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReferenceSection {
    /// It stays what the rl stage started from.
    #[default]
    Frozen,
    /// It is the average of `train.ema`, as it is before the step.
    Ema,
}

impl ReferenceSection {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}
