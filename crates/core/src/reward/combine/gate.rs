//! Terms that count only behind another one.

use super::prelude::*;

parameters! {
    /// The weighted sum of `then` where `of` reaches the threshold, else `floor`.
    Gate {
        of: String = "format", TERM, "the term that opens the gate";
        threshold: f64 = 1.0, ANY, "least score that opens it";
        floor: f64 = 0.0, ANY, "the reward while it is shut";
        then: Vec<String> = names([]) => "[]", SOME_TERMS, "the terms behind it; with none named, every weighted one";
    }
}

pub(super) const ENTRY: Entry = Entry {
    axis: Axis::Combine,
    name: "gate",
    summary: "terms that count only where another one passed",
    formula: "weighted sum of `then` where of >= threshold, else floor; behind a shut gate no term is read. No reward where the \
              gate itself abstains or failed",
    parameters: Gate::PARAMETERS,
    source: "ours, after VeriReason (arXiv 2505.11849) and StealthRL (February 2026)",
    ..Entry::NONE
};

impl Gate {
    pub(super) fn of(
        &self,
        weights: &BTreeMap<String, f64>,
        group: &Group<'_>,
        e: usize,
    ) -> Result<Option<f64>, MethodError> {
        match group.outcome(e, &self.of)?.value() {
            None => Ok(None),
            Some(of) if of >= self.threshold => Selected::of_or_all(weights, &self.then).sum(group, e),
            Some(_) => Ok(Some(self.floor)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reward::Combine;

    #[test]
    fn behind_a_shut_gate_nothing_is_read() {
        let mut group = group(&[("format", [1.0, 0.9, 1.0]), ("answer", [2.0, 0.0, 0.0])], &[]);
        group.trajectories[1].rewards.insert("answer".to_owned(), Outcome::Timeout);
        group.trajectories[2].rewards.insert("format".to_owned(), Outcome::Abstain);
        let got = rewards(&Combine::Gate(Gate { floor: -0.5, ..Gate::default() }), &[("answer", 1.0)], &group);
        close(&got[..2], &[2.0, -0.5], 0.0);
        assert!(got[2].is_nan());
    }
}
