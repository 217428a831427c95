//! GRPO's baseline.

use crate::registry::{Axis, Entry};

pub(super) const ENTRY: Entry = Entry {
    axis: Axis::Baseline,
    name: "mean",
    summary: "the mean of the rewards compared",
    formula: "b = (1/n) sum_i r_i over the n scored episodes of the comparison. Equal rewards give exactly 0. \
              Each reward is part of its own baseline, so the expectation of A grad log pi is (n-1)/n times the policy gradient.",
    source: "GRPO: Shao et al. 2024, arXiv 2402.03300, section 4.1.2",
    ..Entry::NONE
};

#[cfg(test)]
mod tests {
    use crate::advantage::{Advantage, Scale, tests::advantages};

    #[test]
    fn dr_grpo_by_hand() {
        let advantage = Advantage { scale: Scale::None, ..Advantage::default() };
        assert_eq!(advantages(&advantage, &[1.0, 0.0, 0.0, 0.0]), [0.75, -0.25, -0.25, -0.25]);
    }
}
