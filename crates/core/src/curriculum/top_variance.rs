//! Prompts whose rewards vary.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{CurriculumState, PromptRecord, state};
use crate::registry::{Axis, Entry, Parameter};

pub(super) const ENTRY: Entry = Entry {
    axis: Axis::Curriculum,
    name: "top_variance",
    summary: "only the prompts whose rewards vary most",
    formula: "curriculum.choose = {top_variance = {keep = k, of = S, visits = v}}: v_i = the population variance of the prompt's mean \
              rewards over its visits (of history), or the mean over its visits of the variance inside a visit (of group). Of the \
              prompts with at least v visits the k of highest v_i stay, the lower index of equals; prompts with fewer visits stay \
              too: they are being measured. So the first passes see everything, and what follows only the k.",
    parameters: &[
        Parameter { name: "keep", default: "1", range: "at least 1", meaning: "how many prompts stay" },
        Parameter {
            name: "of",
            default: "\"history\"",
            range: "`history` or `group`",
            meaning: "variance of means over time, or of rewards inside a group",
        },
        Parameter {
            name: "visits",
            default: "2",
            range: "at least 2 for history, 1 for group",
            meaning: "visits after which a prompt is judged",
        },
    ],
    source: "1-shot RLVR, arXiv 2504.20571 (historical variance score); Temporal-RLT, arXiv 2506.01908 (variance of repeated runs)",
    unverified: "Temporal-RLT's number of runs and cut-offs; the 1-shot code ranks by the standard deviation, which is the same order",
    ..Entry::NONE
};

pub(super) fn keep() -> u64 {
    1
}

pub(super) fn visits() -> u32 {
    2
}

/// Which variance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Spread {
    /// Of the mean rewards over time.
    #[default]
    History,
    /// Of the rewards inside a visit.
    Group,
}

impl Spread {
    pub(super) fn least_visits(self) -> u32 {
        match self {
            Spread::History => 2,
            Spread::Group => 1,
        }
    }

    /// `None` with fewer than `visits` visits that say something.
    fn of(self, record: &PromptRecord, visits: u32) -> Option<f64> {
        let values: Vec<f64> = match self {
            Spread::History => record.visits.iter().map(|v| v.mean).collect(),
            Spread::Group => record.visits.iter().filter_map(|v| v.variance).collect(),
        };
        // More than what is remembered cannot be asked for.
        let least = (visits as usize).min(state::HISTORY).max(self.least_visits() as usize);
        match self {
            _ if values.len() < least => None,
            Spread::History => Some(state::variance(&values)),
            Spread::Group => state::mean(&values),
        }
    }
}

pub(super) fn weights(prompts: &[usize], keep: u64, of: Spread, visits: u32, state: &CurriculumState) -> Vec<f64> {
    let spread: Vec<Option<f64>> =
        prompts.iter().map(|p| state.record(*p).and_then(|record| of.of(record, visits))).collect();
    let mut judged: Vec<(f64, usize)> = spread.iter().enumerate().filter_map(|(i, v)| Some(((*v)?, i))).collect();
    judged.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    let top: BTreeSet<usize> = judged.iter().take(keep as usize).map(|(_, i)| *i).collect();
    (0..prompts.len()).map(|i| if spread[i].is_none() || top.contains(&i) { 1.0 } else { 0.0 }).collect()
}
