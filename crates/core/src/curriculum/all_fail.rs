//! Guidance where everything failed.

use super::{Merge, Redraw};
use crate::registry::{Axis, Entry, Parameter};

pub(super) const ENTRY: Entry = Entry {
    axis: Axis::Curriculum,
    name: "all_fail",
    summary: "a group in which all failed gets a hinted group beside it",
    formula: "curriculum.hint = {all_fail = {threshold = h, group = M, success_above = s}}: where the share of rewards above s is at most h, \
              as many answers are drawn once more under the hinted prompt; with M = union both are one group, with M = replace the \
              hinted one is trained alone. A prompt with any success is left alone. Hinted answers are scored without the hint: the \
              ratio takes its old log-probability from the hinted prompt.",
    parameters: &[
        Parameter {
            name: "threshold",
            default: "0",
            range: "0 to below 1",
            meaning: "the share of successes that is a failure",
        },
        Parameter {
            name: "group",
            default: "\"union\"",
            range: "`union` or `replace`",
            meaning: "what is trained then",
        },
        Parameter {
            name: "success_above",
            default: "0",
            range: "any number",
            meaning: "a reward above this is a success",
        },
    ],
    source: "Guide-GRPO, arXiv 2506.13923 (trigger: every unguided answer failed)",
    unverified: "whether the failed answers stay in the group",
    ..Entry::NONE
};

pub(super) fn merge() -> Merge {
    Merge::Union
}

pub(super) fn redraw(level: u32, rate: f64, threshold: f64, merge: Merge) -> Option<Redraw> {
    (rate <= threshold && level == 0).then_some(Redraw { level: 1, merge })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn once_and_only_for_failures() {
        assert_eq!(redraw(0, 0.0, 0.0, Merge::Union), Some(Redraw { level: 1, merge: Merge::Union }));
        assert_eq!(redraw(1, 0.0, 0.0, Merge::Union), None);
        assert_eq!(redraw(0, 0.125, 0.0, Merge::Union), None);
        assert!(redraw(0, 0.125, 0.2, Merge::Replace).is_some());
    }
}
