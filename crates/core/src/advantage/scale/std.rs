//! Standard deviations: of the comparison, with a floor, of the batch.

use crate::registry::{Axis, Entry, Parameter};

const DDOF: &str = "1 for the sample's standard deviation (PyTorch), 0 for the population's (NumPy)";

pub(super) const STD: Entry = Entry {
    axis: Axis::Scale,
    name: "std",
    summary: "the standard deviation of the rewards compared",
    formula: "s = sqrt(sum_i (r_i - mean)^2 / (n - ddof)) + eps. Equal rewards: with a centring baseline exactly 0. The expected \
              A grad log pi is biased: a group counts by 1/s, with 0/1 rewards of success rate p about 1/sqrt(p (1-p)) times as much, most where \
              nearly all fail or succeed; of two episodes only the sign of the gap is left: E sign(r_1 - r_2) grad log pi_1 / sqrt 2 (ddof 1).",
    parameters: &[
        Parameter { name: "ddof", default: "1", range: "0 or 1", meaning: DDOF },
        Parameter { name: "eps", default: "1e-4", range: "at least 0", meaning: "added to the standard deviation" },
    ],
    source: "GRPO: Shao et al. 2024, arXiv 2402.03300, section 4.1.2; TRL (ddof 1, eps 1e-4)",
    ..Entry::NONE
};

pub(super) const FLOORED: Entry = Entry {
    axis: Axis::Scale,
    name: "floored_std",
    summary: "the standard deviation, but no less than a floor: small differences stay small",
    formula: "s = max(sqrt(sum_i (r_i - mean)^2 / (n - ddof)), floor). Biased as `std` above the floor; below it as `fixed`.",
    parameters: &[
        Parameter { name: "ddof", default: "1", range: "0 or 1", meaning: DDOF },
        Parameter {
            name: "floor",
            default: "0.1",
            range: "at least 0",
            meaning: "the least scale, in units of the reward",
        },
    ],
    source: "ours (the illusory advantage of nearly equal scores is Pref-GRPO's: arXiv 2508.20751)",
    ..Entry::NONE
};

pub(super) const GLOBAL: Entry = Entry {
    axis: Axis::Scale,
    name: "global_std",
    summary: "the standard deviation of all raw rewards of the batch, while the baseline stays its own",
    formula: "s = sqrt(sum over all N scored episodes of the batch (r - mean of the batch)^2 / (N - ddof)) + eps: raw rewards, not \
              centred ones, so differences between prompts count. The expectation of A grad log pi keeps its direction between \
              groups up to the batch's share in s.",
    parameters: &[
        Parameter { name: "ddof", default: "0", range: "0 or 1", meaning: DDOF },
        Parameter { name: "eps", default: "1e-4", range: "at least 0", meaning: "added to the standard deviation" },
    ],
    source: "Flow-GRPO repository (`global_std`): per-prompt mean, batch std; Talk2Move, arXiv 2601.02356; TRL `scale_rewards = batch` (ddof 1)",
    ..Entry::NONE
};

pub(super) fn sample() -> u8 {
    1
}

pub(super) fn small() -> f64 {
    1e-4
}

pub(super) fn floor() -> f64 {
    0.1
}

#[cfg(test)]
mod tests {
    use super::super::Scale;
    use crate::{
        advantage::{Advantage, tests::advantages, tests::group},
        memory::Memory,
    };

    #[test]
    fn grpo_by_hand() {
        // Rewards 1, 0, 0, 1: mean 1/2, sample variance 1/3.
        let want = 0.5 / ((1.0f64 / 3.0).sqrt() + 1e-4);
        for (got, sign) in advantages(&Advantage::default(), &[1.0, 0.0, 0.0, 1.0]).iter().zip([1.0, -1.0, -1.0, 1.0]) {
            assert!((got - sign * want).abs() < 1e-15);
        }
    }

    #[test]
    fn a_floor_keeps_a_hair_from_becoming_a_ranking() {
        let rewards = [0.5, 0.5, 0.501];
        let floored = Advantage { scale: Scale::FlooredStd { ddof: 1, floor: 0.1 }, ..Advantage::default() };
        assert!(advantages(&Advantage::default(), &rewards)[2] > 0.9);
        assert!(advantages(&floored, &rewards)[2] < 0.01);
    }

    #[test]
    fn the_global_one_is_of_raw_rewards() {
        // Centred, both groups are +-1/2; raw, 0, 1, 10, 11 have population variance 25.25.
        let advantage = Advantage { scale: Scale::GlobalStd { ddof: 0, eps: 0.0 }, ..Advantage::default() };
        let credits = advantage.credit(&[group(&[0.0, 1.0]), group(&[10.0, 11.0])], &mut Memory::default()).unwrap();
        assert!((credits[1][1].coefficient[0] - 0.5 / 25.25f64.sqrt()).abs() < 1e-15);
    }
}
