//! Difficulty relative to the latest groups.

use std::collections::VecDeque;

use super::{Augmentation, state};
use crate::registry::{Axis, Entry, Parameter};

pub(super) const ENTRY: Entry = Entry {
    axis: Axis::Curriculum,
    name: "difficulty",
    summary: "a prompt that is harder than the latest ones gets a hint, an easier one noise",
    formula: "curriculum.augment = {difficulty = {window = W, hint_share_max = h, noise_max = n, reward_max = R}}: Delta = mean of the mean \
              rewards of the latest W groups before this step - the group's mean reward. hint share = clip(Delta / R, 0, h) of a \
              reference's reasoning, noise = n clip(-Delta / R, 0, 1) on the input; the group is drawn again on that input, and \
              trained. Nothing changes before there is a window, or where nothing was scored. The hint is masked from the loss.",
    parameters: &[
        Parameter {
            name: "window",
            default: "100",
            range: "at least 1",
            meaning: "groups that difficulty is relative to",
        },
        Parameter { name: "hint_share_max", default: "0.8", range: "0 to 1", meaning: "the largest share of the hint" },
        Parameter { name: "noise_max", default: "1", range: "at least 0", meaning: "the strongest noise" },
        Parameter { name: "reward_max", default: "1", range: "above 0", meaning: "the highest reward" },
    ],
    source: "DeepVideo-R1, arXiv 2506.07464 (difficulty-aware augmentation)",
    unverified: "the maps from Delta to share and noise, which are not printed",
    ..Entry::NONE
};

pub(super) fn window() -> u32 {
    100
}

pub(super) fn hint_share_max() -> f64 {
    0.8
}

pub(super) fn noise_max() -> f64 {
    1.0
}

pub(super) fn reward_max() -> f64 {
    1.0
}

pub(super) fn augmentation(
    rewards: &[Option<f64>],
    window: &VecDeque<f64>,
    hint_share_max: f64,
    noise_max: f64,
    reward_max: f64,
) -> Augmentation {
    let latest: Vec<f64> = window.iter().copied().collect();
    let (Some(usual), Some(own)) = (state::mean(&latest), state::mean(&state::scored(rewards))) else {
        return Augmentation::default();
    };
    let gap = (usual - own) / reward_max;
    Augmentation { hint_share: gap.clamp(0.0, hint_share_max), noise: noise_max * (-gap).clamp(0.0, 1.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        let window = VecDeque::from([0.5, 1.0]);
        let of = |rewards: &[Option<f64>]| augmentation(rewards, &window, 0.5, 2.0, 1.0);
        assert_eq!(of(&[Some(0.0), Some(1.0)]), Augmentation { hint_share: 0.25, noise: 0.0 });
        assert_eq!(of(&[Some(0.0), None]), Augmentation { hint_share: 0.5, noise: 0.0 }, "0.75 is over the cap");
        assert_eq!(of(&[Some(1.0)]), Augmentation { hint_share: 0.0, noise: 0.5 });
        assert_eq!(of(&[None]), Augmentation::default());
        let empty = augmentation(&[Some(0.0)], &VecDeque::new(), 0.5, 2.0, 1.0);
        assert_eq!(empty, Augmentation::default(), "an empty window says nothing");
    }
}
