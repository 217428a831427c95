//! A bounded constant weight on the likelihood.

use super::{At, Gated};
use crate::registry::{Axis, Entry, Parameter};

pub(in crate::objective) const ENTRY: Entry = Entry {
    axis: Axis::Gate,
    name: "cispo",
    summary: "the ratio is a bounded constant weight, and every action keeps a gradient",
    formula: "g = stop(clip(r, 1 - low, 1 + high)) A logp; derivative by the action's own logp: clip(r) A, also past the bounds; the ratio carries none. low = 1 is no lower bound. TRL's epsilon_high is the bound itself, 1 + high",
    parameters: &[
        Parameter { name: "low", default: "1", range: "in (0, 1]", meaning: "how far below 1 the weight can fall" },
        Parameter { name: "high", default: "0.28", range: "above 0", meaning: "how far above 1 the weight can rise" },
    ],
    source: "CISPO: MiniMax-M1, arXiv 2506.13585, eq. 4 and 5; TRL; verl",
    unverified: "the paper prints no value of high (ScaleRL runs with a bound of 5, high = 4; verl's default is low = high = 0.2)",
    ..Entry::NONE
};

#[inline]
pub(super) fn of(at: At, low: f64, high: f64) -> Gated {
    let weight = at.ratio.clamp(1.0 - low, 1.0 + high);
    let by_logp = weight * at.advantage;
    Gated { value: by_logp * at.logp, slope: 0.0, by_logp, closed: weight != at.ratio }
}
