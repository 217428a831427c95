//! Hints step by step.

use super::{Merge, Redraw};
use crate::registry::{Axis, Entry, Parameter};

pub(super) const ENTRY: Entry = Entry {
    axis: Axis::Curriculum,
    name: "ladder",
    summary: "a group without a success is drawn again with one hint level more, up to the highest",
    formula: "curriculum.hint = {ladder = {levels = L, success_above = s}}: draw the group at level 0, 1, .. and stop at the first level with \
              a reward above s, or at L. The group that was drawn last is trained, alone and under its own prompt; the earlier ones are \
              thrown away, for contexts must not mix in one group. A group of which nothing was scored has not failed.",
    parameters: &[
        Parameter { name: "levels", default: "3", range: "at least 1", meaning: "the highest level" },
        Parameter {
            name: "success_above",
            default: "0",
            range: "any number",
            meaning: "a reward above this is a success",
        },
    ],
    source: "SAGE, arXiv 2602.03143",
    ..Entry::NONE
};

pub(super) fn levels() -> u32 {
    3
}

pub(super) fn redraw(level: u32, rate: f64, levels: u32) -> Option<Redraw> {
    (rate == 0.0 && level < levels).then(|| Redraw { level: level + 1, merge: Merge::Replace })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_ends() {
        let mut level = 0;
        while let Some(next) = redraw(level, 0.0, 3) {
            assert_eq!(next, Redraw { level: level + 1, merge: Merge::Replace });
            level = next.level;
        }
        assert_eq!(level, 3);
        assert_eq!(redraw(0, 0.125, 3), None, "one success is enough");
    }
}
