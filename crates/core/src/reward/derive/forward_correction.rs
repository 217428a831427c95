//! Weights whose mean gradient is that of the clean reward, up to its length.

use super::prelude::*;
use crate::reward::noise_rate::Rate;

choice! {
    /// What the weights are divided by.
    ForwardScale {
        /// 1.
        One,
        /// `1 - rho1`.
        Recall,
        /// `1 - rho0 - rho1`.
        Separation,
    }
}

parameters! {
    /// `(of - (1 - rho1)) / scale`.
    ForwardCorrection {
        of: String = "answer", TERM, "the noisy verdict, 0 or 1";
        false_negative: Rate = Rate::Fixed(0.2) => "0.2", Rate::BOUND, "rho1: how often a right answer fails";
        false_positive: f64 = 0.1, BELOW_ONE, "rho0, for the scale `separation` alone";
        right: f64 = 0.5, ANY, "least score that the verifier calls right, for an estimated rate";
        scale: ForwardScale = ForwardScale::One => "\"one\"", words("`one`, `recall` or `separation`"),
            "what the weights are divided by: 1, 1 - rho1 or 1 - rho0 - rho1";
        least: f64 = 0.01, POSITIVE, "floor of the scale";
    } where |p| p.false_positive + p.false_negative.fixed().unwrap_or(0.0) < 1.0
        => "false_positive", "and `false_negative` must sum to less than 1";
}

pub(super) const ENTRY: Entry = Entry {
    axis: Axis::Derive,
    name: "forward_correction",
    summary: "PGFC: only what fails is pushed, by what the false-negative rate leaves of it",
    formula: "(of - (1 - rho1)) / s: rho1 - 1 where the verifier says wrong, rho1 where it says right; s = 1, 1 - rho1 or \
              1 - rho0 - rho1, at least `least`. Its mean is 0 given right and -(1 - rho0 - rho1)/s given wrong. To be \
              used without centring: a group z-score makes it the plain verdict",
    parameters: ForwardCorrection::PARAMETERS,
    reads: &["facts.appeal, with an estimated rate"],
    source: "Noisy RLVR (PGFC): arXiv 2510.00915",
    unverified: "the value of the floor",
    ..Entry::NONE
};

impl Term for ForwardCorrection {
    fn observe(&self, into: &str, groups: &[Group<'_>], memory: &mut Memory) -> Result<(), MethodError> {
        self.false_negative.observe(into, &self.of, self.right, groups, memory)
    }

    fn of_group(&self, into: &str, group: &Group<'_>, memory: &mut Memory) -> Result<Vec<Outcome>, MethodError> {
        let rho1 = self.false_negative.value(into, memory);
        let scale = match self.scale {
            ForwardScale::One => 1.0,
            ForwardScale::Recall => 1.0 - rho1,
            ForwardScale::Separation => 1.0 - self.false_positive - rho1,
        };
        group.map(&self.of, |_, of| Ok((of - (1.0 - rho1)) / scale.max(self.least)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_mean_is_zero_for_right_and_minus_the_separation_for_wrong() {
        let group = group(&[("answer", [0.0, 1.0])], &[]);
        let got = values(&ForwardCorrection::default(), &group, &mut Memory::default());
        close(&got, &[-0.8, 0.2], 1e-15);
        assert!((0.8 * got[1] + 0.2 * got[0]).abs() < 1e-15);
        assert!((0.1 * got[1] + 0.9 * got[0] + 0.7).abs() < 1e-15);
    }

    #[test]
    fn an_estimated_rate_is_read_from_appeals() {
        // One of two rule-negatives was appealed against and was right: 1 / 0.1 = 10 missed, 2 found.
        let mut group = group(&[("answer", [1.0, 1.0, 0.0, 0.0])], &[]);
        group.trajectories[2].facts.insert("appeal", crate::facts::Fact::Flag(true));
        let term: ForwardCorrection =
            serde_json::from_value(serde_json::json!({"false_negative": {"estimated": {}}})).unwrap();
        let rho1 = 10.0 / 12.0;
        close(&values(&term, &group, &mut Memory::default()), &[rho1, rho1, rho1 - 1.0, rho1 - 1.0], 1e-5);
    }
}
