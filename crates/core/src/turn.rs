//! What an environment says after a sample.

use std::sync::Arc;

use crate::{context::Context, controls::Controls, group::GroupKey, sample::Sample};

/// The environment's move.
#[derive(Clone, Debug, PartialEq)]
pub enum Turn {
    /// The episode is over.
    End,
    /// The policy acts again, under this context: an earlier one with spans appended or dropped.
    Continue(Context),
}

/// An environment as a rollout strategy sees it.
pub trait Turns: Send + Sync {
    /// The move after `samples`, the whole episode of prompt `key` so far.
    /// A function of its arguments alone: asked twice, it says the same.
    fn turn(&self, key: GroupKey, samples: &[Sample]) -> Turn;

    /// What the policy first acts under, of the prompt's context.
    fn open(&self, context: &Context) -> Context {
        context.clone()
    }

    /// How the sample of turn `turn` (from 0) is drawn, of how the run draws.
    fn controls(&self, _turn: usize, of: &Arc<Controls>) -> Arc<Controls> {
        of.clone()
    }
}

/// The environment of single-turn tasks.
pub struct SingleTurn;

impl Turns for SingleTurn {
    fn turn(&self, _: GroupKey, _: &[Sample]) -> Turn {
        Turn::End
    }
}
