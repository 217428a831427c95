//! What becomes of groups whose rewards are all equal.

use serde::{Deserialize, Serialize};

/// A group is constant where something of it was compared, and every reward (of every term, of every segment) was
/// equal. Under a centring baseline its advantages are 0 in any case: the choice is about what it does to the
/// denominators, and about other baselines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Constant {
    /// It stays as it is, and counts in the denominators.
    #[default]
    Keep,
    /// All its members leave the batch (DAPO: arXiv 2503.14476, section 3.2; StealthRL).
    Drop,
    /// Its advantages are multiplied by a factor (StealthRL's repository halves groups without a success).
    Downweight {
        /// In [0, 1].
        #[serde(default = "half")]
        factor: f64,
    },
    /// Where rewards differ by no more than `tolerance`, they are the advantages, as they are (DMOSpeech 2's code).
    Raw {
        /// The largest difference that counts as none; at least 0.
        #[serde(default = "tolerance")]
        tolerance: f64,
    },
}

fn half() -> f64 {
    0.5
}

fn tolerance() -> f64 {
    1e-6
}

impl Constant {
    /// # Errors
    /// The parameter that is out of range, and the range.
    pub fn check(&self) -> Result<(), (String, String)> {
        match self {
            Constant::Downweight { factor } if !(0.0..=1.0).contains(factor) => {
                Err(("downweight.factor".into(), "must lie in [0, 1]".into()))
            }
            Constant::Raw { tolerance } if !(tolerance.is_finite() && *tolerance >= 0.0) => {
                Err(("raw.tolerance".into(), "must be at least 0 and finite".into()))
            }
            _ => Ok(()),
        }
    }
}
