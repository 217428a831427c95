//! Prompts that are neither too easy nor too hard.

use serde::{Deserialize, Serialize};

use super::CurriculumState;
use crate::registry::{Axis, Entry, Parameter};

pub(super) const ENTRY: Entry = Entry {
    axis: Axis::Curriculum,
    name: "accuracy_band",
    summary: "prompts of middling accuracy come always, the others seldom",
    formula: "curriculum.choose = {accuracy_band = {low = a, high = b, tail_weight = w, by = B, recheck = R}}: with s the mean reward of \
              the prompt's last visit (by accuracy), or its mid-rank (less + equal / 2) / n among all measured prompts (by \
              percentile), a prompt is in the row of a step where a <= s <= b, and with probability w elsewhere. One that was never \
              measured, or not for R steps, is in the row: what was too hard once is looked at again, also for w = 0. By accuracy \
              rewards must be on a scale of 0 to 1.",
    parameters: &[
        Parameter { name: "low", default: "0.2", range: "at most high", meaning: "the lower cut, included" },
        Parameter { name: "high", default: "0.8", range: "at least low", meaning: "the upper cut, included" },
        Parameter { name: "tail_weight", default: "0.25", range: "0 to 1", meaning: "the weight outside the band" },
        Parameter {
            name: "by",
            default: "\"accuracy\"",
            range: "`accuracy` or `percentile`",
            meaning: "what lies in the band",
        },
        Parameter { name: "recheck", default: "100", range: "at least 1", meaning: "steps until another look" },
    ],
    source: "PRIME, arXiv 2502.01456 (online prompt filtering, accuracy 0.2 to 0.8); TACO, arXiv 2505.20777 (adaptive difficulty sampling, \
             percentiles of the empirical distribution); the re-check is ours",
    unverified: "TACO's cuts and the weight of its tails",
    ..Entry::NONE
};

pub(super) fn low() -> f64 {
    0.2
}

pub(super) fn high() -> f64 {
    0.8
}

pub(super) fn tail_weight() -> f64 {
    0.25
}

/// What lies in the band.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// The mean reward of the last visit.
    #[default]
    Accuracy,
    /// Its rank among all measured prompts, from 0 to 1.
    Percentile,
}

impl Measure {
    /// `None` for what was never measured.
    pub(super) fn scores(self, prompts: &[usize], state: &CurriculumState) -> Vec<Option<f64>> {
        let last = |p: &usize| state.record(*p).and_then(|r| r.visits.back()).map(|visit| visit.mean);
        let means: Vec<Option<f64>> = prompts.iter().map(last).collect();
        match self {
            Measure::Accuracy => means,
            Measure::Percentile => {
                let mut sorted: Vec<f64> = means.iter().flatten().copied().collect();
                sorted.sort_unstable_by(f64::total_cmp);
                let rank = |mean: f64| {
                    let less = sorted.partition_point(|x| *x < mean);
                    let equal = sorted.partition_point(|x| *x <= mean) - less;
                    (less as f64 + equal as f64 / 2.0) / sorted.len() as f64
                };
                means.into_iter().map(|mean| mean.map(rank)).collect()
            }
        }
    }
}
