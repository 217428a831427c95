//! A moving standard deviation.

use super::Per;
use crate::registry::{Axis, Entry, Parameter};

pub(super) const ENTRY: Entry = Entry {
    axis: Axis::Scale,
    name: "running",
    summary: "a moving standard deviation of the rewards of earlier batches",
    formula: "s = d + eps, d = what is remembered from before this batch (1 where nothing is). After the batch: d <- decay d + (1 - decay) \
              (population standard deviation of all scored rewards of the batch, or of the prompt's); the first one is taken whole. \
              Adds no bias beyond the factor 1/s: s does not depend on this batch.",
    parameters: &[
        Parameter { name: "decay", default: "0.9", range: "in [0, 1)", meaning: "the share of the past" },
        Parameter { name: "per", default: "run", range: "prompt, run", meaning: "whose rewards are remembered" },
        Parameter { name: "eps", default: "1e-4", range: "at least 0", meaning: "added to the standard deviation" },
    ],
    reads: &["memory"],
    source: "ours",
    ..Entry::NONE
};

pub(super) fn decay() -> f64 {
    0.9
}

pub(super) fn per() -> Per {
    Per::Run
}

#[cfg(test)]
mod tests {
    use super::super::Scale;
    use super::*;
    use crate::{
        advantage::{Advantage, tests::group},
        memory::Memory,
    };

    #[test]
    fn the_first_batch_is_not_scaled_and_is_remembered() {
        let advantage =
            Advantage { scale: Scale::Running { decay: 0.5, per: Per::Run, eps: 0.0 }, ..Advantage::default() };
        let mut memory = Memory::default();
        let mut of = |rewards: &[f64]| advantage.credit(&[group(rewards)], &mut memory).unwrap()[0][0].coefficient[0];
        assert_eq!(of(&[2.0, 0.0]), 1.0);
        assert_eq!(of(&[6.0, 0.0]), 3.0, "over 1");
        assert_eq!(of(&[4.0, 0.0]), 1.0, "over (1 + 3) / 2");
    }
}
