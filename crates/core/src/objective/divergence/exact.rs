//! No estimate: the divergence of the whole distribution.

use crate::registry::{Axis, Entry};

pub(in crate::objective) const ENTRY: Entry = Entry {
    axis: Axis::Divergence,
    name: "exact",
    summary: "the exact divergence of the distribution that the action was drawn from",
    formula: "sum_a p(a) ln(p(a) / q(a)), the column kl_ref (for a flow's Gaussian step its closed form); derivative 1 by kl_ref, none by logp",
    reads: &["kl_ref"],
    source: "verl's full; Flow-GRPO: Liu et al. 2025, arXiv 2505.05470, section 4.1 (closed form of a Gaussian step)",
    ..Entry::NONE
};
