//! What is wrong gains nothing.

use super::prelude::*;

parameters! {
    /// The weighted sum, at most 0 where `of` is wrong.
    MinimumIfWrong {
        of: String = "format", TERM, "right or wrong";
        right: f64 = 0.5, ANY, "least score of a right one";
    }
}

pub(super) const ENTRY: Entry = Entry {
    axis: Axis::Combine,
    name: "minimum_if_wrong",
    summary: "the sum, cut at 0 where the format is wrong",
    formula: "S = weighted sum of all terms; S where of >= right, else min(0, S). No reward where `of` abstains or failed",
    parameters: MinimumIfWrong::PARAMETERS,
    source: "Format-Length: arXiv 2505.19439",
    ..Entry::NONE
};

impl MinimumIfWrong {
    pub(super) fn of(
        &self,
        weights: &BTreeMap<String, f64>,
        group: &Group<'_>,
        e: usize,
    ) -> Result<Option<f64>, MethodError> {
        let Some(of) = group.outcome(e, &self.of)?.value() else { return Ok(None) };
        let sum = Selected::all(weights).sum(group, e)?;
        Ok(sum.map(|s| if of >= self.right { s } else { s.min(0.0) }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reward::Combine;

    #[test]
    fn a_good_length_without_an_answer_is_worth_nothing() {
        // The third is a truncated output: no answer, length -1.
        let group = group(&[("format", [1.0, 0.0, 0.0]), ("length", [0.75, 0.75, -1.0])], &[]);
        let by = Combine::MinimumIfWrong(MinimumIfWrong::default());
        close(&rewards(&by, &[("format", 1.0), ("length", 1.0)], &group), &[1.75, 0.0, -1.0], 0.0);
    }
}
