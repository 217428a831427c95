//! Errors that cost according to what was said.

use std::collections::BTreeMap;

use super::prelude::*;

parameters! {
    /// 0 for a right decision, minus the penalty of the word that was said for a wrong one.
    AsymmetricPenalty {
        of: String = "answer", TERM, "right or wrong";
        right: f64 = 0.5, ANY, "least score of a right one";
        decision: String = "decision", FACT, "the word that was said";
        penalties: BTreeMap<String, f64> = table([("selected", 2.0), ("rejected", 0.5)]) => "{ selected = 2.0, rejected = 0.5 }",
            COSTS, "what each word costs where it is wrong";
        otherwise: f64 = 1.0, NOT_NEGATIVE, "what any other word costs, as a malformed answer does";
    }
}

pub(super) const ENTRY: Entry = Entry {
    axis: Axis::Derive,
    name: "asymmetric_penalty",
    summary: "a false yes costs more than a false no",
    formula: "0 where of >= right, else -penalties[decision], -otherwise for a word that is not in the table. A z-score \
              takes off a constant factor of the whole reward: what is gentle must come from relative weights",
    parameters: AsymmetricPenalty::PARAMETERS,
    reads: &["facts.<decision>"],
    source: "JobEval-GRPO: arXiv 2511.16073, the aggressive mode",
    unverified: "the penalties",
    ..Entry::NONE
};

impl Term for AsymmetricPenalty {
    fn of_group(&self, _: &str, group: &Group<'_>, _: &mut Memory) -> Result<Vec<Outcome>, MethodError> {
        group.map(&self.of, |e, of| {
            let said = group.label(e, &self.decision)?;
            let penalty = self.penalties.get(&said).copied().unwrap_or(self.otherwise);
            Ok(if of >= self.right { 0.0 } else { -penalty })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_said_decides() {
        let mut group = group(&[("answer", [1.0, 0.0, 0.0, 0.0])], &[]);
        label(&mut group, "decision", ["selected", "selected", "rejected", "?"]);
        close(
            &values(&AsymmetricPenalty::default(), &group, &mut Memory::default()),
            &[0.0, -2.0, -0.5, -1.0],
            0.0,
        );
    }
}
