//! Groups of a step: sampled in blocks, scored, in the order of their prompts.

pub mod bad_words;
pub(crate) mod outside;
pub mod world;

use std::sync::Arc;

use cohort_core::{Controls, Decoding, Group, Policy, Sampler, Stream};
use cohort_env::Split;
use cohort_rollout::{Ask, Independent, Prompt, Strategy};

use crate::{
    error::Error,
    timing::{Seconds, timed},
    worker::Workers,
    world::World,
};

/// How a batch of prompts is sampled.
pub struct Sampling {
    pub decoding: Decoding,
    pub max_actions: usize,
    pub stream: Stream,
    pub step: u64,
    pub policy_version: u64,
    pub split: Split,
    pub blocks: Blocks,
}

/// How the prompts of a batch are dealt out. It shows in no bit, since a sample does not depend on the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blocks {
    /// Each worker decodes its share.
    Workers,
    /// All at once, to a sampler that has its own concurrency.
    Whole,
}

/// The most completions that a worker is asked for at once: enough that its batch of rows is refilled as rows end, and
/// few enough that no worker is left alone with a long last block.
const BLOCK: usize = 512;

impl Blocks {
    /// Prompts of one call of the strategy.
    fn prompts(self, prompts: usize, group_size: usize, workers: Workers) -> usize {
        match self {
            Blocks::Workers => prompts.div_ceil(workers.count()).min(BLOCK.div_ceil(group_size.max(1))).max(1),
            Blocks::Whole => prompts.max(1),
        }
    }
}

/// Who draws, and the policy whose weights it has: one and the same unless a server draws.
#[derive(Clone, Copy)]
pub struct Actors<'a> {
    pub sampler: &'a dyn Sampler,
    pub policy: &'a dyn Policy,
}

impl<'a> Actors<'a> {
    /// The policy draws.
    pub fn own(policy: &'a dyn Policy) -> Self {
        Self { sampler: policy, policy }
    }
}

impl Sampling {
    /// Samples and scores the groups of `prompts`.
    pub fn run(
        &self,
        world: &World,
        strategy: &dyn Strategy,
        Actors { sampler, policy }: Actors<'_>,
        prompts: &[Prompt],
        workers: Workers,
        seconds: &mut Seconds,
    ) -> Result<Vec<Group>, Error> {
        let per_block = self.blocks.prompts(prompts.len(), strategy.group_size(), workers);
        let blocks: Vec<&[Prompt]> = prompts.chunks(per_block).collect();
        let ask = self.ask(world);
        let groups = timed(&mut seconds.sample, || {
            workers.map("sampling", blocks.len(), |block| {
                strategy
                    .roll(blocks[block], &ask, sampler, world.turns.as_ref())
                    .map_err(|source| Error::Policy { step: self.step, source })
            })
        })?;
        let mut groups: Vec<Group> = groups.into_iter().flatten().collect();
        let verdicts = timed(&mut seconds.reward, || {
            workers.map("the rewards", groups.len(), |group| {
                Ok(world.judge(self.split, self.step, &groups[group], policy))
            })
        })?;
        let calls = world.terms.len() as u64;
        let episodes = groups.iter_mut().flat_map(|group| &mut group.episodes);
        for (episode, rewards) in episodes.zip(verdicts.into_iter().flatten()) {
            episode.rewards = rewards;
            episode.cost.calls += calls;
        }
        Ok(groups)
    }

    /// One episode a prompt and turn, for evaluations: the world's environment under another group size.
    pub fn independent(group_size: usize) -> Independent {
        Independent { group_size, max_turns: MAX_TURNS }
    }

    fn ask(&self, world: &World) -> Ask {
        let controls = Controls {
            decoding: self.decoding,
            max_actions: self.max_actions,
            policy_version: self.policy_version,
            ..world.controls.clone()
        };
        Ask { controls: Arc::new(controls), stream: self.stream, step: self.step as u32 }
    }
}

/// No episode has more samples than this, whatever its environment says.
pub const MAX_TURNS: usize = 64;
