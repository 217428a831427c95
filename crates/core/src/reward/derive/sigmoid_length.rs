//! Right, and short among the right ones.

use super::prelude::*;

parameters! {
    /// `1 - alpha * sigmoid(z of the length among the right ones)` for a right one, 0 for a wrong one.
    SigmoidLength {
        of: String = "answer", TERM, "right or wrong";
        right: f64 = 0.5, ANY, "least score of a right one";
        length: String = "length", FACT, "length in tokens";
        alpha: f64 = 0.6, UNIT, "the most that length can cost";
        ddof: f64 = 0.0, ZERO_OR_ONE, "0 for the population's standard deviation, 1 for the sample's";
        floor: f64 = 1e-4, POSITIVE, "least standard deviation";
    }
}

pub(super) const ENTRY: Entry = Entry {
    axis: Axis::Derive,
    name: "sigmoid_length",
    summary: "a right answer pays less the longer it is among the right ones",
    formula: "1 - alpha / (1 + exp(-z)), z = (length - m)/max(s, floor), m and s of the lengths of the group's right ones; 0 \
              for wrong. Equal lengths pay 1 - alpha/2",
    parameters: SigmoidLength::PARAMETERS,
    reads: &["facts.<length>"],
    source: "Arora & Zanette 2025, arXiv 2502.04463; in GRPO-lambda: arXiv 2505.18086",
    unverified: "alpha in GRPO-lambda, ddof",
    ..Entry::NONE
};

impl Term for SigmoidLength {
    fn of_group(&self, _: &str, group: &Group<'_>, _: &mut Memory) -> Result<Vec<Outcome>, MethodError> {
        let mut lengths = Vec::new();
        for (e, score) in group.scores(&self.of)?.into_iter().enumerate() {
            if score.is_some_and(|of| of >= self.right) {
                lengths.push(group.amount(e, &self.length)?);
            }
        }
        let (centre, spread) = (mean(&lengths), deviation(&lengths, self.ddof).max(self.floor));
        group.map(&self.of, |e, of| {
            if of < self.right {
                return Ok(0.0);
            }
            let z = (group.amount(e, &self.length)? - centre) / spread;
            Ok(1.0 - self.alpha / (1.0 + (-z).exp()))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_right_lengths_and_a_wrong_one() {
        let group1 = group(&[("answer", [1.0, 1.0, 1.0, 0.0])], &[("length", [10.0, 20.0, 30.0, 1.0])]);
        close(&values(&SigmoidLength::default(), &group1, &mut Memory::default()), &[0.8637, 0.7, 0.5363, 0.0], 5e-5);
    }

    #[test]
    fn equal_lengths_pay_one_minus_half_alpha_and_nothing_right_pays_nothing() {
        let equal = group(&[("answer", [1.0, 1.0, 0.0])], &[("length", [10.0, 10.0, 5.0])]);
        close(&values(&SigmoidLength::default(), &equal, &mut Memory::default()), &[0.7, 0.7, 0.0], 1e-15);
        let wrong = group(&[("answer", [0.0; 2])], &[("length", [10.0, 5.0])]);
        close(&values(&SigmoidLength::default(), &wrong, &mut Memory::default()), &[0.0; 2], 0.0);
    }
}
