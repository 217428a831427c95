//! Which parts of a sample are trained.

use serde::{Deserialize, Serialize};

use super::{loss_mask::NEUTRAL, segments};
use crate::{
    method_error::{MethodError, Place},
    registry::{Axis, Entry},
    trajectory::Trajectory,
};

pub(super) const POLICY: Entry = Entry {
    axis: Axis::Weight,
    name: "policy",
    summary: "everything that the policy wrote is trained, nothing that an environment wrote",
    formula: "weight.roles = \"policy\": m_t as it was recorded; observations have m_t = 0 from the start.",
    source: "the loss mask of multi-turn training: verl, TRL; systems 10, 27, 37, 42",
    equals: &[("keep", NEUTRAL), ("all", NEUTRAL), ("one", NEUTRAL)],
    ..Entry::NONE
};

/// Which segments are trained. Decides denominators.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Roles {
    /// All that the policy wrote.
    #[default]
    Policy,
    /// What the policy wrote in these segments.
    Segments {
        /// At least one.
        #[serde(default = "segments::first")]
        segments: Vec<u32>,
    },
}

impl Roles {
    pub(super) fn check(&self) -> Result<(), (String, String)> {
        match self {
            Roles::Segments { segments } if segments.is_empty() => {
                Err(("roles.segments.segments".to_owned(), "must name at least one segment".to_owned()))
            }
            Roles::Policy | Roles::Segments { .. } => Ok(()),
        }
    }

    pub(super) fn apply(&self, trajectory: &Trajectory, place: Place, mask: &mut [f64]) -> Result<(), MethodError> {
        match self {
            Roles::Policy => Ok(()),
            Roles::Segments { segments } => segments::apply(segments, trajectory, place, mask),
        }
    }
}
