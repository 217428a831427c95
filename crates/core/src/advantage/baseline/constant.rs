//! Baselines that do not look at the batch: 0, and a number of the recipe.

use crate::registry::{Axis, Entry, Parameter};

pub(super) const NONE: Entry = Entry {
    axis: Axis::Baseline,
    name: "none",
    summary: "nothing is taken off: plain REINFORCE",
    formula: "b = 0. Unbiased: the expectation of A grad log pi is the policy gradient.",
    source: "Williams 1992, section 3",
    ..Entry::NONE
};

pub(super) const FIXED: Entry = Entry {
    axis: Axis::Baseline,
    name: "fixed",
    summary: "one number for all rewards",
    formula: "b = value. Unbiased: it does not depend on the sample. Equal rewards keep r - value. \
              With value = 1 - rho_1 on noisy 0/1 verdicts it is the forward correction of PGFC (rho_1 the rate of false negatives).",
    parameters: &[Parameter {
        name: "value",
        default: "0.5",
        range: "finite",
        meaning: "the baseline, in units of the reward",
    }],
    source: "Williams 1992, section 3 (reinforcement baseline); noisy-verifier RLVR (PGFC)",
    ..Entry::NONE
};

pub(super) fn half() -> f64 {
    0.5
}
