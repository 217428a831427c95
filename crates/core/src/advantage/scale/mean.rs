//! MaxRL's scale.

use crate::registry::{Axis, Entry, Parameter};

pub(super) const ENTRY: Entry = Entry {
    axis: Axis::Scale,
    name: "mean",
    summary: "the mean reward of the group: rare successes count most, towards maximum likelihood",
    formula: "s = mean of r + eps, so A = (r - mean) / mean. Rewards must be at least 0; where all are 0 the advantage is exactly 0. With 0/1 \
              rewards and p the success rate, a success has (1-p)/p and a failure -1. Biased on purpose: with the mean baseline and eps 0 the expectation over \
              n rollouts is (1 + q + .. + q^(n-2)) grad p, q = 1 - p: towards grad log p as n grows.",
    parameters: &[Parameter { name: "eps", default: "1e-6", range: "at least 0", meaning: "added to the mean" }],
    source: "MaxRL: arXiv 2602.02710",
    unverified: "eps",
    ..Entry::NONE
};

pub(super) fn eps() -> f64 {
    1e-6
}

#[cfg(test)]
mod tests {
    use super::super::Scale;
    use crate::{
        advantage::{Advantage, tests::advantages, tests::group},
        memory::Memory,
    };

    #[test]
    fn max_rl_by_hand() {
        let advantage = Advantage { scale: Scale::Mean { eps: 0.0 }, ..Advantage::default() };
        assert_eq!(advantages(&advantage, &[1.0, 0.0, 0.0, 0.0]), [3.0, -1.0, -1.0, -1.0]);
        assert_eq!(advantages(&advantage, &[0.0, 0.0]), [0.0, 0.0]);
    }

    #[test]
    fn a_penalty_has_no_success_rate() {
        let advantage = Advantage { scale: Scale::Mean { eps: 1e-6 }, ..Advantage::default() };
        let error = advantage.credit(&[group(&[1.0, -1.0])], &mut Memory::default()).unwrap_err();
        assert!(error.to_string().contains("group 0, trajectory 1: `reward` is -1"), "{error}");
    }
}
