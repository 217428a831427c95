//! Half the squared difference.

use crate::registry::{Axis, Entry};

pub(in crate::objective) const ENTRY: Entry = Entry {
    axis: Axis::Divergence,
    name: "k2",
    summary: "half the squared difference: biased in value, the KL's gradient on-policy",
    formula: "d^2 / 2, d = logp - ref_logp; derivative d by logp",
    reads: &["ref_logp"],
    source: "Schulman 2020, Approximating KL Divergence; verl's mse",
    ..Entry::NONE
};
