//! Why a method could not be computed on a batch: where, what, and what to do.

use std::fmt;

/// Which part of a batch; counted from 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    pub group: Option<usize>,
    pub trajectory: Option<usize>,
}

impl Place {
    pub fn group(group: usize) -> Self {
        Self { group: Some(group), trajectory: None }
    }

    pub fn trajectory(group: usize, trajectory: usize) -> Self {
        Self { group: Some(group), trajectory: Some(trajectory) }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.group, self.trajectory) {
            (Some(g), Some(t)) => write!(f, "group {g}, trajectory {t}"),
            (Some(g), None) => write!(f, "group {g}"),
            (None, _) => write!(f, "the batch"),
        }
    }
}

/// A batch does not hold what the method reads.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{place}: `{field}` {problem}")]
pub struct MethodError {
    pub place: Place,
    /// A column (`ref_logp`), a reward (`rewards.format`), a fact (`facts.calls`), or `trajectories`.
    pub field: String,
    pub problem: Problem,
}

#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Problem {
    #[error("is missing, and the recipe reads it")]
    Missing,
    #[error("is {got}, and must be finite")]
    NotFinite { got: f64 },
    #[error("has {got} entries, and must have {expected}")]
    Length { expected: usize, got: usize },
    #[error("has {got}, and this method compares at least {least}")]
    TooFew { least: usize, got: usize },
    #[error("is {got}, and must be {expected}")]
    Unfit { expected: String, got: String },
}

impl MethodError {
    pub fn missing(place: Place, field: impl Into<String>) -> Self {
        Self { place, field: field.into(), problem: Problem::Missing }
    }

    /// Whether a number is none: what a run skips an update for.
    pub fn is_not_finite(&self) -> bool {
        matches!(self.problem, Problem::NotFinite { .. })
    }

    pub fn unfit(place: Place, field: impl Into<String>, expected: impl Into<String>, got: impl fmt::Display) -> Self {
        let problem = Problem::Unfit { expected: expected.into(), got: got.to_string() };
        Self { place, field: field.into(), problem }
    }

    pub fn too_few(group: usize, least: usize, got: usize) -> Self {
        Self { place: Place::group(group), field: "trajectories".to_owned(), problem: Problem::TooFew { least, got } }
    }
}
