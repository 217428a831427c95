//! A score is the label, on a scale.

use serde::{Deserialize, Serialize};

use super::{OfList, Scored, finite};
use crate::registry::{Axis, Entry, Parameter};

pub(super) const ENTRY: Entry = Entry {
    axis: Axis::Score,
    name: "mse",
    summary: "each score is regressed on its graded label",
    formula: "loss = mean over the candidates of the batch of (s - (scale label + offset))^2. s, scale and offset in nats; with an offset of minus half the \
              highest target, half the grades lie on either side of an even decision.",
    parameters: &[
        Parameter { name: "scale", default: "1.0", range: "finite, not 0", meaning: "nats a grade" },
        Parameter { name: "offset", default: "0.0", range: "finite", meaning: "the score of label 0" },
    ],
    reads: &["label"],
    source: "least squares on graded relevance: Cossock and Zhang 2006",
    ..Entry::NONE
};

/// Least squares.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Mse {
    /// Nats a grade; not 0.
    pub scale: f64,
    /// The score of label 0, in nats.
    pub offset: f64,
}

impl Default for Mse {
    fn default() -> Self {
        Self { scale: 1.0, offset: 0.0 }
    }
}

impl Mse {
    pub(super) fn check(&self) -> Result<(), (String, String)> {
        finite("mse.offset", self.offset)?;
        finite("mse.scale", self.scale)?;
        match self.scale == 0.0 {
            true => Err(("mse.scale".to_owned(), "must not be 0: no score would depend on its label".to_owned())),
            false => Ok(()),
        }
    }

    pub(super) fn of(&self, list: &[Scored]) -> OfList {
        let distances = || list.iter().map(|it| it.score - (self.scale * it.label + self.offset));
        OfList { loss: distances().map(|d| d * d).sum(), slopes: distances().map(|d| 2.0 * d).collect() }
    }
}
