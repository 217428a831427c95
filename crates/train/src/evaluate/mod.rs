//! How good a policy is on a split: greedily, and over several samples a prompt.

mod classes;
pub(crate) mod detectors;
mod metric;
pub mod preflight;
mod scores;

use std::collections::BTreeMap;

pub use metric::DevMetric;

use cohort_core::{Decoding, Group, Policy, Stream, interval, pass_at_k};
use cohort_env::Split;
use serde::{Deserialize, Serialize};

use crate::{
    error::Error,
    recipe::Recipe,
    sampling::{Actors, Blocks, Clocks, Sampling},
    worker::Workers,
    world::World,
};

/// What is evaluated.
#[derive(Clone, Copy, Debug)]
pub struct Plan<'a> {
    pub split: Split,
    /// Most prompts, taken from the front of the split.
    pub limit: Option<usize>,
    /// A column by whose values the numbers are told too.
    pub by: Option<&'a str>,
    /// Places of a list that count, where it is ordered by scores.
    pub places: Option<usize>,
    pub greedy: Greedy,
    /// Samples a prompt; 0 for none.
    pub samples: usize,
    pub decoding: Decoding,
    pub max_actions: usize,
    pub stream: Stream,
    /// Distinguishes evaluations of one run; the step they are of.
    pub step: u64,
}

/// Whether the most probable completion is looked at too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Greedy {
    Yes,
    No,
}

/// Numbers by name, with 95 % intervals: accuracies in [0, 1] (`greedy`, `pass@k`, `avg@n`, `maj@n`) and, in the range of
/// each reward term, its mean over greedy completions (`reward/TERM`) and over samples (`avg@n/TERM`); verdicts that are
/// none are left out. Of scores `score/ndcg@K`, `score/ties` and `score/valid`. Of terms that detect (`eval.detectors`) `auroc/TERM`, the probability that a greedy completion has the
/// higher value than a row's human text, `auroc@right/TERM`, the same where a completion that is not right counts as detected, and `tpr@0.01/TERM`, the share of greedy completions above what 1 % of the human texts exceed. By a column each stands as `NAME/VALUE` too,
/// beside `n/VALUE`, and `least/greedy` is the least of the `greedy/VALUE`; where that column is the answer itself, `said/VALUE` and `precision/VALUE` tell what greedy
/// completions say. What was not computed is absent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Prompts.
    pub n: usize,
    #[serde(flatten)]
    pub accuracy: BTreeMap<String, f64>,
    pub interval: BTreeMap<String, [f64; 2]>,
    /// Share of completions that were cut at the cap.
    pub truncated: f64,
    /// Mean number of actions a completion.
    pub mean_length: f64,
    /// Rewards that failed.
    pub failed: usize,
}

/// Groups of an evaluation, for those who want to see completions.
pub struct Evaluated {
    pub evaluation: Evaluation,
    pub greedy: Vec<Group>,
    pub sampled: Vec<Group>,
}

impl<'a> Plan<'a> {
    /// The whole evaluation that a recipe asks for: greedy, and `eval.samples` a prompt.
    pub fn of_recipe(recipe: &'a Recipe, split: Split, stream: Stream) -> Self {
        Self {
            split,
            limit: recipe.eval.limit,
            by: recipe.eval.by.as_deref(),
            places: recipe.eval.score.map(|score| score.k),
            greedy: Greedy::Yes,
            samples: recipe.eval.samples,
            decoding: recipe.rollout.decoding,
            max_actions: recipe.rollout.max_new_tokens,
            stream,
            step: 0,
        }
    }

    pub fn run(&self, world: &World, policy: &dyn Policy, workers: Workers) -> Result<Evaluated, Error> {
        let present = world.task.items(self.split).len();
        let n = self.limit.map_or(present, |limit| limit.min(present));
        let prompts = world.prompts(self.split, &(0..n).collect::<Vec<_>>());
        let roll = |decoding, group_size: usize| {
            let sampling = Sampling {
                decoding,
                max_actions: self.max_actions,
                stream: self.stream,
                step: self.step,
                policy_version: self.step,
                split: self.split,
                blocks: Blocks::Workers,
                ledger: None,
            };
            let strategy = Sampling::independent(group_size);
            sampling.run(world, &strategy, Actors::own(policy), &prompts, workers, &mut Clocks::default())
        };
        let greedy = if self.greedy == Greedy::Yes { roll(Decoding::Greedy, 1)? } else { Vec::new() };
        let sampled = if self.samples > 0 { roll(self.decoding, self.samples)? } else { Vec::new() };
        let mut evaluation = self.summarise(world, n, &greedy, &sampled);
        scores::tell(self, world, (policy, workers), n, &greedy, &mut evaluation)?;
        Ok(Evaluated { evaluation, greedy, sampled })
    }

    fn summarise(&self, world: &World, n: usize, greedy: &[Group], sampled: &[Group]) -> Evaluation {
        let mut result = Evaluation { n, ..Evaluation::default() };
        let all: (Vec<&Group>, Vec<&Group>) = (greedy.iter().collect(), sampled.iter().collect());
        self.numbers(world, &all.0, &all.1, "", &mut result);
        for (value, (greedy, sampled)) in self.strata(world, greedy, sampled) {
            result.accuracy.insert(format!("n/{value}"), greedy.len().max(sampled.len()) as f64);
            self.numbers(world, &greedy, &sampled, &format!("/{value}"), &mut result);
            result.least(&format!("greedy/{value}"));
        }
        if let Some(column) = self.by {
            classes::tell(world, self.split, column, greedy, &mut result);
        }
        let episodes = || greedy.iter().chain(sampled).flat_map(|g| &g.episodes);
        let count = episodes().count().max(1) as f64;
        result.truncated = episodes().filter(|e| e.is_truncated()).count() as f64 / count;
        result.mean_length = episodes().map(|e| e.action_count()).sum::<usize>() as f64 / count;
        result.failed = episodes().flat_map(|e| &e.rewards).filter(|r| r.is_failure()).count();
        result
    }

    /// The groups by the values of the column, where there is one; rows without it stand together.
    fn strata<'g>(&self, world: &World, greedy: &'g [Group], sampled: &'g [Group]) -> BTreeMap<String, Stratum<'g>> {
        let mut strata: BTreeMap<String, Stratum<'g>> = BTreeMap::new();
        let Some(column) = self.by else { return strata };
        let value =
            |group: &Group| world.item(self.split, group.key).label(column).unwrap_or_else(|| "absent".to_owned());
        greedy.iter().for_each(|group| strata.entry(value(group)).or_default().0.push(group));
        sampled.iter().for_each(|group| strata.entry(value(group)).or_default().1.push(group));
        strata
    }

    /// The accuracies and the means of every term of some groups, under names that end with `suffix`.
    fn numbers(&self, world: &World, greedy: &[&Group], sampled: &[&Group], suffix: &str, result: &mut Evaluation) {
        let correct = |group: &Group| group.episodes.iter().filter(|e| world.is_correct(e)).count();
        let name = |name: &str| format!("{name}{suffix}");
        if !greedy.is_empty() {
            let right = greedy.iter().map(|group| correct(group)).sum();
            let n = greedy.len();
            result.set(&name("greedy"), right as f64 / n as f64, interval::wilson(right, n));
        }
        if !sampled.is_empty() {
            let counts: Vec<usize> = sampled.iter().map(|group| correct(group)).collect();
            let powers = std::iter::successors(Some(1), |k| Some(k * 2)).take_while(|&k| k <= self.samples);
            for k in powers {
                let values: Vec<f64> =
                    counts.iter().filter_map(|&c| pass_at_k::pass_at_k(self.samples, c, k)).collect();
                result.mean(&name(&format!("pass@{k}")), &values, ACCURACY);
            }
            let averages: Vec<f64> = counts.iter().filter_map(|&c| pass_at_k::average(c, self.samples)).collect();
            result.mean(&name(&format!("avg@{}", self.samples)), &averages, ACCURACY);
            let majorities: Vec<f64> = sampled.iter().map(|g| f64::from(majority(world, g))).collect();
            result.mean(&name(&format!("maj@{}", self.samples)), &majorities, ACCURACY);
        }
        for (index, term) in world.terms.iter().enumerate() {
            let of =
                |groups: &[&Group]| groups.iter().filter_map(|group| mean_of_term(group, index)).collect::<Vec<_>>();
            let range = term.verifier.range();
            result.mean(&name(&format!("reward/{}", term.name)), &of(greedy), range);
            result.mean(&name(&format!("avg@{}/{}", self.samples, term.name)), &of(sampled), range);
        }
        detectors::tell(world, greedy, suffix, result);
    }
}

/// The greedy and the sampled groups of a column's value.
type Stratum<'g> = (Vec<&'g Group>, Vec<&'g Group>);

const ACCURACY: (f64, f64) = (0.0, 1.0);

/// The accuracy on the worst value of a column.
const LEAST: &str = "least/greedy";

/// The mean of a term over the episodes of a group that it scored.
fn mean_of_term(group: &Group, term: usize) -> Option<f64> {
    let values = group.episodes.iter().filter_map(|e| e.rewards.get(term)?.value());
    let (sum, count) = values.fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
    (count > 0.0).then(|| sum / count)
}

/// Whether the most frequent answer of a group is right; a group without answers is not.
fn majority(world: &World, group: &Group) -> bool {
    let votes: Vec<(Option<String>, bool)> =
        group.episodes.iter().map(|e| (world.answer(e), world.is_correct(e))).collect();
    pass_at_k::majority(&votes).unwrap_or(false)
}

impl Evaluation {
    fn set(&mut self, name: &str, value: f64, interval: Option<[f64; 2]>) {
        self.accuracy.insert(name.to_owned(), value);
        if let Some(interval) = interval {
            self.interval.insert(name.to_owned(), interval);
        }
    }

    /// Has a value's accuracy for `least/greedy` where it is less than those before.
    fn least(&mut self, name: &str) {
        let Some(value) = self.get(name).filter(|value| self.get(LEAST).is_none_or(|least| *value < least)) else {
            return;
        };
        self.set(LEAST, value, self.interval.get(name).copied());
    }

    fn mean(&mut self, name: &str, values: &[f64], range: (f64, f64)) {
        if values.is_empty() {
            return;
        }
        let all_binary = values.iter().all(|&v| v == 0.0 || v == 1.0);
        let interval = if all_binary {
            interval::wilson(values.iter().filter(|&&v| v == 1.0).count(), values.len())
        } else {
            interval::of_mean(values, range)
        };
        self.set(name, values.iter().sum::<f64>() / values.len() as f64, interval);
    }

    /// A number by its name.
    pub fn get(&self, name: &str) -> Option<f64> {
        self.accuracy.get(name).copied()
    }
}
