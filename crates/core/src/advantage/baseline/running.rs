//! A moving mean of earlier rewards.

use super::Per;
use crate::registry::{Axis, Entry, Parameter};

pub(super) const ENTRY: Entry = Entry {
    axis: Axis::Baseline,
    name: "running",
    summary: "a moving mean of the rewards of earlier batches, of the prompt or of the run",
    formula: "b = m, what is remembered from before this batch (start where nothing is). After the batch: m <- decay m + (1 - decay) r, \
              r the mean of the prompt's (of the batch's) scored rewards; the first one is taken whole. Unbiased: b does not depend on \
              this batch. Equal rewards keep r - m: a group that is all right on a prompt that used to fail is reinforced.",
    parameters: &[
        Parameter { name: "decay", default: "0.9", range: "in [0, 1)", meaning: "the share of the past" },
        Parameter { name: "per", default: "prompt", range: "prompt, run", meaning: "whose rewards are remembered" },
        Parameter { name: "start", default: "0", range: "finite", meaning: "the baseline while nothing is remembered" },
    ],
    reads: &["memory"],
    source: "Williams 1992, section 3 (reinforcement comparison: an exponential average of past reinforcement)",
    ..Entry::NONE
};

pub(super) fn decay() -> f64 {
    0.9
}

pub(super) fn per() -> Per {
    Per::Prompt
}

#[cfg(test)]
mod tests {
    use super::super::Baseline;
    use super::*;
    use crate::{
        advantage::{Advantage, Scale, tests::group},
        memory::Memory,
    };

    #[test]
    fn the_past_and_not_this_batch() {
        let baseline = Baseline::Running { decay: 0.75, per: Per::Prompt, start: 0.25 };
        let advantage = Advantage { baseline, scale: Scale::None, ..Advantage::default() };
        let mut memory = Memory::default();
        let mut of = |rewards: &[f64]| {
            let credits = advantage.credit(&[group(rewards)], &mut memory).unwrap();
            credits[0].iter().map(|c| c.coefficient[0]).collect::<Vec<_>>()
        };
        assert_eq!(of(&[1.0, 0.0]), [0.75, -0.25], "start");
        assert_eq!(of(&[1.0, 1.0]), [0.5, 0.5], "the first mean, whole: 1/2");
        assert_eq!(of(&[0.0, 0.0]), [-0.625, -0.625], "3/4 of 1/2 and 1/4 of 1");
    }
}
