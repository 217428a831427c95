//! Counting equal answers.

use std::collections::BTreeMap;

/// How often each answer occurs.
pub(super) fn counts(answers: &[String]) -> BTreeMap<&str, usize> {
    let mut counts = BTreeMap::new();
    for answer in answers {
        *counts.entry(answer.as_str()).or_insert(0) += 1;
    }
    counts
}

/// The share of every entry's answer among all.
pub(super) fn shares(answers: &[String]) -> Vec<f64> {
    let counts = counts(answers);
    answers.iter().map(|a| counts[a.as_str()] as f64 / answers.len() as f64).collect()
}
