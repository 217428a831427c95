//! What a verifier said of a completion, and the parts that its score is made of.

use cohort_core::Outcome;
use serde_json::{Map, Value};

/// An outcome, and what it came from: numbers and words for people and scripts, in the order in which they were found.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    pub outcome: Outcome,
    /// Sub-scores, counts, the first line of a tool's complaint. Never read by training.
    pub parts: Map<String, Value>,
}

impl Verdict {
    /// The same verdict with one more part.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.parts.insert(name.to_owned(), value.into());
        self
    }
}

impl From<Outcome> for Verdict {
    fn from(outcome: Outcome) -> Self {
        Self { outcome, parts: Map::new() }
    }
}
