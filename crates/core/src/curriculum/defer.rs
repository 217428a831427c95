//! Which prompts are put off.

use serde::{Deserialize, Serialize};

use super::{CurriculumState, NEUTRAL, by_kl};
use crate::registry::{Axis, Entry};

pub(super) const NONE: Entry = Entry {
    axis: Axis::Curriculum,
    name: "none",
    summary: "no prompt is put off, hinted at or changed",
    formula: "curriculum.defer = \"none\", curriculum.hint = \"none\" and curriculum.augment = \"none\": prompts come as they are.",
    source: "GRPO: Shao et al. 2024, arXiv 2402.03300",
    equals: &[("shuffled", NEUTRAL), ("all", NEUTRAL), ("keep", NEUTRAL)],
    ..Entry::NONE
};

/// Which prompts are put off.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Defer {
    /// No prompt waits.
    #[default]
    None,
    /// Those whose responses are far from the reference.
    ByKl {
        /// Groups; at least 2.
        #[serde(default = "by_kl::window")]
        window: u32,
        /// At least 0.
        #[serde(default = "by_kl::sigmas")]
        sigmas: f64,
        /// Steps until another look; at least 1.
        #[serde(default = "by_kl::period")]
        period: u64,
        /// Groups before any judgement; from 2 to `window`.
        #[serde(default = "by_kl::least")]
        least: u32,
    },
}

impl Defer {
    pub(super) fn check(&self) -> Result<(), (String, String)> {
        let fault = |key: &str, problem: &str| Err((format!("defer.by_kl.{key}"), problem.to_owned()));
        match self {
            Defer::ByKl { window: 0 | 1, .. } => fault("window", "must be at least 2"),
            Defer::ByKl { sigmas, .. } if !(sigmas.is_finite() && *sigmas >= 0.0) => {
                fault("sigmas", "must be at least 0, and finite")
            }
            Defer::ByKl { period: 0, .. } => fault("period", "must be at least 1"),
            Defer::ByKl { window, least, .. } if !(2..=*window).contains(least) => {
                fault("least", "must lie between 2 and window")
            }
            Defer::None | Defer::ByKl { .. } => Ok(()),
        }
    }

    /// How many divergences are remembered.
    pub(super) fn window(&self) -> usize {
        match self {
            Defer::None => 0,
            Defer::ByKl { window, .. } => *window as usize,
        }
    }

    /// The divergence above which a prompt is put off; `None` while there is nothing to judge by.
    pub(super) fn threshold(&self, state: &CurriculumState) -> Option<f64> {
        match self {
            Defer::None => None,
            Defer::ByKl { sigmas, least, .. } => by_kl::threshold(&state.kl, *sigmas, *least as usize),
        }
    }

    /// The step at which a prompt with these divergences is looked at again; `None` where it stays.
    pub(super) fn until(&self, step: u64, threshold: Option<f64>, divergences: &[f64]) -> Option<u64> {
        match self {
            Defer::None => None,
            Defer::ByKl { period, .. } => {
                let mean = divergences.iter().sum::<f64>() / divergences.len() as f64;
                let over = !divergences.is_empty() && by_kl::is_over(mean, threshold?);
                over.then(|| step.saturating_add(*period))
            }
        }
    }
}
