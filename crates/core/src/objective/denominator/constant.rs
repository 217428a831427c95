//! Denominators that no mask can change.

use crate::registry::{Axis, Entry, Parameter};

pub(in crate::objective) const ENTRY: Entry = Entry {
    axis: Axis::Denominator,
    name: "constant",
    summary: "the number of sequences times a constant length",
    formula: "w_i = m_i / (N length), N sequences of the batch. length = 1 is verl's seq-mean-token-sum",
    parameters: &[Parameter {
        name: "length",
        default: "1024",
        range: "above 0",
        meaning: "in actions; as a rule the cap on new actions",
    }],
    source: "Dr. GRPO: Liu et al. 2025, arXiv 2503.20783, section 3.2; TRL's loss_type dr_grpo",
    ..Entry::NONE
};

pub(in crate::objective) const FIXED: Entry = Entry {
    axis: Axis::Denominator,
    name: "fixed",
    summary: "a constant, whatever the size of the batch",
    formula: "w_i = m_i / divisor: the loss is the sum over the batch over a constant, and grows with the batch",
    parameters: &[Parameter {
        name: "divisor",
        default: "1000",
        range: "above 0",
        meaning: "what the sum is divided by",
    }],
    source: "NFT: arXiv 2505.18116, its repository",
    ..Entry::NONE
};

pub(super) fn length() -> f64 {
    1024.0
}

pub(super) fn divisor() -> f64 {
    1000.0
}
