//! Scales that do not look at the batch.

use crate::registry::{Axis, Entry, Parameter};

pub(super) const NONE: Entry = Entry {
    axis: Axis::Scale,
    name: "none",
    summary: "nothing is divided",
    formula: "s = 1. Keeps what the baseline leaves unbiased.",
    source: "Dr. GRPO: Liu et al. 2025, arXiv 2503.20783, section 3.2",
    ..Entry::NONE
};

pub(super) const FIXED: Entry = Entry {
    axis: Axis::Scale,
    name: "fixed",
    summary: "one number for all",
    formula: "s = value. The expectation of A grad log pi is 1/value times that without a scale.",
    parameters: &[Parameter {
        name: "value",
        default: "0.5",
        range: "above 0",
        meaning: "the scale, in units of the reward; 0.5 is the standard deviation of a fair 0/1 reward",
    }],
    source: "noisy-verifier RLVR (PGFC): (R - baseline) / s; the default is ours",
    ..Entry::NONE
};

pub(super) fn half() -> f64 {
    0.5
}
