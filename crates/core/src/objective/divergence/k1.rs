//! The difference of log-probabilities, and its size.

use crate::registry::{Axis, Entry};

pub(in crate::objective) const ENTRY: Entry = Entry {
    axis: Axis::Divergence,
    name: "k1",
    summary: "the difference of log-probabilities: unbiased in value, no pull as a loss",
    formula: "d = logp - ref_logp; derivative 1 by logp, which is 0 in expectation on-policy. Can be negative",
    reads: &["ref_logp"],
    source: "Schulman 2020, Approximating KL Divergence; verl's kl",
    ..Entry::NONE
};

pub(in crate::objective) const ABS: Entry = Entry {
    axis: Axis::Divergence,
    name: "abs",
    summary: "the size of the difference of log-probabilities",
    formula: "|d|, d = logp - ref_logp; derivative sign(d), 0 at d = 0",
    reads: &["ref_logp"],
    source: "verl's abs",
    ..Entry::NONE
};

pub(super) fn abs(d: f64) -> (f64, f64) {
    (d.abs(), if d == 0.0 { 0.0 } else { d.signum() })
}
