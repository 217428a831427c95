//! Cross-entropy of a score with its label.

use serde::{Deserialize, Serialize};

use super::{OfList, Scored, above_zero, softplus};
use crate::registry::{Axis, Entry, Parameter};

pub(super) const ENTRY: Entry = Entry {
    axis: Axis::Score,
    name: "bce",
    summary: "each score is a logit of relevance, held against its label by cross-entropy",
    formula: "y = label / most, in [0, 1]; loss = mean over the candidates of the batch of ln(1 + exp(s)) - y s, whose derivative by s is \
              sigmoid(s) - y. s in nats.",
    parameters: &[Parameter {
        name: "most",
        default: "1.0",
        range: "above 0",
        meaning: "the highest label; grades between 0 and it are soft targets",
    }],
    reads: &["label"],
    source: "ProRank, 2025, arXiv 2506.03487, and the inference code of mxbai-rerank: a loss of the logit gap against a float label",
    unverified: "the paper's own target of the second stage",
    ..Entry::NONE
};

/// Binary cross-entropy.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Bce {
    /// The highest label, above 0.
    pub most: f64,
}

impl Default for Bce {
    fn default() -> Self {
        Self { most: 1.0 }
    }
}

impl Bce {
    pub(super) fn check(&self) -> Result<(), (String, String)> {
        above_zero("bce.most", self.most)
    }

    pub(super) fn of(&self, list: &[Scored]) -> Result<OfList, (usize, String)> {
        let mut of = OfList { loss: 0.0, slopes: Vec::with_capacity(list.len()) };
        for (c, it) in list.iter().enumerate() {
            let y = it.label / self.most;
            if !(0.0..=1.0).contains(&y) {
                return Err((c, format!("from 0 to the {} of score.loss.bce.most", self.most)));
            }
            let (value, slope) = softplus(it.score);
            of.loss += value - y * it.score;
            of.slopes.push(slope - y);
        }
        Ok(of)
    }
}
