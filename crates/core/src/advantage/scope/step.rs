//! Transitions that left from the same anchor.

use crate::registry::{Axis, Entry, Parameter};

pub(super) const ENTRY: Entry = Entry {
    axis: Axis::Scope,
    name: "step",
    summary: "only the members of a group with the same step are compared",
    formula: "A_i = (r_i - baseline) / scale over the scored episodes of the group whose fact `by` equals that of i. Alone at its step \
              (with a baseline or scale that compares): 0.",
    parameters: &[Parameter {
        name: "by",
        default: "step",
        range: "a fact's name",
        meaning: "the denoising step of the transition",
    }],
    reads: &["facts.step"],
    source: "G2RPO: arXiv 2510.01982 (singular stochastic sampling: groups anchored at a step)",
    ..Entry::NONE
};

pub(super) fn by() -> String {
    "step".to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::Scope;
    use super::by;
    use crate::{
        advantage::{Advantage, Scale, tests::group},
        facts::Fact,
        memory::Memory,
    };

    #[test]
    fn steps_do_not_meet() {
        let mut batch = group(&[1.0, 0.0, 5.0]);
        for (trajectory, step) in batch.trajectories.iter_mut().zip([0.0, 0.0, 1.0]) {
            trajectory.facts.insert("step", Fact::Number(step));
        }
        let advantage = Advantage { scope: Scope::Step { by: by() }, scale: Scale::None, ..Advantage::default() };
        let credits = advantage.credit(&[batch], &mut Memory::default()).unwrap();
        let got: Vec<f64> = credits[0].iter().map(|c| c.coefficient[0]).collect();
        assert_eq!(got, [0.5, -0.5, 0.0]);
    }
}
