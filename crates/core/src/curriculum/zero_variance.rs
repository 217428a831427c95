//! Dynamic sampling: groups without signal make way for others.

use super::{Reason, Verdict, state};
use crate::registry::{Axis, Entry, Parameter};

pub(super) const ENTRY: Entry = Entry {
    axis: Axis::Curriculum,
    name: "zero_variance",
    summary: "groups whose rewards are all equal are discarded, and others are drawn, within a budget",
    formula: "curriculum.filter = {zero_variance = {budget = B, surplus = S, oversample = o}}: a group is trained where at least two of \
              its rewards differ (compared exactly, not by a standard deviation that rounding keeps above 0). For m missing groups \
              ceil(o m) prompts that this step has not had are drawn, at most B times; then the step goes on with what it has. Groups \
              beyond the step's number are not trained; with surplus = carry their prompts come first at the next step, drawn anew, so \
              that no batch is stale.",
    parameters: &[
        Parameter { name: "budget", default: "10", range: "at least 0", meaning: "the most refills of a step" },
        Parameter {
            name: "surplus",
            default: "\"carry\"",
            range: "`carry` or `drop`",
            meaning: "what becomes of groups that are too many",
        },
        Parameter {
            name: "oversample",
            default: "1",
            range: "at least 1",
            meaning: "groups that are drawn for each missing one",
        },
    ],
    source: "DAPO: Yu et al. 2025, arXiv 2503.14476, section 3.2 (dynamic sampling); verl's filter_groups with max_num_gen_batches 10, \
             which drops the surplus",
    ..Entry::NONE
};

pub(super) fn budget() -> u32 {
    10
}

pub(super) fn oversample() -> f64 {
    1.0
}

pub(super) fn verdict(rewards: &[Option<f64>]) -> Verdict {
    let scored = state::scored(rewards);
    match scored.split_first() {
        None | Some((_, [])) => Verdict::Discard(Reason::TooFewScored),
        Some((first, others)) if others.iter().all(|r| r == first) => Verdict::Discard(Reason::EqualRewards),
        Some(_) => Verdict::Keep,
    }
}

/// Prompts for `missing` groups, at least as many.
pub(super) fn wanted(missing: usize, oversample: f64) -> usize {
    ((missing as f64 * oversample - 1e-9).ceil() as usize).max(missing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_is_compared_exactly_and_unscored_is_not_wrong() {
        // A standard deviation by way of the mean would be 1.4e-17 here.
        assert_eq!(verdict(&[Some(0.1); 3]), Verdict::Discard(Reason::EqualRewards));
        assert_eq!(verdict(&[Some(0.1), Some(0.1 + 1e-15)]), Verdict::Keep);
        assert_eq!(verdict(&[Some(1.0), None, Some(1.0)]), Verdict::Discard(Reason::EqualRewards));
        assert_eq!(verdict(&[Some(1.0), None]), Verdict::Discard(Reason::TooFewScored));
        assert_eq!(verdict(&[]), Verdict::Discard(Reason::TooFewScored));
        assert_eq!(verdict(&[None, Some(0.0), Some(1.0)]), Verdict::Keep);
    }

    #[test]
    fn a_refill_is_at_least_what_is_missing() {
        assert_eq!((wanted(3, 1.0), wanted(3, 1.5), wanted(10, 1.1), wanted(1, 1.01)), (3, 5, 11, 2));
    }
}
