//! Groups of a step: sampled in blocks, scored, in the order of their prompts.

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
    /// Prompts that a worker decodes at a time; a sampler of its own concurrency takes all at once.
    pub per_block: usize,
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
        let blocks: Vec<&[Prompt]> = prompts.chunks(self.per_block).collect();
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
            stop: world.stop.clone(),
            forbidden: world.forbidden.clone(),
            policy_version: self.policy_version,
        };
        Ask { controls: Arc::new(controls), stream: self.stream, step: self.step as u32 }
    }
}

/// No episode has more samples than this, whatever its environment says.
pub const MAX_TURNS: usize = 64;
