//! Groups of a step: sampled in blocks, scored, in the order of their prompts.

pub mod world;

use std::sync::Arc;

use cohort_core::{Controls, Decoding, Group, Policy, Stream};
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
    /// Prompts that a worker decodes at a time.
    pub per_block: usize,
}

impl Sampling {
    /// Samples and scores the groups of `prompts`.
    pub fn run(
        &self,
        world: &World,
        strategy: &dyn Strategy,
        policy: &dyn Policy,
        prompts: &[Prompt],
        workers: Workers,
        seconds: &mut Seconds,
    ) -> Result<Vec<Group>, Error> {
        let blocks: Vec<&[Prompt]> = prompts.chunks(self.per_block).collect();
        let ask = self.ask(world);
        let groups = timed(&mut seconds.sample, || {
            workers.map("sampling", blocks.len(), |block| {
                strategy
                    .roll(blocks[block], &ask, policy, world.turns.as_ref())
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
