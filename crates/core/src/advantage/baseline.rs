//! What a reward is compared with.

use serde::{Deserialize, Serialize};

use crate::registry::{Axis, Entry};

pub(super) const NONE: Entry = Entry {
    axis: Axis::Baseline,
    name: "none",
    summary: "nothing is taken off: plain REINFORCE",
    formula: "b = 0",
    source: "Williams 1992, section 3",
    ..Entry::NONE
};

pub(super) const MEAN: Entry = Entry {
    axis: Axis::Baseline,
    name: "mean",
    summary: "the mean of the group's rewards",
    formula: "b = (1/n) sum_i r_i over the scored episodes of the group",
    source: "GRPO: Shao et al. 2024, arXiv 2402.03300, section 4.1.2",
    ..Entry::NONE
};

/// The number that is taken off every reward of a group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Baseline {
    /// 0: plain REINFORCE.
    None,
    /// The mean of the group's rewards.
    #[default]
    Mean,
}

impl Baseline {
    /// The baseline of these rewards; 0 where there are none.
    pub fn of(self, rewards: &[f64]) -> f64 {
        match self {
            Baseline::None => 0.0,
            Baseline::Mean => mean(rewards),
        }
    }
}

/// The mean, exact where all values are equal (`first + mean of differences`); 0 for none.
pub(super) fn mean(values: &[f64]) -> f64 {
    match values {
        [] => 0.0,
        [first, ..] => first + values.iter().map(|v| v - first).sum::<f64>() / values.len() as f64,
    }
}
