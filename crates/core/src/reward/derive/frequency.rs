//! The share of those who say the same.

use super::{prelude::*, votes::shares};

parameters! {
    /// `p(answer)`.
    Frequency {
        answer: String = "answer", FACT, "the answer; an empty one is an answer too";
    }
}

pub(super) const ENTRY: Entry = Entry {
    axis: Axis::Derive,
    name: "frequency",
    summary: "a label-free reward: how many of the group say the same",
    formula: "equal answers of the group / all, itself among them; in [1/n, 1]",
    parameters: Frequency::PARAMETERS,
    reads: &["facts.<answer>"],
    source: "TTRV (October 2025), frequency reward",
    ..Entry::NONE
};

impl Term for Frequency {
    fn of_group(&self, _: &str, group: &Group<'_>, _: &mut Memory) -> Result<Vec<Outcome>, MethodError> {
        let shares = shares(&group.labels(&self.answer)?);
        group.each(|e| Ok(shares[e]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_not_be_parsed_is_an_answer() {
        let mut group = group(&[], &[("x", [0.0; 4])]);
        label(&mut group, "answer", ["a", "", "a", "b"]);
        close(&values(&Frequency::default(), &group, &mut Memory::default()), &[0.5, 0.25, 0.5, 0.25], 0.0);
    }
}
