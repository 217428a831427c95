//! Items and what terms say of them.

use std::collections::HashSet;

use cohort_core::StopReason;
use cohort_env::{
    Item, Task, View,
    verifier::{Means, Verdict, VerifierConfig, judge_one},
};
use serde_json::Value;

pub fn all(task: &Task) -> impl Iterator<Item = &Item> {
    task.train.iter().chain(&task.dev).chain(&task.test)
}

pub fn column<'a>(item: &'a Item, name: &str) -> &'a str {
    item.columns[name].as_str().unwrap_or_else(|| panic!("{name}: {:?}", item.columns))
}

pub fn texts(value: &Value) -> Vec<&str> {
    value.as_array().expect("a list").iter().map(|v| v.as_str().expect("a text")).collect()
}

pub fn are_disjoint(task: &Task) -> bool {
    let mut seen = HashSet::new();
    all(task).all(|item| seen.insert(item.prompt.as_str()))
}

pub fn sizes(task: &Task) -> [usize; 3] {
    [task.train.len(), task.dev.len(), task.test.len()]
}

/// Whether a count is one of `n` draws with probability `p`, but for once in some millions.
pub fn is_share(count: usize, n: usize, p: f64) -> bool {
    let (n, count) = (n as f64, count as f64);
    (count - n * p).abs() <= 5.5 * (n * p * (1.0 - p)).sqrt() + 1.0
}

/// What a term says of a completion to an item.
pub fn verdict(config: &Value, item: &Item, completion: &str) -> Verdict {
    let config: VerifierConfig = serde_json::from_value(config.clone()).expect("a term");
    let verifier = config.build(&Means::default()).expect("it builds");
    let stop = StopReason::Complete;
    let view = View { item, completion, tokens: &[], stop, turns: 1, payloads: &[], step: 0 };
    judge_one(verifier.as_ref(), &view)
}

pub fn score(config: &Value, item: &Item, completion: &str) -> f64 {
    let verdict = verdict(config, item, completion);
    verdict.outcome.value().unwrap_or_else(|| panic!("{completion}: {:?}", verdict.outcome))
}
