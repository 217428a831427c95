//! How a prompt is made easier or harder.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::difficulty;

/// A second look at a prompt, changed by how hard it was.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Augment {
    /// Prompts stay as they are.
    #[default]
    None,
    /// A hint for hard prompts, noise on the input of easy ones.
    Difficulty {
        /// Groups; at least 1.
        #[serde(default = "difficulty::window")]
        window: u32,
        /// In [0, 1].
        #[serde(default = "difficulty::hint_share_max")]
        hint_share_max: f64,
        /// At least 0.
        #[serde(default = "difficulty::noise_max")]
        noise_max: f64,
        /// The highest reward; above 0.
        #[serde(default = "difficulty::reward_max")]
        reward_max: f64,
    },
}

/// How a prompt is changed; at most one of them is not 0.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Augmentation {
    /// The share of a reference's reasoning that is put into the prompt.
    pub hint_share: f64,
    /// The standard deviation of the noise on the input.
    pub noise: f64,
}

impl Augment {
    pub(super) fn check(&self) -> Result<(), (String, String)> {
        let fault = |key: &str, problem: &str| Err((format!("augment.difficulty.{key}"), problem.to_owned()));
        match self {
            Augment::Difficulty { window: 0, .. } => fault("window", "must be at least 1"),
            Augment::Difficulty { hint_share_max, .. } if !(0.0..=1.0).contains(hint_share_max) => {
                fault("hint_share_max", "must lie in [0, 1]")
            }
            Augment::Difficulty { noise_max, .. } if !(noise_max.is_finite() && *noise_max >= 0.0) => {
                fault("noise_max", "must be at least 0, and finite")
            }
            Augment::Difficulty { reward_max, .. } if !(reward_max.is_finite() && *reward_max > 0.0) => {
                fault("reward_max", "must be above 0, and finite")
            }
            Augment::None | Augment::Difficulty { .. } => Ok(()),
        }
    }

    /// How many means of groups are remembered.
    pub(super) fn window(&self) -> usize {
        match self {
            Augment::None => 0,
            Augment::Difficulty { window, .. } => *window as usize,
        }
    }

    pub(super) fn of(&self, rewards: &[Option<f64>], window: &VecDeque<f64>) -> Augmentation {
        match self {
            Augment::None => Augmentation::default(),
            Augment::Difficulty { hint_share_max, noise_max, reward_max, .. } => {
                difficulty::augmentation(rewards, window, *hint_share_max, *noise_max, *reward_max)
            }
        }
    }
}
