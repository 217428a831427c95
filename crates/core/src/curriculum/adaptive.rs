//! A hint level for each prompt.

use crate::registry::{Axis, Entry, Parameter};

pub(super) const ENTRY: Entry = Entry {
    axis: Axis::Curriculum,
    name: "adaptive",
    summary: "a hint level for each prompt, raised after failures and lowered after successes",
    formula: "curriculum.hint = {adaptive = {raise_below = a, lower_above = b, levels = L, success_above = s}}: with p the share of rewards \
              above s at the prompt's last visit, its level rises by 1 where p < a (at most to L), falls by 1 where p > b (at least \
              to 0), and stays between. One move a step, however often the prompt stands in it; the whole group has one level; one \
              group a visit. Log-probabilities are under the hinted prompt.",
    parameters: &[
        Parameter {
            name: "raise_below",
            default: "0.1",
            range: "0 to 1",
            meaning: "the accuracy below which the level rises",
        },
        Parameter {
            name: "lower_above",
            default: "0.35",
            range: "raise_below to 1",
            meaning: "the accuracy above which the level falls",
        },
        Parameter { name: "levels", default: "3", range: "at least 1", meaning: "the highest level" },
        Parameter {
            name: "success_above",
            default: "0",
            range: "any number",
            meaning: "a reward above this is a success",
        },
    ],
    source: "SAGE-light, arXiv 2602.03143; thresholds of BaohaoLiao/SAGE's script (the paper raises below 0.35)",
    ..Entry::NONE
};

pub(super) fn raise_below() -> f64 {
    0.1
}

pub(super) fn lower_above() -> f64 {
    0.35
}

pub(super) fn next(level: u32, rate: f64, raise_below: f64, lower_above: f64, levels: u32) -> u32 {
    if rate < raise_below {
        level.saturating_add(1).min(levels)
    } else if rate > lower_above {
        level.saturating_sub(1)
    } else {
        level
    }
}

#[cfg(test)]
mod tests {
    use super::next;

    #[test]
    fn it_moves_by_one_and_stays_in_between() {
        let levels = [0.0, 0.0, 0.0, 0.0, 0.1, 0.35, 0.5, 1.0, 1.0, 1.0];
        let path: Vec<u32> = levels
            .iter()
            .scan(0, |level, rate| {
                *level = next(*level, *rate, 0.1, 0.35, 3);
                Some(*level)
            })
            .collect();
        assert_eq!(path, [1, 2, 3, 3, 3, 3, 2, 1, 0, 0]);
    }
}
