//! Groups of a step: sampled in blocks, scored, in the order of their prompts.

pub mod account;
pub mod bad_words;
pub mod latency;
pub(crate) mod outside;
mod scores;
pub(crate) mod segments;
pub mod world;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use cohort_core::{Controls, Cost, Decoding, Group, Policy, Sampler, Stream};
use cohort_env::Split;
use cohort_rollout::{Ask, Desk, Independent, Prompt, Strategy};

use crate::{
    error::Error,
    ledger::Ledger,
    relay::Relay,
    timing::{self, Seconds, timed},
    worker::Workers,
    world::World,
};
use account::Account;

/// How a batch of prompts is sampled and judged.
pub struct Sampling<'a> {
    pub decoding: Decoding,
    pub max_actions: usize,
    pub stream: Stream,
    pub step: u64,
    pub policy_version: u64,
    pub split: Split,
    pub blocks: Blocks,
    /// Verdicts that were given before: what is in it is not asked again.
    pub ledger: Option<&'a Ledger>,
}

/// Where the time of a step goes, and what its verdicts took.
#[derive(Clone, Debug, Default)]
pub struct Clocks {
    pub seconds: Seconds,
    pub account: Account,
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

/// The same where verdicts are waited for: each block's are under way while the next one is sampled.
const WAITED_BLOCK: usize = 64;

impl Blocks {
    /// Prompts of one call of the strategy, where `verdicts` can be waited for at once.
    fn prompts(self, prompts: usize, group_size: usize, verdicts: usize, workers: Workers) -> usize {
        let most = if verdicts > 1 { WAITED_BLOCK } else { BLOCK };
        match self {
            Blocks::Workers => prompts.div_ceil(workers.count()).min(most.div_ceil(group_size.max(1))).max(1),
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

impl Sampling<'_> {
    /// Samples and scores the groups of `prompts`. A group is scored while others are still sampled, where a thread is free for it.
    pub fn run(
        &self,
        world: &World,
        strategy: &dyn Strategy,
        Actors { sampler, policy }: Actors<'_>,
        prompts: &[Prompt],
        workers: Workers,
        Clocks { seconds, account }: &mut Clocks,
    ) -> Result<Vec<Group>, Error> {
        let per_block = self.blocks.prompts(prompts.len(), strategy.group_size(), world.at_once(), workers);
        let blocks: Vec<&[Prompt]> = prompts.chunks(per_block).collect();
        let ask = self.ask(world);
        let begun = Instant::now();
        let drawn = AtomicU64::new(0);
        let roll = |block: usize| {
            let rolled = self.roll(world, strategy, sampler, &ask, blocks[block]);
            drawn.fetch_max(begun.elapsed().as_micros() as u64, Ordering::Relaxed);
            Ok(blocks[block].iter().map(|prompt| prompt.slot as usize).zip(rolled?).collect())
        };
        let judge = |(slot, group): &mut (usize, Group)| {
            if let Some(ledger) = self.ledger {
                ledger.recall(self.step, &world.terms, *slot, std::slice::from_mut(group));
            }
            let is_judged = group.episodes.iter().all(|e| e.rewards.len() == world.terms.len());
            Ok(if is_judged { Vec::new() } else { world.judge(self.split, self.step, group, policy) })
        };
        let relay = Relay { making: "sampling", make: roll, finishing: "the rewards", finish: judge };
        // A verdict that is waited for needs no core.
        let helpers = if world.at_once() > 1 { world.at_once().div_ceil(strategy.group_size().max(1)) } else { 0 };
        let judged = workers.relay(blocks.len(), helpers, &relay)?;
        let (sampled, all) = (Duration::from_micros(drawn.into_inner()), begun.elapsed());
        seconds.sample += timing::seconds(sampled);
        seconds.reward += timing::seconds(all.saturating_sub(sampled));
        let mut groups = Vec::with_capacity(judged.len());
        for ((slot, mut group), verdicts) in judged {
            group.episodes.iter_mut().for_each(|episode| episode.cost.calls += world.terms.len() as u64);
            for (member, (episode, judged)) in group.episodes.iter_mut().zip(verdicts).enumerate() {
                for (term, judged) in world.terms.iter().zip(&judged) {
                    account.enter(&term.name, self.step, slot, member, judged);
                }
                if episode.rewards.is_empty() {
                    let told = judged.iter().flat_map(|judged| judged.facts.iter());
                    told.for_each(|(name, fact)| episode.facts.insert(name, fact.clone()));
                    episode.rewards = judged.into_iter().map(|judged| judged.outcome).collect();
                }
            }
            groups.push(group);
        }
        Ok(groups)
    }

    /// Samples the groups of `prompts`, which nothing judges.
    pub fn unjudged(
        &self,
        world: &World,
        strategy: &dyn Strategy,
        Actors { sampler, .. }: Actors<'_>,
        prompts: &[Prompt],
        workers: Workers,
    ) -> Result<Vec<Group>, Error> {
        let per_block = self.blocks.prompts(prompts.len(), strategy.group_size(), 1, workers);
        let blocks: Vec<&[Prompt]> = prompts.chunks(per_block).collect();
        let ask = self.ask(world);
        let roll = |block: usize| self.roll(world, strategy, sampler, &ask, blocks[block]);
        Ok(workers.map("sampling", blocks.len(), roll)?.into_iter().flatten().collect())
    }

    /// The groups of one block of prompts.
    fn roll(
        &self,
        world: &World,
        strategy: &dyn Strategy,
        sampler: &dyn Sampler,
        ask: &Ask,
        prompts: &[Prompt],
    ) -> Result<Vec<Group>, Error> {
        let desk = Desk { sampler, turns: world.turns.as_ref() };
        strategy.roll(prompts, ask, desk).map_err(|source| Error::Policy { step: self.step, source })
    }

    /// The prompts with a hint of their level behind each, and what it took to write them.
    pub fn hinted(
        &self,
        world: &World,
        actors: Actors<'_>,
        prompts: Vec<Prompt>,
        levels: &[u32],
        stream: Stream,
        clocks: &mut Clocks,
    ) -> Result<(Vec<Prompt>, Vec<Cost>), Error> {
        let Some(hints) = &world.hints else {
            let spent = vec![Cost::default(); prompts.len()];
            return Ok((prompts, spent));
        };
        let ask = Ask { stream, ..self.ask(world) };
        let hinted = timed(&mut clocks.seconds.sample, || hints.hinted(&prompts, levels, &ask, actors.sampler));
        let hinted = hinted.map_err(|source| Error::Policy { step: self.step, source })?;
        Ok(hinted.into_iter().unzip())
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
