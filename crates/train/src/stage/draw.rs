//! The groups of a step: drawn for the curriculum's prompts, and drawn again where they say nothing.

use std::collections::BTreeMap;

use cohort_core::{
    Group, Memory, Stream,
    curriculum::{CurriculumState, Reason, Verdict},
    metric::{Metric, Metrics},
};
use cohort_env::Split;

use crate::{
    error::Error,
    ledger::Ledger,
    outside::Recorded,
    recipe::Recipe,
    sampling::{Actors, Clocks, Sampling},
    session::Session,
    stage::{pool::Pool, record},
};

/// The groups that a step drew, in the order in which it drew them: a group's place is its slot.
pub struct Drawn {
    pub groups: Vec<Group>,
    pub fates: Vec<Fate>,
}

/// What becomes of a drawn group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Trained,
    Discarded(Reason),
    /// The step had enough.
    Surplus,
}

impl Fate {
    /// For people and counters.
    pub fn word(self) -> &'static str {
        match self {
            Fate::Trained => "trained",
            Fate::Discarded(reason) => reason.word(),
            Fate::Surplus => "surplus",
        }
    }
}

impl Drawn {
    /// The slots of the groups that are trained.
    pub fn trained(&self) -> Vec<usize> {
        (0..self.groups.len()).filter(|&slot| self.fates[slot] == Fate::Trained).collect()
    }

    /// Discards the trained groups whose verdict says so; `verdicts` are in their order.
    pub fn admit(&mut self, verdicts: &[Verdict]) {
        for (slot, verdict) in self.trained().into_iter().zip(verdicts) {
            if let Verdict::Discard(reason) = verdict {
                self.fates[slot] = Fate::Discarded(*reason);
            }
        }
    }

    /// How many groups went which way, where any did not go the usual one.
    pub fn measure(&self, metrics: &mut Metrics) {
        metrics.add("groups/drawn", Metric::Sum(self.groups.len() as f64));
        let mut counts: BTreeMap<&str, f64> = BTreeMap::new();
        for fate in self.fates.iter().filter(|fate| **fate != Fate::Trained) {
            *counts.entry(fate.word()).or_default() += 1.0;
        }
        for (word, count) in counts {
            metrics.add(&format!("groups/discarded/{word}"), Metric::Sum(count));
        }
    }
}

/// Draws, judges and combines the groups of `step`, until the curriculum has enough or its budget is spent.
/// Every group has its combined reward afterwards.
pub fn draw(
    recipe: &Recipe,
    ledger: &Ledger,
    pool: &Pool,
    session: &Session<'_>,
    state: &mut CurriculumState,
    step: u64,
    clocks: &mut Clocks,
) -> Result<Drawn, Error> {
    let world = session.world;
    let (curriculum, wanted) = (&recipe.curriculum, recipe.train.prompts_per_step);
    let prompts = pool.len();
    let order = Stream::new(recipe.seed, "rl/order");
    let sampling = Sampling {
        decoding: recipe.rollout.decoding,
        max_actions: recipe.rollout.max_new_tokens,
        stream: Stream::new(recipe.seed, "rl/draws"),
        step,
        policy_version: session.optimizer.updates,
        split: Split::Train,
        blocks: recipe.blocks(),
        ledger: Some(ledger),
    };
    let policy = session.policy.as_ref();
    let outside = session.outside.as_ref().map(|outside| {
        outside.of_step(policy, session.optimizer.updates, Recorded::of_step(ledger, sampling.stream, step))
    });
    let actors = outside.as_ref().map_or(Actors::own(policy), |outside| Actors { sampler: outside, policy });
    let mut drawn = Drawn { groups: Vec::new(), fates: Vec::new() };
    let mut asked: Vec<usize> = Vec::new();
    let mut next = curriculum.choose(prompts, wanted, step, order, state);
    for attempt in 0.. {
        let first = asked.len();
        let asks = world.prompts_from(Split::Train, &pool.items(&next), first);
        let mut groups = sampling.run(world, world.strategy.as_ref(), actors, &asks, session.workers, clocks)?;
        record::hold_failures(world, &session.directory, &recipe.reward, &groups, step)?;
        record::hold_budget(world, &session.directory, recipe.reward.error_budget, &groups, step)?;
        let rewards = combined(recipe, session, step, &mut groups)?;
        let fate = |verdict| match verdict {
            Verdict::Keep => Fate::Trained,
            Verdict::Discard(reason) => Fate::Discarded(reason),
        };
        drawn.fates.extend(curriculum.admit(&rewards).into_iter().map(fate));
        drawn.groups.extend(groups);
        asked.extend(next);
        let missing = wanted.saturating_sub(drawn.trained().len());
        match curriculum.refill(prompts, missing, &asked, step, attempt, order, state) {
            Some(more) => next = more,
            None => break,
        }
    }
    let kept = drawn.trained();
    let kept_prompts: Vec<usize> = kept.iter().map(|&slot| asked[slot]).collect();
    let trained = curriculum.settle(&kept_prompts, wanted, state);
    kept[trained..].iter().for_each(|&slot| drawn.fates[slot] = Fate::Surplus);
    Ok(drawn)
}

/// The combined rewards of freshly drawn groups, written into their episodes. What the method remembers is not touched: it is
/// moved once a step, by the groups that are trained.
fn combined(
    recipe: &Recipe,
    session: &Session<'_>,
    step: u64,
    groups: &mut [Group],
) -> Result<Vec<Vec<Option<f64>>>, Error> {
    let mut comparisons = record::comparisons(&recipe.reward, session.world, groups);
    let mut memory: Memory = session.state.memory.clone();
    let rule = session.world.method(&recipe.method).reward;
    rule.apply(&mut comparisons, &mut memory).map_err(|source| Error::Method { step, source })?;
    record::outcomes(&comparisons, groups);
    Ok(groups.iter().map(|group| group.episodes.iter().map(|e| e.outcome).collect()).collect())
}
