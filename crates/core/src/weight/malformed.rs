//! A factor for spans that a parser flagged.

use serde::{Deserialize, Serialize};

use crate::{
    method_error::{MethodError, Place},
    registry::{Axis, Entry, Parameter},
    trajectory::Trajectory,
};

pub(super) const SCALE: Entry = Entry {
    axis: Axis::Weight,
    name: "scale",
    summary: "malformed spans (a broken call, an unclosed tag) are weighted apart",
    formula: "weight.malformed = {scale = {by = c, fact = F}}: w_t is multiplied with c where the list F has a number other than 0 at t. \
              c = 0 does not reinforce a malformed span of a sample that succeeded all the same; c > 1 makes it count more, so that \
              a failure is blamed on the span. A factor: denominators count the span either way. The sign of the advantage stays.",
    parameters: &[
        Parameter { name: "by", default: "0", range: "at least 0", meaning: "the factor of a flagged action" },
        Parameter {
            name: "fact",
            default: "\"malformed\"",
            range: "a fact's name",
            meaning: "a list with one number an action",
        },
    ],
    reads: &["malformed"],
    source: "ours, after NeMo RL's invalid_tool_call_advantage and malformed_thinking_advantage, which put an advantage of their own \
             on such spans",
    ..Entry::NONE
};

/// What becomes of actions that are flagged as malformed. No part of a denominator.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Malformed {
    /// They count like any others.
    #[default]
    Keep,
    /// Their surrogate is scaled.
    Scale {
        /// At least 0.
        #[serde(default)]
        by: f64,
        /// A list with one number an action.
        #[serde(default = "fact")]
        fact: String,
    },
}

fn fact() -> String {
    "malformed".to_owned()
}

impl Malformed {
    pub(super) fn check(&self) -> Result<(), (String, String)> {
        match self {
            Malformed::Scale { by, .. } if !(by.is_finite() && *by >= 0.0) => {
                Err(("malformed.scale.by".to_owned(), "must be at least 0, and finite".to_owned()))
            }
            Malformed::Keep | Malformed::Scale { .. } => Ok(()),
        }
    }

    /// Multiplies into `factor`, where `None` stands for 1 everywhere.
    pub(super) fn apply(
        &self,
        trajectory: &Trajectory,
        place: Place,
        factor: &mut Option<Vec<f64>>,
    ) -> Result<(), MethodError> {
        let Malformed::Scale { by, fact } = self else { return Ok(()) };
        let flags = trajectory.list(fact, place)?;
        let factor = factor.get_or_insert_with(|| vec![1.0; trajectory.len()]);
        for ((f, flag), mask) in factor.iter_mut().zip(flags).zip(&trajectory.mask) {
            if *flag != 0.0 && *mask != 0.0 {
                *f *= by;
            }
        }
        Ok(())
    }
}
