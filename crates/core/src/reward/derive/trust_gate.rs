//! A judge is trusted where it agrees with the outcome.

use super::prelude::*;

parameters! {
    /// `tau * of`, tau below 1 where the judge likes the wrong ones better.
    TrustGate {
        of: String = "judge", TERM, "the judge's score, in [0, 1]";
        split: String = "answer", TERM, "right or wrong";
        right: f64 = 0.5, ANY, "least score of a right one";
    }
}

pub(super) const ENTRY: Entry = Entry {
    axis: Axis::Derive,
    name: "trust_gate",
    summary: "a judge's score times how far it can be trusted in this group",
    formula: "tau * of; D = mean of over the right - mean of over the wrong, in this group; tau = 1 for D >= 0 or an empty side, \
              else exp(D)",
    parameters: TrustGate::PARAMETERS,
    source: "GRPO-PTR (EmotionThinker): arXiv 2601.15668",
    unverified: "tau = 1 for an empty side; the scale of the judge, which decides how fast exp(D) falls",
    ..Entry::NONE
};

impl Term for TrustGate {
    fn of_group(&self, _: &str, group: &Group<'_>, _: &mut Memory) -> Result<Vec<Outcome>, MethodError> {
        let (of, split) = (group.outcomes(&self.of)?, group.outcomes(&self.split)?);
        let both: Vec<_> = of.iter().zip(&split).map(|(of, split)| judged([*of, *split])).collect();
        let (mut right, mut wrong) = (Vec::new(), Vec::new());
        for [of, split] in both.iter().flatten() {
            if *split >= self.right { right.push(*of) } else { wrong.push(*of) }
        }
        let trust =
            if right.is_empty() || wrong.is_empty() { 1.0 } else { (mean(&right) - mean(&wrong)).min(0.0).exp() };
        Ok(both.into_iter().map(|b| b.map_or_else(|silent| silent, |[of, _]| Outcome::scored(trust * of))).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worked_group() {
        let judge = [0.4, 0.5, 0.9, 0.7];
        let group1 = group(&[("answer", [1.0, 1.0, 0.0, 0.0]), ("judge", judge)], &[]);
        let got = values(&TrustGate::default(), &group1, &mut Memory::default());
        close(&got, &judge.map(|r| r * (-0.35f64).exp()), 1e-12);
        let answer = [1.0, 1.0, 0.0, 0.0];
        let rewards: Vec<f64> = (0..4).map(|i| 0.3 + answer[i] + 0.5 * got[i]).collect();
        close(&rewards, &[1.4409, 1.4762, 0.6171, 0.5466], 5e-5);
        let one_side = group(&[("answer", [0.0; 4]), ("judge", judge)], &[]);
        close(&values(&TrustGate::default(), &one_side, &mut Memory::default()), &judge, 0.0);
    }
}
