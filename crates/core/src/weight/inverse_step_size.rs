//! Equal gradients for unequal denoising steps.

use crate::{
    method_error::{MethodError, Place},
    registry::{Axis, Entry, Parameter},
    trajectory::Trajectory,
};

pub(super) const ENTRY: Entry = Entry {
    axis: Axis::Weight,
    name: "inverse_step_size",
    summary: "each denoising step is divided by its length",
    formula: "weight.step = {inverse_step_size = {fact = F}}: w_t = 1 / |dt_t| with dt_t from the list F (a sampler's dt is negative: its \
              size counts). The mean of a step shifts with dt, so this makes gradients of all steps alike. A factor: denominators \
              count actions as before. |dt| too small for a finite factor is an error where the action is trained: skip a last \
              step of length 0.",
    parameters: &[Parameter {
        name: "fact",
        default: "\"step_size\"",
        range: "a fact's name",
        meaning: "a list with the length of every step",
    }],
    reads: &["step_size"],
    source: "GRPO-Guard, arXiv 2510.22319 (gradient reweighting), as in CodeGoat24/Pref-GRPO train_flux.py",
    ..Entry::NONE
};

pub(super) fn fact() -> String {
    "step_size".to_owned()
}

pub(super) fn factor(fact: &str, trajectory: &Trajectory, place: Place) -> Result<Vec<f64>, MethodError> {
    let sizes = trajectory.list(fact, place)?;
    over(fact, place, sizes.iter().zip(&trajectory.mask).map(|(size, mask)| (1.0, *size, *mask)))
}

/// `top / |size|` wherever the mask is not 0, and 1 elsewhere.
pub(super) fn over(
    fact: &str,
    place: Place,
    parts: impl Iterator<Item = (f64, f64, f64)>,
) -> Result<Vec<f64>, MethodError> {
    parts
        .map(|(top, size, mask)| {
            let factor = if mask == 0.0 { 1.0 } else { top / size.abs() };
            match factor.is_finite() {
                true => Ok(factor),
                false => Err(MethodError::unfit(place, format!("facts.{fact}"), "large enough to divide by", size)),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Fact;

    #[test]
    fn the_size_of_a_step_counts_and_a_masked_one_is_not_read() {
        let mut trajectory = Trajectory { mask: vec![1.0, 1.0, 0.0], ..Trajectory::default() };
        trajectory.facts.insert("step_size", Fact::List(vec![-0.1, 0.25, 0.0]));
        let got = factor("step_size", &trajectory, Place::default()).unwrap();
        assert_eq!(got, [10.0, 4.0, 1.0], "dt is negative in a sampler");
        trajectory.mask[2] = 1.0;
        let error = factor("step_size", &trajectory, Place::trajectory(1, 2)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "group 1, trajectory 2: `facts.step_size` is 0, and must be large enough to divide by"
        );
    }
}
