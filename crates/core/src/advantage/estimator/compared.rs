//! The estimator of the whole GRPO family.

use crate::registry::{Axis, Entry};

pub(super) const ENTRY: Entry = Entry {
    axis: Axis::Estimator,
    name: "compared",
    summary: "the distance of a reward from its baseline, in units of its scale",
    formula: "A_i = (r_i - baseline) / scale, both over those that the scope compares; every action of episode i gets A_i. What is exactly 0 \
              stays 0, whatever the scale; a scale of 0 divides nothing. A comparison with fewer scored episodes than baseline and scale need: 0. \
              Then, in this order: whitening over the batch, constant groups, drop, clip, shape.",
    reads: &["reward"],
    source: "GRPO: Shao et al. 2024, arXiv 2402.03300, section 4.1.2",
    ..Entry::NONE
};
