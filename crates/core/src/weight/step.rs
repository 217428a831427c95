//! A factor for each step of a denoising process.

use serde::{Deserialize, Serialize};

use super::{inverse_step_size, loss_mask::NEUTRAL, noise};
use crate::{
    method_error::{MethodError, Place},
    registry::{Axis, Entry},
    trajectory::Trajectory,
};

pub(super) const ONE: Entry = Entry {
    axis: Axis::Weight,
    name: "one",
    summary: "every step counts alike",
    formula: "weight.step = \"one\": w_t = 1.",
    source: "Flow-GRPO, arXiv 2505.05470, which weighs all denoising steps alike",
    equals: &[("keep", NEUTRAL), ("all", NEUTRAL), ("policy", NEUTRAL)],
    ..Entry::NONE
};

/// What the surrogate of a step is multiplied with. No part of a denominator.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Step {
    /// 1.
    #[default]
    One,
    /// `1 / |dt|`.
    InverseStepSize {
        /// A list with one number an action.
        #[serde(default = "inverse_step_size::fact")]
        fact: String,
    },
    /// `beta / |dt|`.
    Noise {
        /// A list with one number an action: beta.
        #[serde(default = "noise::fact")]
        noise: String,
        /// A list with one number an action: dt.
        #[serde(default = "inverse_step_size::fact")]
        step: String,
    },
}

impl Step {
    pub(super) fn factor(&self, trajectory: &Trajectory, place: Place) -> Result<Option<Vec<f64>>, MethodError> {
        match self {
            Step::One => Ok(None),
            Step::InverseStepSize { fact } => inverse_step_size::factor(fact, trajectory, place).map(Some),
            Step::Noise { noise, step } => noise::factor(noise, step, trajectory, place).map(Some),
        }
    }
}
