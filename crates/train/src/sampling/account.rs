//! What the verdicts of a step were and what they took. Clocks are read for it, so it is written to `timings.jsonl` alone.

use std::{cmp::Ordering, collections::BTreeMap};

use cohort_core::{Facts, Outcome};
use cohort_env::Asked;
use serde::{Deserialize, Serialize};

use crate::latency::Latency;

/// Terms by name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Account(pub BTreeMap<String, TermAccount>);

/// One reward term: outcomes, times, and what services took.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TermAccount {
    pub scored: u64,
    pub abstain: u64,
    pub timeout: u64,
    pub error: u64,
    /// Sum over verdicts, which may overlap.
    pub seconds: f64,
    pub latency: Latency,
    /// The slowest ones, slowest first.
    pub slowest: Vec<Slow>,
    #[serde(skip_serializing_if = "Services::is_none")]
    pub services: Services,
}

/// A verdict that took long.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Slow {
    pub seconds: f64,
    pub step: u64,
    /// The group's place in its step, and the completion's in its group: as in `rollouts.jsonl`.
    pub slot: usize,
    pub episode: usize,
    pub outcome: String,
}

/// What programs and services were asked, and what it cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Services {
    pub requests: u64,
    /// Of the requests, those that were made again.
    pub retries: u64,
    /// Answers that were taken from the cache.
    pub cached: u64,
    pub prompt_tokens: u64,
    pub completion_tokens: u64,
    /// In the currency of the recipe's prices.
    pub cost: f64,
}

/// A verdict with what it took.
#[derive(Clone, Debug, PartialEq)]
pub struct Judged {
    pub outcome: Outcome,
    pub seconds: f64,
    pub asked: Option<Asked>,
    /// What methods read of it.
    pub facts: Facts,
}

/// Slow verdicts that are kept a term.
const SLOWEST: usize = 5;

impl Account {
    /// Enters a verdict of `term` on a completion.
    pub fn enter(&mut self, term: &str, step: u64, slot: usize, episode: usize, judged: &Judged) {
        let Judged { outcome, seconds, asked, .. } = judged;
        let account = self.0.entry(term.to_owned()).or_default();
        *match outcome {
            Outcome::Scored { .. } => &mut account.scored,
            Outcome::Abstain => &mut account.abstain,
            Outcome::Timeout => &mut account.timeout,
            Outcome::Error { .. } => &mut account.error,
        } += 1;
        account.seconds += seconds;
        account.latency.add(*seconds);
        let outcome = outcome.kind().to_owned();
        account.slowest.push(Slow { seconds: *seconds, step, slot, episode, outcome });
        account.keep_slowest();
        if let Some(asked) = asked {
            account.services += Services {
                requests: asked.requests,
                retries: asked.retries,
                cached: asked.cached,
                prompt_tokens: asked.prompt_tokens,
                completion_tokens: asked.completion_tokens,
                cost: asked.cost,
            };
        }
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn merge(&mut self, other: &Account) {
        for (term, theirs) in &other.0 {
            let ours = self.0.entry(term.clone()).or_default();
            ours.scored += theirs.scored;
            ours.abstain += theirs.abstain;
            ours.timeout += theirs.timeout;
            ours.error += theirs.error;
            ours.seconds += theirs.seconds;
            ours.latency.merge(&theirs.latency);
            ours.slowest.extend(theirs.slowest.iter().cloned());
            ours.keep_slowest();
            ours.services += theirs.services;
        }
    }
}

impl TermAccount {
    pub fn count(&self) -> u64 {
        self.scored + self.abstain + self.timeout + self.error
    }

    fn keep_slowest(&mut self) {
        let place = |s: &Slow| (s.step, s.slot, s.episode);
        let slower = |a: &Slow, b: &Slow| match b.seconds.total_cmp(&a.seconds) {
            Ordering::Equal => place(a).cmp(&place(b)),
            other => other,
        };
        self.slowest.sort_by(slower);
        self.slowest.truncate(SLOWEST);
    }
}

impl Services {
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

impl std::ops::AddAssign for Services {
    fn add_assign(&mut self, other: Self) {
        self.requests += other.requests;
        self.retries += other.retries;
        self.cached += other.cached;
        self.prompt_tokens += other.prompt_tokens;
        self.completion_tokens += other.completion_tokens;
        self.cost += other.cost;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_are_counted_and_the_slowest_kept() {
        let mut whole = Account::default();
        let mut parts = [Account::default(), Account::default()];
        for i in 0..20 {
            let outcome = match i % 4 {
                0 => Outcome::scored(1.0),
                1 => Outcome::Abstain,
                2 => Outcome::Timeout,
                _ => Outcome::error("x"),
            };
            let asked = Asked { requests: 2, retries: 1, prompt_tokens: 10, cost: 0.5, ..Asked::default() };
            let judged = Judged {
                outcome,
                seconds: f64::from(i * 7 % 20),
                asked: (i < 10).then_some(asked),
                facts: Facts::default(),
            };
            whole.enter("t", 3, 1, i as usize, &judged);
            parts[i as usize % 2].enter("t", 3, 1, i as usize, &judged);
        }
        let term = &whole.0["t"];
        assert_eq!((term.scored, term.abstain, term.timeout, term.error, term.count()), (5, 5, 5, 5, 20));
        assert_eq!(term.slowest.iter().map(|s| s.seconds).collect::<Vec<_>>(), [19.0, 18.0, 17.0, 16.0, 15.0]);
        assert_eq!((term.services.requests, term.services.prompt_tokens, term.services.cost), (20, 100, 5.0));
        let mut merged = Account::default();
        parts.iter().for_each(|part| merged.merge(part));
        assert_eq!(merged, whole);
        let text = serde_json::to_string(&whole).unwrap();
        assert_eq!(serde_json::from_str::<Account>(&text).unwrap(), whole);
    }
}
