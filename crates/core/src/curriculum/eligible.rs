//! Which prompts may come.

use serde::{Deserialize, Serialize};

use super::{CurriculumState, Measure, NEUTRAL, Spread, accuracy_band, top_variance};
use crate::registry::{Axis, Entry};

pub(super) const ALL: Entry = Entry {
    axis: Axis::Curriculum,
    name: "all",
    summary: "every prompt may come",
    formula: "curriculum.choose = \"all\": weight 1 for every prompt.",
    source: "ours; what every trainer does",
    equals: &[("shuffled", NEUTRAL), ("keep", NEUTRAL), ("none", NEUTRAL)],
    ..Entry::NONE
};

/// How much each prompt is wanted: a weight of 1 is always in the row, 0 never, and between them it is in the row of a
/// step with this probability.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Eligible {
    /// Every prompt.
    #[default]
    All,
    /// Prompts of middling accuracy, and few others.
    AccuracyBand {
        #[serde(default = "accuracy_band::low")]
        low: f64,
        #[serde(default = "accuracy_band::high")]
        high: f64,
        /// The weight outside the band; in [0, 1].
        #[serde(default = "accuracy_band::tail_weight")]
        tail_weight: f64,
        #[serde(default)]
        by: Measure,
        /// After so many steps without a visit a prompt has weight 1; at least 1.
        #[serde(default = "recheck")]
        recheck: u64,
    },
    /// Prompts whose rewards vary most.
    TopVariance {
        /// How many; at least 1.
        #[serde(default = "top_variance::keep")]
        keep: u64,
        #[serde(default)]
        of: Spread,
        /// Visits after which a prompt is judged; at least 2 for `history`, 1 for `group`.
        #[serde(default = "top_variance::visits")]
        visits: u32,
    },
}

/// Steps until what is known of a prompt is too old to leave it out.
pub(super) fn recheck() -> u64 {
    100
}

impl Eligible {
    pub(super) fn check(&self) -> Result<(), (String, String)> {
        let fault = |key: &str, problem: &str| Err((format!("choose.{key}"), problem.to_owned()));
        match self {
            Eligible::AccuracyBand { low, high, .. } if !(low.is_finite() && high.is_finite() && low <= high) => {
                fault("accuracy_band.low", "must be finite and at most high")
            }
            Eligible::AccuracyBand { tail_weight, .. } if !(0.0..=1.0).contains(tail_weight) => {
                fault("accuracy_band.tail_weight", "must lie in [0, 1]")
            }
            Eligible::AccuracyBand { recheck: 0, .. } => fault("accuracy_band.recheck", "must be at least 1"),
            Eligible::TopVariance { keep: 0, .. } => fault("top_variance.keep", "must be at least 1"),
            Eligible::TopVariance { visits, of, .. } if *visits < of.least_visits() => {
                fault("top_variance.visits", "must be at least 2 for history, and 1 for group")
            }
            Eligible::All | Eligible::AccuracyBand { .. } | Eligible::TopVariance { .. } => Ok(()),
        }
    }

    /// The weight of each of these prompts.
    pub(super) fn weights(&self, prompts: &[usize], step: u64, state: &CurriculumState) -> Vec<f64> {
        match self {
            Eligible::All => vec![1.0; prompts.len()],
            Eligible::AccuracyBand { low, high, tail_weight, by, recheck } => {
                let scores = by.scores(prompts, state);
                let fresh = |p: &usize| state.record(*p).is_some_and(|r| !r.is_stale(step, *recheck));
                let weight = |(p, score): (&usize, Option<f64>)| match score {
                    Some(score) if fresh(p) && !(*low..=*high).contains(&score) => *tail_weight,
                    _ => 1.0,
                };
                prompts.iter().zip(scores).map(weight).collect()
            }
            Eligible::TopVariance { keep, of, visits } => top_variance::weights(prompts, *keep, *of, *visits, state),
        }
    }
}
