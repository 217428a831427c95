//! The better of two candidates of a list has the higher score.

use serde::{Deserialize, Serialize};

use super::{OfList, Scored, above_zero, softplus};
use crate::registry::{Axis, Entry, Parameter};

pub(super) const ENTRY: Entry = Entry {
    axis: Axis::Score,
    name: "pairwise",
    summary: "of two candidates of a list the one with the higher label has the higher score",
    formula: "loss = mean over all pairs (i, j) of one list with label_i > label_j, over the whole batch, of -ln sigmoid((s_i - s_j) / temperature). \
              Equal labels make no pair. s in nats.",
    parameters: &[Parameter {
        name: "temperature",
        default: "1.0",
        range: "above 0",
        meaning: "what differences of scores are divided by, in nats",
    }],
    reads: &["label"],
    source: "RankNet: Burges et al. 2005, section 3; as the preference step of ProRank, 2025, arXiv 2506.03487",
    unverified: "whether ProRank's preference step is this loss",
    ..Entry::NONE
};

/// The pairwise logistic loss.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Pairwise {
    /// Above 0, in nats.
    pub temperature: f64,
}

impl Default for Pairwise {
    fn default() -> Self {
        Self { temperature: 1.0 }
    }
}

impl Pairwise {
    pub(super) fn check(&self) -> Result<(), (String, String)> {
        above_zero("pairwise.temperature", self.temperature)
    }

    /// Ordered pairs of different labels.
    pub(super) fn units(&self, labels: &[f64]) -> usize {
        labels.iter().map(|a| labels.iter().filter(|b| a > *b).count()).sum()
    }

    pub(super) fn of(&self, list: &[Scored]) -> OfList {
        let mut of = OfList { loss: 0.0, slopes: vec![0.0; list.len()] };
        for (i, better) in list.iter().enumerate() {
            for (j, worse) in list.iter().enumerate().filter(|(_, worse)| better.label > worse.label) {
                let (value, slope) = softplus((worse.score - better.score) / self.temperature);
                of.loss += value;
                of.slopes[i] -= slope / self.temperature;
                of.slopes[j] += slope / self.temperature;
            }
        }
        of
    }
}
