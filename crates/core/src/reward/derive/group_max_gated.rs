//! A rubric that counts only for what is right, measured by the best of the group.

use super::prelude::*;

choice! {
    /// What of the mixture the term is.
    Part {
        /// `(1 - alpha) * of + alpha * of * score / max`.
        Mixture,
        /// `of * score / max`.
        Gated,
    }
}

parameters! {
    /// Outcome and rubric, the rubric gated by the outcome.
    GroupMaxGated {
        of: String = "answer", TERM, "the outcome, 0 or 1";
        score: String = "rubric", TERM, "the rubric's score, at least 0";
        alpha: f64 = 0.3, UNIT, "share of the rubric";
        part: Part = Part::Mixture => "\"mixture\"", words("`mixture` or `gated`"), "the mixture, or the gated score alone";
    }
}

pub(super) const ENTRY: Entry = Entry {
    axis: Axis::Derive,
    name: "group_max_gated",
    summary: "C-GRPO's mixture of outcome and normalised rubric",
    formula: "s_i = score_i / max_j score_j over the group's scored, 0 where the maximum is not above 0; mixture: (1 - alpha) \
              of_i + alpha of_i s_i; gated: of_i s_i. The normalised score, not the raw one that the released code takes",
    parameters: GroupMaxGated::PARAMETERS,
    source: "C-GRPO (CaRR): arXiv 2601.06021",
    ..Entry::NONE
};

impl Term for GroupMaxGated {
    fn of_group(&self, _: &str, group: &Group<'_>, _: &mut Memory) -> Result<Vec<Outcome>, MethodError> {
        let (of, score) = (group.outcomes(&self.of)?, group.outcomes(&self.score)?);
        let most = score.iter().filter_map(|o| o.value()).fold(f64::NEG_INFINITY, f64::max);
        let mix = |(of, score): (&&Outcome, &&Outcome)| match judged([*of, *score]) {
            Err(silent) => silent,
            Ok([of, score]) => {
                let share = if most > 0.0 { score / most } else { 0.0 };
                Outcome::scored(match self.part {
                    Part::Mixture => (1.0 - self.alpha) * of + self.alpha * of * share,
                    Part::Gated => of * share,
                })
            }
        };
        Ok(of.iter().zip(&score).map(mix).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worked_group() {
        let group1 = group(&[("answer", [1.0, 1.0, 0.0, 1.0]), ("rubric", [0.8, 0.4, 0.6, 0.0])], &[]);
        let term = GroupMaxGated::default();
        close(&values(&term, &group1, &mut Memory::default()), &[1.0, 0.85, 0.0, 0.70], 1e-12);
        let gated = GroupMaxGated { part: Part::Gated, ..term.clone() };
        close(&values(&gated, &group1, &mut Memory::default()), &[1.0, 0.5, 0.0, 0.0], 1e-12);
        let none = group(&[("answer", [1.0, 0.0]), ("rubric", [0.0; 2])], &[]);
        close(&values(&term, &none, &mut Memory::default()), &[0.7, 0.0], 1e-12);
    }
}
