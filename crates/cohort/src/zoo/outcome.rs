//! What a run's summary gives a claim: its metric, its tokens, its steps.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, BufRead},
    path::Path,
};

use cohort_core::Cost;
use cohort_train::{Summary, evaluate::Evaluation};
use serde::Deserialize;
use serde_json::Value;

/// Every number of an evaluation by its name; `length` is its `mean_length`.
pub fn numbers(evaluation: &Evaluation) -> BTreeMap<String, f64> {
    let Ok(Value::Object(fields)) = serde_json::to_value(evaluation) else { return BTreeMap::new() };
    let mut numbers: BTreeMap<String, f64> =
        fields.into_iter().filter_map(|(name, value)| Some((name, value.as_f64()?))).collect();
    if let Some(length) = numbers.get("mean_length").copied() {
        numbers.insert("length".to_owned(), length);
    }
    numbers
}

/// A number on the evaluated split, before and after training.
pub fn metric(summary: &Summary, name: &str) -> Option<(f64, f64)> {
    let of = |evaluation: &Option<Evaluation>| numbers(evaluation.as_ref()?).get(name).copied();
    Some((of(&summary.eval.before)?, of(&summary.eval.after)?))
}

/// What `claim.beside` names, before and after the rl stage: a number of the evaluations, or a metric of the stage's first and last step.
pub fn told(run: &Path, summary: &Summary, name: &str) -> Option<[f64; 2]> {
    if let Some((before, after)) = metric(summary, name) {
        return Some([before, after]);
    }
    let text = fs::read_to_string(run.join("metrics.jsonl")).ok()?;
    let of = |line: &str| serde_json::from_str::<Value>(line).ok()?.get(name)?.as_f64();
    let mut values = text.lines().filter_map(of);
    let first = values.next()?;
    Some([first, values.next_back().unwrap_or(first)])
}

/// The most tokens that a step of a run sampled, discarded episodes among them.
pub fn largest_step(run: &Path) -> u64 {
    #[derive(Deserialize)]
    struct Line {
        step: u64,
        cost: Cost,
        #[serde(default)]
        spent: Cost,
    }
    let Ok(file) = fs::File::open(run.join("rollouts.jsonl")) else { return 0 };
    let mut steps: BTreeMap<u64, u64> = BTreeMap::new();
    for line in io::BufReader::new(file).lines().map_while(Result::ok) {
        if let Ok(Line { step, cost, spent }) = serde_json::from_str(&line) {
            *steps.entry(step).or_default() += cost.sampled_actions + spent.sampled_actions;
        }
    }
    steps.into_values().max().unwrap_or(0)
}
