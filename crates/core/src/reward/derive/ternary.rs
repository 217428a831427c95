//! Not to know is better than to be wrong.

use super::prelude::*;

parameters! {
    /// One value each for right, abstained and wrong.
    Ternary {
        of: String = "answer", TERM, "right or not";
        right: f64 = 0.5, ANY, "least score of a right one";
        abstained: String = "abstained", FACT, "1 where the final answer says that it does not know";
        when_right: f64 = 1.0, ANY, "value of a right answer";
        when_abstained: f64 = 0.0, ANY, "value of an abstention";
        when_wrong: f64 = -1.0, ANY, "value of anything else";
    }
}

pub(super) const ENTRY: Entry = Entry {
    axis: Axis::Derive,
    name: "ternary",
    summary: "+1 right, 0 for an honest `I do not know`, -1 wrong",
    formula: "when_right where of >= right; else when_abstained where the fact is 1; else when_wrong. The fact is the policy's \
              abstention; a term that abstains is a verifier's and stays one",
    parameters: Ternary::PARAMETERS,
    reads: &["facts.<abstained>"],
    source: "TruthRL (September 2025), ternary reward",
    ..Entry::NONE
};

impl Term for Ternary {
    fn of_group(&self, _: &str, group: &Group<'_>, _: &mut Memory) -> Result<Vec<Outcome>, MethodError> {
        group.map(&self.of, |e, of| {
            let abstained = group.flag(e, &self.abstained)?;
            Ok(match (of >= self.right, abstained) {
                (true, _) => self.when_right,
                (false, true) => self.when_abstained,
                (false, false) => self.when_wrong,
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_values() {
        let group = group(&[("answer", [1.0, 0.0, 0.0])], &[("abstained", [0.0, 1.0, 0.0])]);
        close(&values(&Ternary::default(), &group, &mut Memory::default()), &[1.0, 0.0, -1.0], 0.0);
        let binary = Ternary { when_abstained: -1.0, ..Ternary::default() };
        close(&values(&binary, &group, &mut Memory::default()), &[1.0, -1.0, -1.0], 0.0);
    }
}
