//! How good a policy is on a split: greedily, and over several samples a prompt.

mod metric;
pub mod preflight;

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
pub struct Plan {
    pub split: Split,
    /// Most prompts, taken from the front of the split.
    pub limit: Option<usize>,
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

/// Accuracies in [0, 1] by name (`greedy`, `pass@k`, `avg@n`, `maj@n`), with 95 % intervals.
/// What was not computed is absent.
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

impl Plan {
    /// The whole evaluation that a recipe asks for: greedy, and `eval.samples` a prompt.
    pub fn of_recipe(recipe: &Recipe, split: Split, stream: Stream) -> Self {
        Self {
            split,
            limit: recipe.eval.limit,
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
        let evaluation = self.summarise(world, n, &greedy, &sampled);
        Ok(Evaluated { evaluation, greedy, sampled })
    }

    fn summarise(&self, world: &World, n: usize, greedy: &[Group], sampled: &[Group]) -> Evaluation {
        let mut result = Evaluation { n, ..Evaluation::default() };
        let correct = |group: &Group| group.episodes.iter().filter(|e| world.is_correct(e)).count();
        if !greedy.is_empty() {
            let right = greedy.iter().map(correct).sum();
            result.set("greedy", right as f64 / n as f64, interval::wilson(right, n));
        }
        if !sampled.is_empty() {
            let counts: Vec<usize> = sampled.iter().map(correct).collect();
            let powers = std::iter::successors(Some(1), |k| Some(k * 2)).take_while(|&k| k <= self.samples);
            for k in powers {
                let values: Vec<f64> =
                    counts.iter().filter_map(|&c| pass_at_k::pass_at_k(self.samples, c, k)).collect();
                result.mean(&format!("pass@{k}"), &values);
            }
            let averages: Vec<f64> = counts.iter().filter_map(|&c| pass_at_k::average(c, self.samples)).collect();
            result.mean(&format!("avg@{}", self.samples), &averages);
            let majorities: Vec<f64> = sampled.iter().map(|g| f64::from(majority(world, g))).collect();
            result.mean(&format!("maj@{}", self.samples), &majorities);
        }
        let episodes = || greedy.iter().chain(sampled).flat_map(|g| &g.episodes);
        let count = episodes().count().max(1) as f64;
        result.truncated = episodes().filter(|e| e.is_truncated()).count() as f64 / count;
        result.mean_length = episodes().map(|e| e.action_count()).sum::<usize>() as f64 / count;
        result.failed = episodes().flat_map(|e| &e.rewards).filter(|r| r.is_failure()).count();
        result
    }
}

/// Whether the most frequent answer of a group is right; a group without answers is not.
fn majority(world: &World, group: &Group) -> bool {
    let verifier = world.terms[world.correct].verifier.as_ref();
    let votes: Vec<(Option<String>, bool)> = group
        .episodes
        .iter()
        .map(|e| {
            let text = e.samples.last().map_or(String::new(), |s| world.completion(s));
            (verifier.answer(&text), world.is_correct(e))
        })
        .collect();
    pass_at_k::majority(&votes).unwrap_or(false)
}

impl Evaluation {
    fn set(&mut self, name: &str, value: f64, interval: Option<[f64; 2]>) {
        self.accuracy.insert(name.to_owned(), value);
        if let Some(interval) = interval {
            self.interval.insert(name.to_owned(), interval);
        }
    }

    fn mean(&mut self, name: &str, values: &[f64]) {
        if values.is_empty() {
            return;
        }
        let all_binary = values.iter().all(|&v| v == 0.0 || v == 1.0);
        let interval = if all_binary {
            interval::wilson(values.iter().filter(|&&v| v == 1.0).count(), values.len())
        } else {
            interval::of_mean(values)
        };
        self.set(name, values.iter().sum::<f64>() / values.len() as f64, interval);
    }

    /// An accuracy by its name.
    pub fn get(&self, name: &str) -> Option<f64> {
        self.accuracy.get(name).copied()
    }
}
