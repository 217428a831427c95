//! A ratio an action, and none.

use super::{Back, Ratios};
use crate::{
    objective::Seen,
    registry::{Axis, Entry},
};

pub(in crate::objective) const NONE: Entry = Entry {
    axis: Axis::Ratio,
    name: "none",
    summary: "no ratio: one update on the rows that were sampled",
    formula: "r_i = exp(logp_i - stop(logp_i)) = 1, with derivative 1 by logp_i; old_logp is not read, and gates see old_logp = logp",
    source: "Shao et al. 2024, arXiv 2402.03300, section 4.1.2 (one update a batch); TRL's on-policy path",
    ..Entry::NONE
};

pub(in crate::objective) const ENTRY: Entry = Entry {
    axis: Axis::Ratio,
    name: "token",
    summary: "a ratio an action",
    formula: "r_i = exp(logp_i - old_logp_i); exactly 1 where the rows are equal",
    reads: &["old_logp"],
    source: "PPO: Schulman et al. 2017, arXiv 1707.06347, section 3; GRPO: Shao et al. 2024, arXiv 2402.03300, eq. 3",
    ..Entry::NONE
};

pub(in crate::objective) const STEP: Entry = Entry {
    axis: Axis::Ratio,
    name: "step",
    summary: "a ratio a transition of a flow",
    formula: "r_i = exp(logp_i - old_logp_i) of the density of transition i; with log-densities that are means over D dimensions a bound of a clip is D times as wide as with sums",
    reads: &["old_logp"],
    source: "Flow-GRPO: Liu et al. 2025, arXiv 2505.05470, eq. 7",
    equals: &[("token", "an action of a flow is a transition; the word says so in a recipe")],
    ..Entry::NONE
};

/// The ratio of one action; exactly 1 where the rows are equal.
pub(in crate::objective) fn ratio(logp: f64, old_logp: f64) -> f64 {
    (logp - old_logp).exp()
}

pub(super) fn of<'a>(seen: &Seen<'a>, mask: &[f64]) -> Ratios<'a> {
    let rows = seen.rows.logp.iter().zip(seen.old_logp);
    let values = rows.zip(mask).map(|((p, q), m)| if *m == 0.0 { 1.0 } else { ratio(*p, *q) }).collect();
    Ratios { values, back: Back::Own }
}
