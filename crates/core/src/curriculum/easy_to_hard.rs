//! Easy prompts first.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::CurriculumState;
use crate::{
    random::{Stream, permutation},
    registry::{Axis, Entry, Parameter},
};

pub(super) const ENTRY: Entry = Entry {
    axis: Axis::Curriculum,
    name: "easy_to_hard",
    summary: "prompts sorted by their first pass rate, shuffled inside buckets; those that never succeed wait",
    formula: "curriculum.order = {easy_to_hard = {buckets = K, direction = D, drop_up_to = d, recheck = R}}: prompts with a rate are \
              sorted by it, high to low, and cut into K buckets of equal size; an epoch is a permutation of the first bucket, then \
              of the second, and so on; a step reads positions (step - 1) n .. step n. The rate is the mean reward of the first \
              visit (measured before the first step, or in training); a 0 gives way to the first later one that is not. A prompt \
              with a rate <= d is left out, and looked at again when its last visit is R steps old. Prompts without a rate come \
              before all others, shuffled: they are being measured.",
    parameters: &[
        Parameter { name: "buckets", default: "5", range: "at least 1", meaning: "1 shuffles all, many sort fully" },
        Parameter {
            name: "direction",
            default: "\"easy_first\"",
            range: "`easy_first` or `hard_first`",
            meaning: "hard_first is the control",
        },
        Parameter {
            name: "drop_up_to",
            default: "0",
            range: "any number",
            meaning: "the highest rate that is left out",
        },
        Parameter { name: "recheck", default: "100", range: "at least 1", meaning: "steps until another look" },
    ],
    source: "SARI, arXiv 2504.15900 (pass rate of the starting model, 0 % dropped, easy to hard)",
    unverified: "buckets or a full sort; the re-check is ours",
    ..Entry::NONE
};

/// Which end of the sorted row comes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// From the easiest on.
    #[default]
    EasyFirst,
    /// From the hardest on.
    HardFirst,
}

pub(super) fn buckets() -> u32 {
    5
}

/// Whether a prompt is in the row at all.
pub(super) fn stays(prompt: usize, drop_up_to: f64, recheck: u64, step: u64, state: &CurriculumState) -> bool {
    let Some(record) = state.record(prompt) else { return true };
    record.rate.is_none_or(|rate| rate > drop_up_to) || record.is_stale(step, recheck)
}

/// The prompts of a step, sorted.
#[derive(Default)]
pub(super) struct Buckets {
    /// Ascending.
    unknown: Vec<usize>,
    /// Ascending inside a bucket, so that one bucket of all is `shuffled`.
    known: Vec<Vec<usize>>,
}

impl Buckets {
    /// All are in the row where `stays` leaves none.
    pub(super) fn of(
        eligible: &[usize],
        stays: impl Fn(&usize) -> bool,
        buckets: usize,
        direction: Direction,
        state: &CurriculumState,
    ) -> Self {
        let mut row: Vec<usize> = eligible.iter().copied().filter(stays).collect();
        if row.is_empty() {
            row = eligible.to_vec();
        }
        let rate = |p: usize| state.record(p).and_then(|r| r.rate);
        let (mut sorted, mut unknown) = (Vec::new(), Vec::new());
        for p in row {
            match rate(p) {
                Some(rate) => sorted.push((rate, p)),
                None => unknown.push(p),
            }
        }
        sorted.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        if direction == Direction::HardFirst {
            sorted.reverse();
        }
        let cut = |b: usize| b * sorted.len() / buckets.max(1);
        let bucket = |b: usize| {
            let mut bucket: Vec<usize> = sorted[cut(b)..cut(b + 1)].iter().map(|(_, p)| *p).collect();
            bucket.sort_unstable();
            bucket
        };
        Self { unknown, known: (0..buckets).map(bucket).filter(|b| !b.is_empty()).collect() }
    }

    pub(super) fn row(&self, count: usize, step: u64, stream: Stream) -> Vec<usize> {
        let shuffle = |of: &[usize], epoch: usize, bucket: usize| -> Vec<usize> {
            permutation(of.len(), stream.dice(epoch as u32, bucket as u32, 0)).into_iter().map(|i| of[i]).collect()
        };
        let mut row = shuffle(&self.unknown, 0, self.known.len());
        row.truncate(count);
        let all: usize = self.known.iter().map(Vec::len).sum();
        if all == 0 {
            return row;
        }
        let first = step.saturating_sub(1) as usize * count;
        let (mut epoch, mut skip) = (first / all, first % all);
        while row.len() < count {
            let order = self.known.iter().enumerate().flat_map(|(b, bucket)| shuffle(bucket, epoch, b));
            let left = count - row.len();
            row.extend(order.skip(skip).take(left));
            (epoch, skip) = (epoch + 1, 0);
        }
        row
    }

    /// How many buckets each prompt is away from that of the prompt which was drawn last.
    pub(super) fn distances(&self, eligible: &[usize], drawn: &[usize]) -> Vec<usize> {
        let place: BTreeMap<usize, usize> =
            self.known.iter().enumerate().flat_map(|(b, bucket)| bucket.iter().map(move |p| (*p, b))).collect();
        let here = drawn.iter().rev().find_map(|p| place.get(p)).copied().unwrap_or(0);
        // A prompt that was left out is farther than any other.
        let unknown = |p: &usize| if self.unknown.binary_search(p).is_ok() { 0 } else { self.known.len() };
        eligible.iter().map(|p| place.get(p).map_or_else(|| unknown(p), |b| b.abs_diff(here))).collect()
    }
}
