//! No term, and a plain bonus.

use crate::{
    objective::Evaluation,
    registry::{Axis, Entry, Parameter},
};

pub(in crate::objective) const NONE: Entry = Entry {
    axis: Axis::Entropy,
    name: "none",
    summary: "entropy is measured and not trained",
    formula: "0",
    source: "GRPO: Shao et al. 2024, arXiv 2402.03300, eq. 3 (no such term)",
    ..Entry::NONE
};

pub(in crate::objective) const ENTRY: Entry = Entry {
    axis: Axis::Entropy,
    name: "bonus",
    summary: "more entropy is rewarded",
    formula: "- coefficient H_i, weighted as the surrogate is: under `tokens` it is TRL's token mean whatever the loss",
    parameters: &[Parameter { name: "coefficient", default: "0.001", range: "above 0", meaning: "per nat of entropy" }],
    reads: &["entropy"],
    source: "Mnih et al. 2016, arXiv 1602.01783, section 4; TRL's entropy_coef; verl's entropy_coeff",
    ..Entry::NONE
};

pub(super) fn small() -> f64 {
    1e-3
}

pub(super) fn evaluate(coefficient: f64, entropy: &[f64], weight: &[f64], part: &mut Evaluation) {
    part.loss -= coefficient * entropy.iter().zip(weight).map(|(h, w)| h * w).sum::<f64>();
    for (d, w) in part.d_entropy().iter_mut().zip(weight).filter(|(_, w)| **w != 0.0) {
        *d -= coefficient * w;
    }
}
