//! How the group of a prompt comes about.
//!
//! A strategy submits requests to one batched sampler, of the policy or beside it, and arranges what comes back;
//! none has a decode loop of its own. What stands in several contexts of one call is run once by the sampler that reads it
//! there, so a strategy declares no shared prefix.
//!
//! | file | a group is |
//! |---|---|
//! | [`independent`](Independent) | answers that know nothing of each other |
//! | [`branching`](Branching) | a tree of turns: plans with their chains, rounds with their futures |
//! | [`exits`](Exits) | one chain of thought, left at several places |
//! | [`tree`](Tree) | a tree that branches where the policy is uncertain, beside independent answers |
//! | [`explained`](Explained) | independent answers, and an explanation of the right one beside them |
//!
//! [`Hints`] change the prompt that a strategy is given, [`Rounds`] are the turns of a conversation with fixed words.

mod branching;
mod config;
mod exits;
mod explained;
mod hints;
mod independent;
mod phrase;
mod rounds;
pub mod server;
mod splice;
mod thinking;
mod tree;

use std::sync::Arc;

use cohort_core::{Context, Controls, Group, GroupKey, PolicyError, Request, Sample, Sampler, Stream, Turns};

pub use branching::Branching;
pub use config::{Fault, StrategyConfig};
pub use exits::{Exits, ExitsConfig};
pub use explained::{Explained, ExplainedConfig};
pub use hints::{HintConfig, Hints, ScoredUnder};
pub use independent::Independent;
pub use phrase::{Fill, Phrase};
pub use rounds::{Carry, Round, RoundConfig, Rounds};
pub use server::{ServerConfig, ServerError, ServerSampler};
pub use thinking::{SoftConfig, ThinkingConfig};
pub use tree::{BranchAt, Prune, Tree, TreeConfig};

/// A prompt of a step.
#[derive(Clone, Debug)]
pub struct Prompt {
    /// Which prompt of its split it is.
    pub key: GroupKey,
    /// Its place in the step: what its randomness is keyed by, so that a prompt drawn twice in a
    /// step is sampled twice.
    pub slot: u32,
    pub context: Context,
    /// What first samples are scored under, where that is not what they are drawn under.
    pub scored: Option<Context>,
}

/// What all requests of a step share.
#[derive(Clone, Debug)]
pub struct Ask {
    pub controls: Arc<Controls>,
    pub stream: Stream,
    pub step: u32,
}

impl Ask {
    /// A request for member `member` of the group of `prompt`, whose `drawn` first positions are used.
    fn request(
        &self,
        prompt: &Prompt,
        member: u32,
        drawn: usize,
        context: Context,
        controls: Arc<Controls>,
    ) -> Request {
        Request { context, controls, dice: self.stream.dice(self.step, prompt.slot, member).advanced(drawn) }
    }
}

/// What a strategy asks: who draws, and what the environment says in between.
#[derive(Clone, Copy)]
pub struct Desk<'a> {
    pub sampler: &'a dyn Sampler,
    pub turns: &'a dyn Turns,
}

/// A rollout strategy.
///
/// Contract:
/// - it may ask the sampler for samples as often as it likes, for all prompts at once, and each call as a whole: no call for one
///   prompt alone where others want the same;
/// - every token that was drawn is counted once: in the cost of the episode that holds it (of several, the first), or in
///   [`Group::spent`] where none does;
/// - groups come back in the order of the prompts, each with at least one episode and at most [`Strategy::group_size`]; a group
///   that could not be filled is short, the step counts it, and nothing is drawn again for it;
/// - an action that the policy did not draw is the environment's ([`Author`](cohort_core::Author)), so that it is not trained, and has a
///   behaviour row of 0;
/// - it draws no randomness but through `ask.stream`, keyed by step, slot and member, and keeps nothing between calls: a
///   resumed run begins the step again and comes to the same groups.
pub trait Strategy: Send + Sync {
    fn roll(&self, prompts: &[Prompt], ask: &Ask, desk: Desk<'_>) -> Result<Vec<Group>, PolicyError>;

    /// The most episodes a prompt.
    fn group_size(&self) -> usize;
}

/// The sample with its actions in `segment`.
fn in_segment(mut sample: Sample, segment: usize) -> Sample {
    sample.actions.iter_mut().for_each(|action| action.segment = segment as u32);
    sample
}
