//! The groups of a step: drawn for the curriculum's prompts, and drawn again where they say nothing.

use std::collections::BTreeMap;

use cohort_core::{
    Fact, Group, Memory, Stream,
    curriculum::{CurriculumState, Merge, Reason, Redraw, Verdict},
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
#[derive(Default)]
pub struct Drawn {
    pub groups: Vec<Group>,
    pub fates: Vec<Fate>,
    /// The combined rewards of each group as it was drawn.
    rewards: Vec<Vec<Option<f64>>>,
    /// The hint level of each group, and the group that it was drawn instead of or beside.
    hints: Vec<Hinted>,
}

/// Why a group has the hint that it has.
#[derive(Clone, Copy, Debug, Default)]
struct Hinted {
    level: u32,
    after: Option<usize>,
}

/// What becomes of a drawn group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Trained,
    Discarded(Reason),
    /// The step had enough.
    Surplus,
    /// It has fewer episodes than its method compares.
    Short,
    /// It failed, and another was drawn with a hint in its place.
    Redrawn,
    /// It failed, and is a part of the group that was drawn with a hint.
    Joined,
}

impl Fate {
    /// For people and counters.
    pub fn word(self) -> &'static str {
        match self {
            Fate::Trained => "trained",
            Fate::Discarded(reason) => reason.word(),
            Fate::Surplus => "surplus",
            Fate::Short => "short",
            Fate::Redrawn => "redrawn",
            Fate::Joined => "joined",
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

    /// The groups as they were first drawn, without those that came with a hint after another: slot and rewards.
    pub fn first(&self) -> impl Iterator<Item = (usize, &[Option<f64>])> {
        let rewards = self.rewards.iter().map(Vec::as_slice).enumerate();
        rewards.filter(|(slot, _)| self.hints[*slot].after.is_none())
    }

    /// Where episode `member` of group `slot` was drawn: in the group that was joined to it, or there.
    pub fn origin(&self, slot: usize, member: usize) -> (usize, usize) {
        let own = self.rewards[slot].len();
        match self.hints[slot].after {
            Some(before) if member >= own => self.origin(before, member - own),
            _ => (slot, member),
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
    let (curriculum, wanted) = (&recipe.curriculum, recipe.train.prompts_per_step);
    let prompts = pool.len();
    let order = Stream::new(recipe.seed, "rl/order");
    let mut drawing = Drawing { recipe, ledger, pool, session, step, asked: Vec::new(), drawn: Drawn::default() };
    let mut next = curriculum.choose(prompts, wanted, step, order, state);
    for attempt in 0.. {
        let first = drawing.asked.len();
        let hints: Vec<Hinted> =
            next.iter().map(|&prompt| Hinted { level: curriculum.level(prompt, state), after: None }).collect();
        drawing.batch(&next, &hints, clocks)?;
        drawing.redraw(first, clocks)?;
        let missing = wanted.saturating_sub(drawing.drawn.trained().len());
        match curriculum.refill(prompts, missing, &drawing.asked, step, attempt, order, state) {
            Some(more) => next = more,
            None => break,
        }
    }
    let Drawing { asked, mut drawn, .. } = drawing;
    let kept = drawn.trained();
    let kept_prompts: Vec<usize> = kept.iter().map(|&slot| asked[slot]).collect();
    let trained = curriculum.settle(&kept_prompts, wanted, state);
    kept[trained..].iter().for_each(|&slot| drawn.fates[slot] = Fate::Surplus);
    Ok(drawn)
}

/// A step's groups as they come.
struct Drawing<'a, 's> {
    recipe: &'a Recipe,
    ledger: &'a Ledger,
    pool: &'a Pool,
    session: &'a Session<'s>,
    step: u64,
    /// The prompt of each group.
    asked: Vec<usize>,
    drawn: Drawn,
}

impl Drawing<'_, '_> {
    /// A group for each of these prompts, behind those that there are.
    fn batch(&mut self, prompts: &[usize], hints: &[Hinted], clocks: &mut Clocks) -> Result<(), Error> {
        let Self { recipe, ledger, pool, session, step, .. } = *self;
        let world = session.world;
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
        let asks = world.prompts_from(Split::Train, &pool.items(prompts), self.asked.len());
        let levels: Vec<u32> = hints.iter().map(|hint| hint.level).collect();
        let writing = Stream::new(recipe.seed, "rl/hints");
        let (asks, spent) = sampling.hinted(world, actors, asks, &levels, writing, clocks)?;
        let mut groups = sampling.run(world, world.strategy.as_ref(), actors, &asks, session.workers, clocks)?;
        for ((group, spent), level) in groups.iter_mut().zip(spent).zip(levels) {
            group.spent += spent;
            if world.hints.is_some() {
                group.facts.insert("hint_level", Fact::Number(f64::from(level)));
            }
        }
        record::hold_failures(world, &session.directory, &recipe.reward, &groups, step)?;
        record::hold_budget(world, &session.directory, recipe.reward.error_budget, &groups, step)?;
        let rewards = combined(recipe, session, step, &mut groups)?;
        self.drawn.fates.extend(self.fates(&rewards));
        self.drawn.rewards.extend(rewards);
        self.drawn.groups.extend(groups);
        self.drawn.hints.extend_from_slice(hints);
        self.asked.extend_from_slice(prompts);
        Ok(())
    }

    fn fates(&self, rewards: &[Vec<Option<f64>>]) -> Vec<Fate> {
        let least = self.recipe.method.advantage.least_group();
        let fate = |(verdict, rewards): (Verdict, &Vec<Option<f64>>)| match verdict {
            _ if rewards.len() < least => Fate::Short,
            Verdict::Keep => Fate::Trained,
            Verdict::Discard(reason) => Fate::Discarded(reason),
        };
        self.recipe.curriculum.admit(rewards).into_iter().zip(rewards).map(fate).collect()
    }

    /// Draws the groups from slot `first` on again with a hint, as often as the curriculum says so.
    fn redraw(&mut self, mut first: usize, clocks: &mut Clocks) -> Result<(), Error> {
        loop {
            let slots = first..self.drawn.groups.len();
            let again = |slot: usize| {
                let redraw = self.recipe.curriculum.redraw(self.drawn.hints[slot].level, &self.drawn.rewards[slot])?;
                Some((slot, redraw))
            };
            let again: Vec<(usize, Redraw)> = slots.clone().filter_map(again).collect();
            if again.is_empty() {
                return Ok(());
            }
            let prompts: Vec<usize> = again.iter().map(|(slot, _)| self.asked[*slot]).collect();
            let hinted = |(slot, redraw): &(usize, Redraw)| Hinted { level: redraw.level, after: Some(*slot) };
            self.batch(&prompts, &again.iter().map(hinted).collect::<Vec<_>>(), clocks)?;
            first = slots.end;
            for (slot, (before, redraw)) in (first..).zip(again) {
                self.drawn.fates[before] = Fate::Redrawn;
                if redraw.merge == Merge::Union {
                    self.join(slot, before)?;
                }
            }
        }
    }

    /// Makes one group of two: the hinted one in `slot`, and the one `before` it.
    fn join(&mut self, slot: usize, before: usize) -> Result<(), Error> {
        let other = &mut self.drawn.groups[before];
        let (episodes, spent) = (std::mem::take(&mut other.episodes), std::mem::take(&mut other.spent));
        self.drawn.fates[before] = Fate::Joined;
        let group = &mut self.drawn.groups[slot];
        group.episodes.extend(episodes);
        group.spent += spent;
        // What a group of another size made of them is made anew.
        for episode in &mut group.episodes {
            episode.outcome = None;
            episode.segment_rewards.clear();
        }
        let rewards = combined(self.recipe, self.session, self.step, std::slice::from_mut(group))?;
        self.drawn.fates[slot] = self.fates(&rewards)[0];
        Ok(())
    }
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
