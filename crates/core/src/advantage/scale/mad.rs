//! MC-GRPO's scale.

use super::statistic::median;
use crate::registry::{Axis, Entry, Parameter};

pub(super) const ENTRY: Entry = Entry {
    axis: Axis::Scale,
    name: "mad",
    summary: "the median absolute deviation from the median",
    formula: "m = lower median of r, s = max(lower median of |r - m| + eps, floor). Trap: of two-valued rewards (0/1) the majority is the \
              median, so MAD is 0 and the minority gets a gap of 1/eps = 1000: set a floor (0.5 or 1). Biased as any scale of the sample.",
    parameters: &[
        Parameter { name: "eps", default: "1e-3", range: "at least 0", meaning: "added to the median deviation" },
        Parameter {
            name: "floor",
            default: "0",
            range: "at least 0",
            meaning: "the least scale, in units of the reward",
        },
    ],
    source: "MC-GRPO: arXiv 2601.22582, and its repository; the floor is ours",
    ..Entry::NONE
};

pub(super) fn eps() -> f64 {
    1e-3
}

/// The lower median of the distances from the lower median.
pub(super) fn mad(values: &[f64]) -> f64 {
    let centre = median(values);
    median(&values.iter().map(|v| (v - centre).abs()).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::super::Scale;
    use super::*;
    use crate::advantage::{Advantage, Baseline, tests::advantages};

    #[test]
    fn two_valued_rewards_have_none_and_a_floor_helps() {
        assert_eq!(mad(&[0.0, 1.5, 2.0]), 0.5);
        assert_eq!(mad(&[0.0, 0.0, 2.0]), 0.0);
        let with = |floor| {
            let scale = Scale::Mad { eps: 1e-3, floor };
            advantages(&Advantage { baseline: Baseline::Median, scale, ..Advantage::default() }, &[0.0, 0.0, 2.0])
        };
        assert!((with(0.0)[2] - 2000.0).abs() < 1e-9, "the trap, as the source has it");
        assert_eq!(with(1.0), [0.0, 0.0, 2.0]);
    }
}
