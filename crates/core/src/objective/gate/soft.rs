//! A sigmoid in place of a clip.

use super::Gated;
use crate::registry::{Axis, Entry, Parameter};

pub(in crate::objective) const ENTRY: Entry = Entry {
    axis: Axis::Gate,
    name: "soft",
    summary: "a sigmoid around ratio 1 that closes little by little",
    formula: "g = A (4/t) sigmoid(t (r - 1)), t = positive where A > 0, else negative; slope 4 A s (1 - s), s = sigmoid(t (r - 1)): A at r = 1, nowhere a kink. At r = 1 the value is 2 A / t",
    parameters: &[
        Parameter { name: "positive", default: "1", range: "above 0", meaning: "the temperature t of good actions" },
        Parameter {
            name: "negative",
            default: "1.05",
            range: "above 0",
            meaning: "the temperature of bad actions: larger closes sooner",
        },
    ],
    source: "SAPO: Gao et al. 2025, arXiv 2511.20347; TRL; verl",
    ..Entry::NONE
};

pub(super) fn negative() -> f64 {
    1.05
}

#[inline]
pub(super) fn of(ratio: f64, advantage: f64, positive: f64, negative: f64) -> Gated {
    let t = if advantage > 0.0 { positive } else { negative };
    // Both halves without a difference of numbers near 1.
    let e = (-t * (ratio - 1.0).abs()).exp();
    let (near, far) = (1.0 / (1.0 + e), e / (1.0 + e));
    let open = if ratio >= 1.0 { near } else { far };
    Gated { value: 4.0 / t * open * advantage, slope: 4.0 * near * far * advantage, by_logp: 0.0, closed: false }
}
