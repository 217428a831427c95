//! What a reward term said of one episode. Never silently 0.

use serde::{Deserialize, Serialize};

/// The verdict of one reward term.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "outcome")]
pub enum Outcome {
    /// A finite number in the term's range.
    Scored { value: f64 },
    /// The term has nothing to say of this row: it leaves the sum, and is counted.
    Abstain,
    /// The verifier outlived its time.
    Timeout,
    /// The verifier or its problem is broken.
    Error { reason: String },
}

impl Outcome {
    /// The only way to make a scored outcome: NaN and infinities are errors where they are born.
    pub fn scored(value: f64) -> Self {
        if value.is_finite() {
            Outcome::Scored { value }
        } else {
            Outcome::Error { reason: format!("the reward is {value}, and must be a finite number") }
        }
    }

    pub fn pass_if(condition: bool) -> Self {
        Outcome::Scored { value: if condition { 1.0 } else { 0.0 } }
    }

    pub fn error(reason: impl Into<String>) -> Self {
        Outcome::Error { reason: reason.into() }
    }

    pub fn value(&self) -> Option<f64> {
        match self {
            Outcome::Scored { value } => Some(*value),
            Outcome::Abstain | Outcome::Timeout | Outcome::Error { .. } => None,
        }
    }

    /// A timeout or an error: what the error budget counts.
    pub fn is_failure(&self) -> bool {
        matches!(self, Outcome::Timeout | Outcome::Error { .. })
    }

    /// `scored`, `abstain`, `timeout` or `error`.
    pub fn kind(&self) -> &'static str {
        match self {
            Outcome::Scored { .. } => "scored",
            Outcome::Abstain => "abstain",
            Outcome::Timeout => "timeout",
            Outcome::Error { .. } => "error",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_finite_is_an_error_where_it_is_born() {
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert!(Outcome::scored(value).is_failure(), "{value}");
        }
        assert_eq!(Outcome::scored(-2.5).value(), Some(-2.5));
    }
}
