//! What a verifier said of a completion, and the parts that its score is made of.

use cohort_core::{Fact, Facts, Outcome};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// An outcome, and what it came from: numbers and words for people and scripts, in the order in which they were found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    pub outcome: Outcome,
    /// Sub-scores, counts, the first line of a tool's complaint. Never read by training.
    pub parts: Map<String, Value>,
    /// What it took, where somebody outside this process was asked; not kept where a verdict is.
    #[serde(skip)]
    pub asked: Option<Asked>,
    /// What methods may read of it, for a recipe that asks (`reward.terms.NAME.facts`): like the outcome it is recorded, and a redone step
    /// takes it back.
    pub facts: Facts,
}

/// What a verdict took that another process gave. Like every clock it is in no number that training reads.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Asked {
    /// Wall time without the wait for a turn.
    pub seconds: f64,
    /// Questions that were put, those again among them.
    pub requests: u64,
    /// Questions that were put again.
    pub retries: u64,
    /// Answers that were taken from the cache.
    pub cached: u64,
    /// Tokens that a service counted, of answers that were not cached.
    pub prompt_tokens: u64,
    pub completion_tokens: u64,
    /// In the currency of the prices that the recipe gives.
    pub cost: f64,
}

impl std::ops::AddAssign for Asked {
    fn add_assign(&mut self, other: Self) {
        self.seconds += other.seconds;
        self.requests += other.requests;
        self.retries += other.retries;
        self.cached += other.cached;
        self.prompt_tokens += other.prompt_tokens;
        self.completion_tokens += other.completion_tokens;
        self.cost += other.cost;
    }
}

impl Verdict {
    /// The same verdict with one more part.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.parts.insert(name.to_owned(), value.into());
        self
    }

    /// The same verdict with one more fact.
    #[must_use]
    pub fn telling(mut self, name: &str, fact: Fact) -> Self {
        self.facts.insert(name, fact);
        self
    }

    /// The same verdict with what it took.
    #[must_use]
    pub fn asked(mut self, asked: Asked) -> Self {
        self.asked = Some(asked);
        self
    }
}

impl From<Outcome> for Verdict {
    fn from(outcome: Outcome) -> Self {
        Self { outcome, parts: Map::new(), asked: None, facts: Facts::default() }
    }
}
