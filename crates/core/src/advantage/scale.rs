//! What an advantage is measured in.

use serde::{Deserialize, Serialize};

use super::baseline::mean;

/// The number that every centred reward of a group is divided by.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Scale {
    /// 1.
    None,
    /// `sqrt(sum (r - mean)^2 / (n - ddof)) + eps`.
    Std {
        /// 1 for the sample's standard deviation (TRL, PyTorch), 0 for the population's.
        #[serde(default = "one")]
        ddof: u8,
        /// Added to the standard deviation; above 0.
        #[serde(default = "small")]
        eps: f64,
    },
}

fn one() -> u8 {
    1
}

fn small() -> f64 {
    1e-4
}

impl Default for Scale {
    fn default() -> Self {
        Scale::Std { ddof: one(), eps: small() }
    }
}

impl Scale {
    /// The scale of these rewards. With `ddof` or fewer of them there is no spread to measure: `eps` alone.
    pub fn of(self, rewards: &[f64]) -> f64 {
        match self {
            Scale::None => 1.0,
            Scale::Std { ddof, eps } => {
                let free = rewards.len().saturating_sub(usize::from(ddof));
                if free == 0 {
                    return eps;
                }
                let centre = mean(rewards);
                let squares: f64 = rewards.iter().map(|r| (r - centre).powi(2)).sum();
                (squares / free as f64).sqrt() + eps
            }
        }
    }
}
