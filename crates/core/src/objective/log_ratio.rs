//! The ratio between the policy now and the policy that the batch was taken from.

use serde::{Deserialize, Serialize};

/// The unit that one ratio covers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RatioLevel {
    /// A ratio an action: `exp(logp - old_logp)`.
    #[default]
    Token,
}

/// The ratio of one action; exactly 1 where the rows are equal.
pub(super) fn ratio(logp: f64, old_logp: f64) -> f64 {
    (logp - old_logp).exp()
}
