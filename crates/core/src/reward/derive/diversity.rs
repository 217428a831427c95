//! Less for what everybody says.

use super::{prelude::*, votes::shares};

parameters! {
    /// `1 - min(cap, share of the equal answers)`.
    Diversity {
        answer: String = "answer", FACT, "the answer";
        cap: f64 = 0.2, UNIT, "the most that is taken off";
    }
}

pub(super) const ENTRY: Entry = Entry {
    axis: Axis::Derive,
    name: "diversity",
    summary: "a factor below 1 for frequent answers",
    formula: "1 - min(cap, f), f = equal answers of the group / all, counted over the whole group first. With fewer than \
              1/cap members it is the constant 1 - cap",
    parameters: Diversity::PARAMETERS,
    reads: &["facts.<answer>"],
    source: "AlphaDrive, Algorithm 1 (March 2025), which counts inside its loop",
    ..Entry::NONE
};

impl Term for Diversity {
    fn of_group(&self, _: &str, group: &Group<'_>, _: &mut Memory) -> Result<Vec<Outcome>, MethodError> {
        let shares = shares(&group.labels(&self.answer)?);
        group.each(|e| Ok(1.0 - shares[e].min(self.cap)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_group_is_counted_before_anybody_is_paid() {
        let mut many = group(&[], &[("x", [0.0; 10])]);
        label(&mut many, "answer", ["a", "b", "b", "b", "b", "b", "b", "b", "b", "b"]);
        let mut want = [0.8; 10];
        want[0] = 0.9;
        close(&values(&Diversity::default(), &many, &mut Memory::default()), &want, 1e-15);
    }

    #[test]
    fn a_small_group_has_no_diversity_to_pay_for() {
        let mut few = group(&[], &[("x", [0.0; 4])]);
        label(&mut few, "answer", ["a", "b", "c", "c"]);
        close(&values(&Diversity::default(), &few, &mut Memory::default()), &[0.8; 4], 0.0);
    }
}
