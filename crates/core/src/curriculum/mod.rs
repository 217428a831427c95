//! Which prompts come next, which groups are trained, and how a prompt is made easier or harder.
//!
//! A step runs like this: [`Curriculum::choose`] names its prompts, the loop draws a group for each, [`Curriculum::admit`]
//! says which groups are trained, [`Curriculum::refill`] names prompts for those that are missing until the budget is
//! spent, [`Curriculum::settle`] cuts to size, and [`Curriculum::observe`] notes what the groups showed. Everything
//! is a function of the step, the stream and [`CurriculumState`], which a checkpoint keeps: a resumed run goes on with
//! the same prompts.

mod accuracy_band;
mod adaptive;
mod all_fail;
mod augment;
mod by_kl;
mod defer;
mod difficulty;
mod easy_to_hard;
mod eligible;
mod filter;
mod hint;
mod ladder;
mod one_shot;
mod order;
mod shuffled;
mod state;
mod top_variance;
mod useful;
mod zero_variance;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

pub use accuracy_band::Measure;
pub use augment::{Augment, Augmentation};
pub use defer::Defer;
pub use easy_to_hard::Direction;
pub use eligible::Eligible;
pub use filter::{Filter, Reason, Surplus, Verdict};
pub use hint::{Hint, Merge, Redraw};
pub use order::Order;
pub use shuffled::shuffled;
pub use state::{CurriculumState, HISTORY, PromptRecord, Visit};
pub use top_variance::Spread;
pub use useful::useful;

use crate::{
    random::{Stream, permutation},
    registry::Entry,
};

/// The choices of this axis that a recipe can name.
pub const ENTRIES: &[&Entry] = &[
    &order::SHUFFLED,
    &one_shot::ENTRY,
    &easy_to_hard::ENTRY,
    &eligible::ALL,
    &accuracy_band::ENTRY,
    &top_variance::ENTRY,
    &filter::KEEP,
    &zero_variance::ENTRY,
    &defer::NONE,
    &by_kl::ENTRY,
    &adaptive::ENTRY,
    &ladder::ENTRY,
    &all_fail::ENTRY,
    &difficulty::ENTRY,
];

/// Why the neutral words of the keys are the same function.
const NEUTRAL: &str = "the neutral word of another key of [curriculum]: it changes nothing either";

/// What the dice of one stream are for; `shuffled` and the buckets of `easy_to_hard` have 0.
const THINNING: u32 = 1;
const REFILL: u32 = 2;

/// A group as it was drawn: its prompt, its rewards and its mean divergence from the reference, where that was measured.
pub type Observed = (usize, Vec<Option<f64>>, Option<f64>);

/// The curriculum of a recipe: one word a key.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Curriculum {
    /// In which order prompts come.
    pub order: Order,
    /// Which prompts may come.
    pub choose: Eligible,
    /// Which groups are trained.
    pub filter: Filter,
    /// Which prompts are put off.
    pub defer: Defer,
    /// How much of a solution a prompt is given.
    pub hint: Hint,
    /// How a prompt is made easier or harder for a second look.
    pub augment: Augment,
}

impl Curriculum {
    /// Whether every parameter lies in its range; else the key below `curriculum` and the problem.
    pub fn check(&self) -> Result<(), (String, String)> {
        self.order.check()?;
        self.choose.check()?;
        self.filter.check()?;
        self.defer.check()?;
        self.hint.check()?;
        self.augment.check()
    }

    /// Whether the prompts that it names are among `prompts` many.
    pub fn check_prompts(&self, prompts: usize) -> Result<(), (String, String)> {
        match &self.order {
            Order::OneShot { prompts: named } => match named.iter().find(|p| **p >= prompts as u64) {
                Some(p) => Err(("order.one_shot.prompts".to_owned(), format!("names prompt {p} of {prompts}"))),
                None => Ok(()),
            },
            Order::Shuffled | Order::EasyToHard { .. } => Ok(()),
        }
    }

    /// The `count` prompts of `step` (from 1), as indices below `prompts`. Prompts that are due for another look and
    /// carried ones come first, the others in the order of the recipe. With the neutral words this is [`shuffled`].
    ///
    /// Where nothing is eligible, everything is but what is deferred; where everything is deferred, nothing is. A prompt
    /// comes twice in one step only where an epoch ends within it, or where fewer than `count` are eligible. Empty for no
    /// prompts.
    pub fn choose(
        &self,
        prompts: usize,
        count: usize,
        step: u64,
        stream: Stream,
        state: &CurriculumState,
    ) -> Vec<usize> {
        let universe = self.order.universe(prompts);
        let head = head(&universe, count, step, state);
        let eligible = self.eligible(&universe, step, stream, state);
        let row = self.order.row(&eligible, count, step, stream, state);
        let ahead: BTreeSet<usize> = head.iter().copied().collect();
        let rest: Vec<usize> = row.iter().copied().filter(|p| !ahead.contains(p)).collect();
        // A short row (few prompts, an epoch that ends) is walked again.
        let filling = if rest.is_empty() { &row } else { &rest };
        let mut chosen = head;
        chosen.extend(filling.iter().copied().cycle().take(count - chosen.len()));
        chosen
    }

    /// The prompts of the order that may come at this step, in ascending order; empty only for an empty universe.
    fn eligible(&self, universe: &[usize], step: u64, stream: Stream, state: &CurriculumState) -> Vec<usize> {
        let present = |p: &usize| !state.record(*p).is_some_and(|r| r.is_deferred(step));
        let mut open: Vec<usize> = universe.iter().copied().filter(present).collect();
        if open.is_empty() {
            open = universe.to_vec();
        }
        let weights = self.choose.weights(&open, step, state);
        let taken = |&(p, weight): &(usize, f64)| {
            weight >= 1.0 || (weight > 0.0 && stream.dice(step as u32, p as u32, THINNING).uniform(0) < weight)
        };
        let kept: Vec<usize> = open.iter().copied().zip(weights).filter(taken).map(|(p, _)| p).collect();
        if kept.is_empty() { open } else { kept }
    }

    /// Whether each group is trained, by its rewards.
    pub fn admit(&self, rewards_of_groups: &[Vec<Option<f64>>]) -> Vec<Verdict> {
        rewards_of_groups.iter().map(|rewards| self.filter.verdict(rewards)).collect()
    }

    /// Whether each group is trained, by its mean divergence from the reference before the update.
    pub fn admit_kl(&self, mean_kl: &[Option<f64>], state: &CurriculumState) -> Vec<Verdict> {
        let threshold = self.defer.threshold(state);
        let judge = |kl: &Option<f64>| match (threshold, kl) {
            (Some(threshold), Some(kl)) if by_kl::is_over(*kl, threshold) => Verdict::Discard(Reason::HighKl),
            _ => Verdict::Keep,
        };
        mean_kl.iter().map(judge).collect()
    }

    /// Prompts for the groups that are `missing` after `attempt` refills (from 0) of this step; `None` where nothing is
    /// missing, the filter refills nothing or its budget is spent. `drawn` are the prompts that this step has had: none of
    /// them comes again, and none twice, before all eligible ones had their turn.
    #[expect(clippy::too_many_arguments, reason = "all that a draw is a function of")]
    pub fn refill(
        &self,
        prompts: usize,
        missing: usize,
        drawn: &[usize],
        step: u64,
        attempt: u32,
        stream: Stream,
        state: &CurriculumState,
    ) -> Option<Vec<usize>> {
        let Filter::ZeroVariance { budget, oversample, .. } = &self.filter else { return None };
        if attempt >= *budget || missing == 0 {
            return None;
        }
        let wanted = zero_variance::wanted(missing, *oversample);
        let universe = self.order.universe(prompts);
        let eligible = self.eligible(&universe, step, stream, state);
        let had: BTreeSet<usize> = drawn.iter().copied().collect();
        let place = permutation(eligible.len(), stream.dice(step as u32, attempt, REFILL));
        let distances = self.order.distances(&eligible, drawn, step, state);
        let mut row: Vec<usize> = (0..eligible.len()).collect();
        row.sort_by_key(|&i| (had.contains(&eligible[i]), distances[i], place[i]));
        Some(row.into_iter().map(|i| eligible[i]).cycle().take(wanted).collect())
    }

    /// How many of the `kept` groups, given by their prompts in the order in which they were drawn, are trained: at
    /// most `count`. The prompts of the surplus are carried to the next step, where the recipe says so.
    /// To be called once a step, after the last refill.
    pub fn settle(&self, kept: &[usize], count: usize, state: &mut CurriculumState) -> usize {
        let trained = kept.len().min(count);
        if let Filter::ZeroVariance { surplus: Surplus::Carry, .. } = self.filter {
            // What was carried into this step and did not fit goes on waiting.
            let waiting = state.carry.iter().copied().skip(count).chain(kept[trained..].iter().map(|p| *p as u64));
            let mut seen = BTreeSet::new();
            state.carry = waiting.filter(|p| seen.insert(*p)).collect();
        }
        trained
    }

    /// The hint level at which the group of `prompt` is drawn first; 0 is no hint.
    pub fn level(&self, prompt: usize, state: &CurriculumState) -> u32 {
        self.hint.first(state.record(prompt).map_or(0, |r| r.level))
    }

    /// Whether a group that was drawn at `level` is drawn once more with a hint.
    pub fn redraw(&self, level: u32, rewards: &[Option<f64>]) -> Option<Redraw> {
        self.hint.redraw(level, rewards)
    }

    /// How the prompt of a group with these rewards is changed for a second look, before [`Curriculum::observe`].
    pub fn augmentation(&self, rewards: &[Option<f64>], state: &CurriculumState) -> Augmentation {
        self.augment.of(rewards, &state.window)
    }

    /// Notes what the groups of `step` showed. Groups of one prompt are pooled: one visit and one move of its hint level a
    /// step. To be called once a step, with the groups as they were first drawn (not the augmented ones), trained or not.
    pub fn observe(&self, step: u64, groups: &[Observed], state: &mut CurriculumState) {
        let threshold = self.defer.threshold(state);
        let mut pools: BTreeMap<usize, (u64, Vec<f64>, Vec<f64>)> = BTreeMap::new();
        for (prompt, rewards, kl) in groups {
            let scored = state::scored(rewards);
            state.push_mean(&scored, self.augment.window());
            state.push_kl(*kl, self.defer.window());
            let (count, pool, divergences) = pools.entry(*prompt).or_default();
            *count += 1;
            pool.extend(scored);
            divergences.extend(kl);
        }
        for (prompt, (count, rewards, divergences)) in pools {
            let record = state.prompts.entry(prompt as u64).or_default();
            record.seen += count;
            record.visit(step, &rewards, self.history());
            record.level = self.hint.next_level(record.level, &rewards);
            record.deferred_until = self.defer.until(step, threshold, &divergences);
            if self.history() == 0 && record.level == 0 && record.deferred_until.is_none() {
                // It says nothing to these choices, and a checkpoint keeps what is remembered.
                state.prompts.remove(&(prompt as u64));
            }
        }
    }

    /// How many of a prompt's latest visits are read by these choices; with 0 of them its rate is not read either.
    fn history(&self) -> usize {
        let order = match self.order {
            Order::Shuffled | Order::OneShot { .. } => 0,
            // The rate, and how old it is.
            Order::EasyToHard { .. } => 1,
        };
        let choose = match self.choose {
            Eligible::All => 0,
            Eligible::AccuracyBand { .. } => 1,
            Eligible::TopVariance { .. } => HISTORY,
        };
        order.max(choose)
    }
}

/// What comes before the order: prompts that are due for another look, then carried ones; at most `count`.
fn head(universe: &[usize], count: usize, step: u64, state: &CurriculumState) -> Vec<usize> {
    let known: BTreeSet<usize> = universe.iter().copied().collect();
    let due = state.prompts.iter().filter(|(_, r)| r.is_due(step)).map(|(p, _)| *p);
    let mut seen = BTreeSet::new();
    due.chain(state.carry.iter().copied())
        .map(|p| p as usize)
        .filter(|p| known.contains(p) && seen.insert(*p))
        .take(count)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remembered(curriculum: Curriculum) -> (usize, usize) {
        let mut state = CurriculumState::default();
        for step in 1..=3 * HISTORY as u64 {
            let group = |prompt| (prompt, vec![Some(step as f64), Some(0.0)], None);
            curriculum.observe(step, &[group(0), group(step as usize)], &mut state);
        }
        let visits = state.prompts.values().map(|record| record.visits.len()).max().unwrap_or(0);
        (state.prompts.len(), visits)
    }

    #[test]
    fn what_no_choice_reads_is_not_remembered() {
        let all = 3 * HISTORY + 1;
        let parse = |text: &str| serde_json::from_str::<Curriculum>(text).unwrap();
        assert_eq!(remembered(Curriculum::default()), (0, 0), "a checkpoint does not grow with the prompts");
        assert_eq!(remembered(parse(r#"{"filter": {"zero_variance": {}}}"#)), (0, 0));
        assert_eq!(remembered(parse(r#"{"order": {"easy_to_hard": {}}}"#)), (all, 1));
        assert_eq!(remembered(parse(r#"{"choose": {"accuracy_band": {}}}"#)), (all, 1));
        assert_eq!(remembered(parse(r#"{"choose": {"top_variance": {}}}"#)), (all, HISTORY));
    }
}
