//! No correction, and a weight with a cap.

use crate::registry::{Axis, Entry, Parameter};

pub(in crate::objective) const NONE: Entry = Entry {
    axis: Axis::Mismatch,
    name: "none",
    summary: "sampler and trainer are taken to be one policy",
    formula: "f = 1",
    source: "ours: the sampler here computes the trainer's rows",
    ..Entry::NONE
};

pub(super) const LEVEL: Parameter = Parameter {
    name: "level",
    default: "token",
    range: "token, sequence or geometric",
    meaning: "one weight an action; or a trajectory, the product or the geometric mean over its trained actions",
};

pub(in crate::objective) const ENTRY: Entry = Entry {
    axis: Axis::Mismatch,
    name: "truncate",
    summary: "an importance weight from sampler to trainer, with a cap",
    formula: "f = clip(w, floor, cap), w = exp(old_logp - behaviour_logp) at the level; a constant factor on the surrogate, no part of a denominator",
    parameters: &[
        Parameter { name: "cap", default: "2", range: "above 0", meaning: "the largest weight" },
        Parameter { name: "floor", default: "0", range: "at least 0, below cap", meaning: "the smallest weight" },
        LEVEL,
    ],
    reads: &["old_logp", "behaviour_logp"],
    source: "TIS: Yao et al. 2025, Your Efficient RL Framework Secretly Brings You Off-Policy RL Training; TRL's token_truncate and sequence_truncate",
    ..Entry::NONE
};

pub(super) fn of(w: f64, floor: f64, cap: f64) -> f64 {
    w.max(floor).min(cap)
}
