//! A weight that is there only while it is near 1.

use super::truncate::LEVEL;
use crate::registry::{Axis, Entry, Parameter};

pub(in crate::objective) const ENTRY: Entry = Entry {
    axis: Axis::Mismatch,
    name: "mask",
    summary: "an importance weight from sampler to trainer, and no training where it is far from 1",
    formula: "f = w where low <= w <= high, else 0, w = exp(old_logp - behaviour_logp) at the level; a constant factor on the surrogate, no part of a denominator",
    parameters: &[
        Parameter { name: "low", default: "0.5", range: "at least 0", meaning: "the smallest weight that is trained" },
        Parameter { name: "high", default: "2", range: "above low", meaning: "the largest weight that is trained" },
        LEVEL,
    ],
    reads: &["old_logp", "behaviour_logp"],
    source: "IcePop: Ling team 2025, arXiv 2510.18855; TRL's token_mask and sequence_mask",
    ..Entry::NONE
};

pub(super) fn of(w: f64, low: f64, high: f64) -> f64 {
    if w >= low && w <= high { w } else { 0.0 }
}
