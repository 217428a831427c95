//! Which members serve the comparison and leave the batch.

use serde::{Deserialize, Serialize};

use super::statistic::median_index;
use crate::registry::{Axis, Entry, Parameter};

pub(super) const ENTRIES: [&Entry; 3] = [&NONE, &PIVOT, &LEAST];

const NONE: Entry = Entry {
    axis: Axis::Drop,
    name: "none",
    summary: "every member is trained",
    formula: "All members stay.",
    source: "GRPO: Shao et al. 2024, arXiv 2402.03300",
    ..Entry::NONE
};

const PIVOT: Entry = Entry {
    axis: Axis::Drop,
    name: "pivot",
    summary: "the median member, whose advantage is 0, leaves: G + 1 rollouts, G trained",
    formula: "Of the n scored episodes the one at place floor((n-1)/2) by reward (ties in order of appearance) is dropped: exactly one index, \
              however many tie. It has no loss and no part in a denominator. renormalise = nonzero multiplies the others by n / (number of \
              non-zero advantages) (the source's GSM8K trainer). Needs the median baseline, scope group, and an odd n of at least 3.",
    parameters: &[Parameter {
        name: "renormalise",
        default: "none",
        range: "none, nonzero",
        meaning: "whether the rest makes up for zero advantages",
    }],
    reads: &["reward"],
    source: "MC-GRPO: arXiv 2601.22582, and its repository",
    ..Entry::NONE
};

const LEAST: Entry = Entry {
    axis: Axis::Drop,
    name: "least_magnitude",
    summary: "the member with the least |reward| or |advantage| leaves: the control for one rollout more",
    formula: "Of the scored episodes the first one with the least |r| (or |A|, before clip) is dropped; the statistics are those of all n.",
    parameters: &[Parameter { name: "by", default: "reward", range: "reward, advantage", meaning: "whose magnitude" }],
    reads: &["reward"],
    source: "MC-GRPO's repository: its control for plain GRPO (least |reward|); by advantage is ours",
    ..Entry::NONE
};

/// Which member of a group leaves after the comparison.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Drop {
    /// Every member stays.
    #[default]
    None,
    /// The lower median of the rewards.
    Pivot {
        #[serde(default)]
        renormalise: Renormalise,
    },
    /// The one that says least.
    LeastMagnitude {
        #[serde(default)]
        by: By,
    },
}

/// Whether the rest makes up for zero advantages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Renormalise {
    /// The others keep their advantages.
    #[default]
    None,
    /// By n / (number of advantages that are not 0).
    Nonzero,
}

/// Whose magnitude.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// By reward.
    #[default]
    Reward,
    /// By advantage.
    Advantage,
}

/// What a group loses.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Dropped {
    /// The index of the episode.
    pub episode: usize,
    /// What the others are multiplied with.
    pub factor: f64,
}

impl Drop {
    /// Fewest episodes of a group.
    pub(super) fn least(self) -> usize {
        match self {
            Drop::None => 1,
            Drop::Pivot { .. } => 3,
            Drop::LeastMagnitude { .. } => 2,
        }
    }

    /// Of the rewards and advantages of a group's episodes; `None` where nothing is scored.
    pub(super) fn of(self, rewards: &[Option<f64>], advantages: &[f64]) -> Option<Dropped> {
        let scored: Vec<usize> = (0..rewards.len()).filter(|&e| rewards[e].is_some()).collect();
        let reward = |e: usize| rewards[e].unwrap_or_default();
        match self {
            Drop::None => None,
            Drop::Pivot { renormalise } => {
                let values: Vec<f64> = scored.iter().map(|&e| reward(e)).collect();
                let nonzero = scored.iter().filter(|&&e| advantages[e] != 0.0).count();
                let factor = match renormalise {
                    Renormalise::Nonzero if nonzero > 0 => scored.len() as f64 / nonzero as f64,
                    _ => 1.0,
                };
                Some(Dropped { episode: scored[median_index(&values)?], factor })
            }
            Drop::LeastMagnitude { by } => {
                let magnitude = |e: usize| match by {
                    By::Reward => reward(e).abs(),
                    By::Advantage => advantages[e].abs(),
                };
                let episode =
                    scored.into_iter().reduce(|best, e| if magnitude(e) < magnitude(best) { e } else { best })?;
                Some(Dropped { episode, factor: 1.0 })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        advantage::{Advantage, Baseline, Scale, tests::group},
        memory::Memory,
    };

    fn mc_grpo(rewards: &[f64], renormalise: Renormalise) -> Vec<Option<f64>> {
        let advantage = Advantage {
            baseline: Baseline::Median,
            scale: Scale::Mad { eps: 1e-3, floor: 0.0 },
            drop: Drop::Pivot { renormalise },
            ..Advantage::default()
        };
        assert_eq!(advantage.check(), Ok(()));
        let credits = advantage.credit(&[group(rewards)], &mut Memory::default()).unwrap().remove(0);
        credits.iter().map(|c| c.is_kept().then(|| c.coefficient[0])).collect()
    }

    #[test]
    fn mc_grpo_by_hand() {
        let got = mc_grpo(&[0.0, 1.5, 2.0], Renormalise::None);
        assert!((got[0].unwrap() + 2.994).abs() < 1e-4 && (got[2].unwrap() - 0.998).abs() < 1e-4, "{got:?}");
        assert_eq!(got[1], None);
        let got = mc_grpo(&[0.0, 1.5, 2.0], Renormalise::Nonzero);
        assert!((got[0].unwrap() + 1.5 / 0.501 * 1.5).abs() < 1e-12);
        let got = mc_grpo(&[0.0, 0.0, 2.0], Renormalise::Nonzero);
        assert!((got[2].unwrap() - 6000.0).abs() < 1e-9);
    }

    #[test]
    fn one_leaves_however_many_tie() {
        let got = mc_grpo(&[0.0, 0.0, 2.0, 0.0, 0.0], Renormalise::None);
        assert_eq!(got.iter().filter(|a| a.is_none()).count(), 1);
        assert_eq!(got.iter().flatten().filter(|a| **a == 0.0).count(), 3, "the other zeros stay");
    }

    #[test]
    fn an_even_group_has_no_median_member() {
        let advantage = Advantage {
            baseline: Baseline::Median,
            drop: Drop::Pivot { renormalise: Renormalise::None },
            ..Advantage::default()
        };
        assert_eq!(advantage.least_group(), 3);
        let error = advantage.credit(&[group(&[0.0, 1.0, 2.0, 3.0])], &mut Memory::default()).unwrap_err();
        assert!(error.to_string().contains("odd"), "{error}");
    }

    #[test]
    fn the_control_drops_the_least() {
        let rewards = [Some(-1.0), None, Some(0.5), Some(0.5)];
        let of = |by| Drop::LeastMagnitude { by }.of(&rewards, &[0.1, 0.0, 0.2, 0.3]).unwrap().episode;
        assert_eq!((of(By::Reward), of(By::Advantage)), (2, 0), "and never the unscored");
    }
}
