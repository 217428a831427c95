//! MC-GRPO's baseline.

use crate::registry::{Axis, Entry};

pub(super) const ENTRY: Entry = Entry {
    axis: Axis::Baseline,
    name: "median",
    summary: "the lower median of the rewards compared, which is one of them",
    formula: "b = the element at place floor((n-1)/2) of the sorted rewards. With an odd n one episode, the pivot, has \
              advantage exactly 0: `drop = pivot` takes it out. The expectation of A grad log pi is no multiple of the policy \
              gradient: the baseline depends on the sample, by whether it is the middle one. Of two episodes the lower median \
              is the lower reward: without a scale the expectation is then 1/2 grad E r + 1/4 grad E|r_1 - r_2|, and spread is sought.",
    source: "MC-GRPO: arXiv 2601.22582, and its repository",
    ..Entry::NONE
};

#[cfg(test)]
mod tests {
    use super::super::Baseline;
    use crate::advantage::{Advantage, Scale, tests::advantages};

    #[test]
    fn an_odd_group_leaves_exactly_one_zero_where_rewards_differ() {
        let advantage = Advantage { baseline: Baseline::Median, scale: Scale::None, ..Advantage::default() };
        assert_eq!(advantages(&advantage, &[0.0, 1.5, 2.0]), [-1.5, 0.0, 0.5]);
        assert_eq!(advantages(&advantage, &[1.0, 4.0]), [0.0, 3.0]);
    }
}
