//! Step weights of samplers with a noise schedule of their own.

use super::inverse_step_size::over;
use crate::{
    method_error::{MethodError, Place},
    registry::{Axis, Entry, Parameter},
    trajectory::Trajectory,
};

pub(super) const ENTRY: Entry = Entry {
    axis: Axis::Weight,
    name: "noise",
    summary: "each denoising step is weighted with its noise over its length",
    formula: "weight.step = {noise = {noise = N, step = F}}: w_t = beta_t / |dt_t| with beta_t from the list N and dt_t from the list F. \
              A factor: denominators count actions as before.",
    parameters: &[
        Parameter {
            name: "noise",
            default: "\"noise_scale\"",
            range: "a fact's name",
            meaning: "a list with the noise of every step",
        },
        Parameter {
            name: "step",
            default: "\"step_size\"",
            range: "a fact's name",
            meaning: "a list with the length of every step",
        },
    ],
    reads: &["noise_scale", "step_size"],
    source: "GRPO-Guard, arXiv 2510.22319 (the factor beta_t / dt for DDPM-style samplers)",
    unverified: "which quantity of a sampler is beta_t",
    ..Entry::NONE
};

pub(super) fn fact() -> String {
    "noise_scale".to_owned()
}

pub(super) fn factor(noise: &str, step: &str, trajectory: &Trajectory, place: Place) -> Result<Vec<f64>, MethodError> {
    let (noises, sizes) = (trajectory.list(noise, place)?, trajectory.list(step, place)?);
    over(step, place, noises.iter().zip(sizes).zip(&trajectory.mask).map(|((b, size), mask)| (*b, *size, *mask)))
}
