//! In which order prompts come.

use serde::{Deserialize, Serialize};

use super::{CurriculumState, Direction, NEUTRAL, easy_to_hard, one_shot, shuffled};
use crate::{
    random::Stream,
    registry::{Axis, Entry},
};

pub(super) const SHUFFLED: Entry = Entry {
    axis: Axis::Curriculum,
    name: "shuffled",
    summary: "every prompt once an epoch, each epoch in an order of its own",
    formula: "curriculum.order = \"shuffled\": positions (step - 1) n .. step n of the endless row of permutations of the eligible \
              prompts. A function of the step, so there is no cursor to lose. A prompt comes twice in a step only where an epoch \
              ends within it.",
    source: "ours; sampling without replacement, as every trainer does",
    equals: &[("all", NEUTRAL), ("keep", NEUTRAL), ("none", NEUTRAL)],
    ..Entry::NONE
};

/// The order of the eligible prompts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Order {
    /// Every prompt once an epoch.
    #[default]
    Shuffled,
    /// These prompts alone, repeated until the step is full.
    OneShot {
        /// Indices in the training split; at least one. One that stands here twice comes twice as often.
        #[serde(default = "one_shot::first")]
        prompts: Vec<u64>,
    },
    /// By the pass rate, shuffled inside buckets.
    EasyToHard {
        /// At least 1.
        #[serde(default = "easy_to_hard::buckets")]
        buckets: u32,
        #[serde(default)]
        direction: Direction,
        /// Prompts with a rate up to this are left out.
        #[serde(default)]
        drop_up_to: f64,
        /// After so many steps without a visit they are looked at again; at least 1.
        #[serde(default = "super::eligible::recheck")]
        recheck: u64,
    },
}

impl Order {
    pub(super) fn check(&self) -> Result<(), (String, String)> {
        let fault = |key: &str, problem: &str| Err((format!("order.{key}"), problem.to_owned()));
        match self {
            Order::OneShot { prompts } if prompts.is_empty() => {
                fault("one_shot.prompts", "must name at least one prompt")
            }
            Order::EasyToHard { buckets: 0, .. } => fault("easy_to_hard.buckets", "must be at least 1"),
            Order::EasyToHard { drop_up_to, .. } if !drop_up_to.is_finite() => {
                fault("easy_to_hard.drop_up_to", "must be finite")
            }
            Order::EasyToHard { recheck: 0, .. } => fault("easy_to_hard.recheck", "must be at least 1"),
            Order::Shuffled | Order::OneShot { .. } | Order::EasyToHard { .. } => Ok(()),
        }
    }

    /// The prompts that it can name, ascending.
    pub(super) fn universe(&self, prompts: usize) -> Vec<usize> {
        match self {
            Order::Shuffled | Order::EasyToHard { .. } => (0..prompts).collect(),
            Order::OneShot { prompts: named } => one_shot::universe(named, prompts),
        }
    }

    /// The `count` positions of `step` in the row of these prompts.
    pub(super) fn row(
        &self,
        eligible: &[usize],
        count: usize,
        step: u64,
        stream: Stream,
        state: &CurriculumState,
    ) -> Vec<usize> {
        match self {
            Order::Shuffled => shuffled(eligible.len(), count, step, stream).into_iter().map(|i| eligible[i]).collect(),
            Order::OneShot { prompts } => one_shot::row(prompts, eligible, count, step),
            Order::EasyToHard { .. } => self.easy_to_hard(eligible, step, state).row(count, step, stream),
        }
    }

    /// How far each eligible prompt is from what this step drew, in steps of difficulty; 0 where there are none.
    pub(super) fn distances(
        &self,
        eligible: &[usize],
        drawn: &[usize],
        step: u64,
        state: &CurriculumState,
    ) -> Vec<usize> {
        match self {
            Order::Shuffled | Order::OneShot { .. } => vec![0; eligible.len()],
            Order::EasyToHard { .. } => self.easy_to_hard(eligible, step, state).distances(eligible, drawn),
        }
    }

    fn easy_to_hard(&self, eligible: &[usize], step: u64, state: &CurriculumState) -> easy_to_hard::Buckets {
        match self {
            Order::EasyToHard { buckets, direction, drop_up_to, recheck } => {
                let stays = |p: &usize| easy_to_hard::stays(*p, *drop_up_to, *recheck, step, state);
                easy_to_hard::Buckets::of(eligible, stays, *buckets as usize, *direction, state)
            }
            Order::Shuffled | Order::OneShot { .. } => easy_to_hard::Buckets::default(),
        }
    }
}
