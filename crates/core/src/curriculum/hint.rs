//! How much of a solution a prompt is given.

use serde::{Deserialize, Serialize};

use super::{adaptive, all_fail, ladder, state};

/// Hints in training. Level 0 is no hint; tests have none.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Hint {
    /// No hints.
    #[default]
    None,
    /// A level of its own for each prompt, moved by its last accuracy.
    Adaptive {
        /// In [0, 1].
        #[serde(default = "adaptive::raise_below")]
        raise_below: f64,
        /// In [0, 1], at least `raise_below`.
        #[serde(default = "adaptive::lower_above")]
        lower_above: f64,
        /// The highest level; at least 1.
        #[serde(default = "ladder::levels")]
        levels: u32,
        /// A reward above this is a success.
        #[serde(default)]
        success_above: f64,
    },
    /// One level more until a group has a success.
    Ladder {
        /// The highest level; at least 1.
        #[serde(default = "ladder::levels")]
        levels: u32,
        /// A reward above this is a success.
        #[serde(default)]
        success_above: f64,
    },
    /// One hinted group beside a group that failed.
    AllFail {
        /// The share of successes up to which a group has failed; in [0, 1).
        #[serde(default)]
        threshold: f64,
        /// What is trained then.
        #[serde(default = "all_fail::merge")]
        group: Merge,
        /// A reward above this is a success.
        #[serde(default)]
        success_above: f64,
    },
}

/// What a hinted group is to the group before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Merge {
    /// It takes its place.
    Replace,
    /// Both are one group.
    Union,
}

/// One more group for the same prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Redraw {
    pub level: u32,
    pub merge: Merge,
}

impl Hint {
    pub(super) fn check(&self) -> Result<(), (String, String)> {
        let fault = |key: &str, problem: &str| Err((format!("hint.{key}"), problem.to_owned()));
        let unit = |x: f64| (0.0..=1.0).contains(&x);
        match self {
            Hint::Adaptive { raise_below, lower_above, .. }
                if !(unit(*raise_below) && unit(*lower_above) && raise_below <= lower_above) =>
            {
                fault("adaptive.raise_below", "must lie in [0, 1] with lower_above, and be at most that")
            }
            Hint::Adaptive { levels: 0, .. } => fault("adaptive.levels", "must be at least 1"),
            Hint::Ladder { levels: 0, .. } => fault("ladder.levels", "must be at least 1"),
            Hint::AllFail { threshold, .. } if !(0.0..1.0).contains(threshold) => {
                fault("all_fail.threshold", "must lie in [0, 1)")
            }
            Hint::Adaptive { success_above: x, .. } if !x.is_finite() => {
                fault("adaptive.success_above", "must be finite")
            }
            Hint::Ladder { success_above: x, .. } if !x.is_finite() => fault("ladder.success_above", "must be finite"),
            Hint::AllFail { success_above: x, .. } if !x.is_finite() => {
                fault("all_fail.success_above", "must be finite")
            }
            Hint::None | Hint::Adaptive { .. } | Hint::Ladder { .. } | Hint::AllFail { .. } => Ok(()),
        }
    }

    /// The level of a prompt's first group, of what is remembered for it.
    pub(super) fn first(&self, remembered: u32) -> u32 {
        match self {
            Hint::Adaptive { levels, .. } => remembered.min(*levels),
            Hint::None | Hint::Ladder { .. } | Hint::AllFail { .. } => 0,
        }
    }

    /// What is remembered for a prompt after these rewards.
    pub(super) fn next_level(&self, level: u32, scored: &[f64]) -> u32 {
        match self {
            Hint::Adaptive { raise_below, lower_above, levels, success_above } => match rate(scored, *success_above) {
                Some(rate) => adaptive::next(level, rate, *raise_below, *lower_above, *levels),
                None => level,
            },
            Hint::None | Hint::Ladder { .. } | Hint::AllFail { .. } => level,
        }
    }

    /// Whether the group is drawn once more. A group of which nothing was scored has not failed.
    pub(super) fn redraw(&self, level: u32, rewards: &[Option<f64>]) -> Option<Redraw> {
        let rate = |success_above| rate(&state::scored(rewards), success_above);
        match self {
            Hint::None | Hint::Adaptive { .. } => None,
            Hint::Ladder { levels, success_above } => ladder::redraw(level, rate(*success_above)?, *levels),
            Hint::AllFail { threshold, group, success_above } => {
                all_fail::redraw(level, rate(*success_above)?, *threshold, *group)
            }
        }
    }
}

/// The share of successes; `None` for no rewards.
fn rate(scored: &[f64], success_above: f64) -> Option<f64> {
    let successes = scored.iter().filter(|r| **r > success_above).count();
    (!scored.is_empty()).then(|| successes as f64 / scored.len() as f64)
}
