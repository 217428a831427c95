//! No gate, and the clips of PPO.

use super::Gated;
use crate::registry::{Axis, Entry, Parameter};

const LOW: Parameter = Parameter {
    name: "low",
    default: "0.2",
    range: "in (0, 1]",
    meaning: "how far below 1 a bad action's ratio counts",
};
const HIGH: Parameter = Parameter {
    name: "high",
    default: "0.2",
    range: "above 0",
    meaning: "how far above 1 a good action's ratio counts",
};

pub(in crate::objective) const NONE: Entry = Entry {
    axis: Axis::Gate,
    name: "none",
    summary: "no gate: the bare ratio",
    formula: "g = r A",
    source: "Kakade and Langford 2002; PPO: Schulman et al. 2017, arXiv 1707.06347, eq. 6",
    ..Entry::NONE
};

pub(in crate::objective) const ENTRY: Entry = Entry {
    axis: Axis::Gate,
    name: "clip",
    summary: "the ratio stops counting once it has gone far enough in the right direction",
    formula: "g = min(r A, clip(r, 1 - low, 1 + high) A); closed, with slope 0, where A > 0 and r > 1 + high or A < 0 and r < 1 - low; open exactly at a bound",
    parameters: &[LOW, HIGH],
    source: "PPO: Schulman et al. 2017, arXiv 1707.06347, eq. 7",
    ..Entry::NONE
};

pub(in crate::objective) const HIGHER: Entry = Entry {
    axis: Axis::Gate,
    name: "clip_higher",
    summary: "clip with more room upwards, so that rare good actions can grow",
    formula: "as clip, with high > low",
    parameters: &[
        LOW,
        Parameter {
            name: "high",
            default: "0.28",
            range: "above low",
            meaning: "how far above 1 a good action's ratio counts",
        },
    ],
    source: "DAPO: Yu et al. 2025, arXiv 2503.14476, section 3.1",
    equals: &[("clip", "the word and the check say that high is above low")],
    ..Entry::NONE
};

pub(in crate::objective) const DUAL: Entry = Entry {
    axis: Axis::Gate,
    name: "dual_clip",
    summary: "clip, and a bad action whose ratio explodes stops counting too",
    formula: "g = clip's; where A < 0: max(g, c A), closed for r > c; open exactly at c. TRL's delta is c (for delta > 1 + high)",
    parameters: &[
        LOW,
        HIGH,
        Parameter {
            name: "c",
            default: "3",
            range: "above 1",
            meaning: "the largest ratio of a bad action that counts",
        },
    ],
    source: "Ye et al. 2020, arXiv 1912.09729, section 4.2; verl's clip_ratio_c; INTELLECT-2's delta",
    ..Entry::NONE
};

#[inline]
pub(super) fn of(ratio: f64, advantage: f64, low: f64, high: f64) -> Gated {
    let bound = if advantage >= 0.0 { 1.0 + high } else { 1.0 - low };
    let beyond = if advantage >= 0.0 { ratio > bound } else { ratio < bound };
    if beyond && advantage != 0.0 {
        Gated { value: bound * advantage, slope: 0.0, by_logp: 0.0, closed: true }
    } else {
        Gated::open(ratio, advantage)
    }
}

#[inline]
pub(super) fn dual(ratio: f64, advantage: f64, low: f64, high: f64, c: f64) -> Gated {
    if advantage < 0.0 && ratio > c {
        Gated { value: c * advantage, slope: 0.0, by_logp: 0.0, closed: true }
    } else {
        of(ratio, advantage, low, high)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gate_closes_on_one_side_only() {
        let clip = |r, a| of(r, a, 0.2, 0.3);
        assert_eq!(clip(1.31, 2.0), Gated { value: 2.6, slope: 0.0, by_logp: 0.0, closed: true });
        assert!(!clip(0.5, 2.0).closed, "a good action that became rare is pulled back");
        assert!(clip(0.79, -1.0).closed);
        assert_eq!(clip(0.79, -1.0).value, -0.8);
        assert!(!clip(5.0, -1.0).closed, "a bad action that became likely is pushed down without bound");
        assert!(!clip(9.0, 0.0).closed);
        // At the kink the gate is still open.
        assert_eq!(clip(1.3, 2.0).slope, 2.0);
        assert_eq!(clip(0.8, -2.0).slope, -2.0);
    }

    #[test]
    fn the_second_clip_is_for_bad_actions_only() {
        let dual = |r, a| dual(r, a, 0.2, 0.2, 3.0);
        assert_eq!(dual(5.0, -2.0), Gated { value: -6.0, slope: 0.0, by_logp: 0.0, closed: true });
        assert_eq!(dual(3.0, -2.0), Gated { value: -6.0, slope: -2.0, by_logp: 0.0, closed: false });
        assert_eq!(dual(5.0, 2.0).value, 2.4);
        assert_eq!(dual(0.5, -2.0).value, -1.6);
    }
}
