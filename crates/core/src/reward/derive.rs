//! New terms from terms, facts and the whole group.

use serde::{Deserialize, Serialize};

use crate::{memory::Memory, method_error::MethodError, trajectory::Comparison};

/// A term that is computed and not verified.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Derived {
    /// The name of the new term.
    pub into: String,
    /// Its weight in the combiner.
    #[serde(default = "one")]
    pub weight: f64,
    pub with: Derive,
}

fn one() -> f64 {
    1.0
}

/// The function that makes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Derive {}

impl Derived {
    /// Adds the term to every member's `rewards`.
    pub(super) fn apply(&self, groups: &mut [Comparison], memory: &mut Memory) -> Result<(), MethodError> {
        let _ = (groups, memory);
        match self.with {}
    }
}
