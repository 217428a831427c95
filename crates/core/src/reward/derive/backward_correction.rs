//! The clean reward behind a noisy verifier, in expectation.

use super::prelude::*;
use crate::reward::noise_rate::Rate;

parameters! {
    /// `(of - rho0) / max(1 - rho0 - rho1, least)`.
    BackwardCorrection {
        of: String = "answer", TERM, "the noisy verdict, 0 or 1";
        false_positive: f64 = 0.1, BELOW_ONE, "rho0: how often a wrong answer passes";
        false_negative: Rate = Rate::Fixed(0.2) => "0.2", Rate::BOUND, "rho1: how often a right answer fails";
        right: f64 = 0.5, ANY, "least score that the verifier calls right, for an estimated rate";
        least: f64 = 0.01, POSITIVE, "floor of the denominator";
    } where |p| p.false_positive + p.false_negative.fixed().unwrap_or(0.0) < 1.0
        => "false_positive", "and `false_negative` must sum to less than 1";
}

pub(super) const ENTRY: Entry = Entry {
    axis: Axis::Derive,
    name: "backward_correction",
    summary: "PGBC: the unbiased estimate of the clean reward",
    formula: "(of - rho0) / max(1 - rho0 - rho1, least); its mean given the true verdict is the true verdict. Affine in the \
              verdict: a group z-score takes it off again, so it needs an advantage of a fixed scale",
    parameters: BackwardCorrection::PARAMETERS,
    reads: &["facts.appeal, with an estimated rate"],
    source: "Noisy RLVR (PGBC): arXiv 2510.00915",
    unverified: "the value of the floor",
    ..Entry::NONE
};

impl Term for BackwardCorrection {
    fn observe(&self, into: &str, groups: &[Group<'_>], memory: &mut Memory) -> Result<(), MethodError> {
        self.false_negative.observe(into, &self.of, self.right, groups, memory)
    }

    fn of_group(&self, into: &str, group: &Group<'_>, memory: &mut Memory) -> Result<Vec<Outcome>, MethodError> {
        let rho1 = self.false_negative.value(into, memory);
        let scale = (1.0 - self.false_positive - rho1).max(self.least);
        group.map(&self.of, |_, of| Ok((of - self.false_positive) / scale))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_mean_is_the_true_verdict() {
        let group = group(&[("answer", [0.0, 1.0])], &[]);
        let got = values(&BackwardCorrection::default(), &group, &mut Memory::default());
        // A right answer passes with 0.8, a wrong one with 0.1.
        assert!((0.8 * got[1] + 0.2 * got[0] - 1.0).abs() < 1e-15);
        assert!((0.1 * got[1] + 0.9 * got[0]).abs() < 1e-15);
    }

    #[test]
    fn rates_that_leave_nothing_are_refused() {
        let term = BackwardCorrection { false_positive: 0.8, ..BackwardCorrection::default() };
        assert_eq!(term.check().unwrap_err().0, "false_positive");
    }
}
