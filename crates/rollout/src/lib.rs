//! How the group of a prompt comes about.
//!
//! A strategy submits requests to one batched sampler, of the policy or beside it, and arranges what comes back;
//! none has a decode loop of its own.

mod independent;
pub mod server;

use std::sync::Arc;

use cohort_core::{Context, Controls, Group, GroupKey, PolicyError, Sampler, Stream, Turns};

pub use independent::Independent;
pub use server::{ServerConfig, ServerError, ServerSampler};

/// A prompt of a step.
#[derive(Clone, Debug)]
pub struct Prompt {
    /// Which prompt of its split it is.
    pub key: GroupKey,
    /// Its place in the step: what its randomness is keyed by, so that a prompt drawn twice in a
    /// step is sampled twice.
    pub slot: u32,
    pub context: Context,
}

/// What all requests of a step share.
#[derive(Clone, Debug)]
pub struct Ask {
    pub controls: Arc<Controls>,
    pub stream: Stream,
    pub step: u32,
}

/// A rollout strategy.
///
/// Contract: it may ask the sampler for samples as often as it likes, for all prompts at once; it
/// records every sample it asked for, kept or not, in an episode's cost; its groups come back in the
/// order of the prompts; it draws no randomness but through `ask.stream`, keyed by step, slot and
/// member, so that it resumes from nothing.
pub trait Strategy: Send + Sync {
    fn roll(
        &self,
        prompts: &[Prompt],
        ask: &Ask,
        sampler: &dyn Sampler,
        turns: &dyn Turns,
    ) -> Result<Vec<Group>, PolicyError>;

    /// Episodes a prompt.
    fn group_size(&self) -> usize;
}
