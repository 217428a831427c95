//! A bonus where the reasoning makes the answer likely.

use super::prelude::*;

parameters! {
    /// `coefficient * of` for the right ones whose answer a reference finds likely enough after their reasoning.
    Consistency {
        of: String = "answer", TERM, "accuracy";
        above: f64 = 0.1, ANY, "a right one scores more than this";
        guard: Option<String> = None::<String> => "absent", FACT, "a term that says whether the answer's span exists (at least 1/2); none where no name is given";
        confidence: String = "confidence", FACT, "exp(mean log-probability of the answer's tokens under the reference), in [0, 1]";
        coefficient: f64 = 0.5, NOT_NEGATIVE, "share of the accuracy that is added";
        cap: f64 = 0.95, ABOVE_ZERO_TO_ONE, "confidences are cut off here";
        margin: f64 = 0.0, NOT_NEGATIVE, "how far below the bar still passes";
    }
}

pub(super) const ENTRY: Entry = Entry {
    axis: Axis::Derive,
    name: "consistency",
    summary: "CARE's bonus: right, and likely after its own reasoning",
    formula: "H = {i: of_i > above, of_i >= mean of, and, where named, guard_i >= 1/2}; c_i = min(confidence_i, cap); m = mean of c over H; \
              coefficient * of_i where i in H and c_i >= m - margin, else 0. The cap acts before the mean; with H empty all \
              get 0; an empty span has confidence 1, and only a guard keeps it out. Only the confidences of H are read",
    parameters: Consistency::PARAMETERS,
    reads: &["facts.<confidence>"],
    source: "GRPO-CARE: arXiv 2506.16141 and its code",
    unverified: "the guard is ours",
    ..Entry::NONE
};

impl Term for Consistency {
    fn of_group(&self, _: &str, group: &Group<'_>, _: &mut Memory) -> Result<Vec<Outcome>, MethodError> {
        let accuracy = group.outcomes(&self.of)?;
        // Without a guard the accuracy stands for it: whoever passes its own test is let in.
        let guard = group.outcomes(self.guard.as_ref().unwrap_or(&self.of))?;
        let scored: Vec<f64> = accuracy.iter().filter_map(|o| o.value()).collect();
        let bar = mean(&scored);
        // The capped confidence of every member of H.
        let mut confident = vec![None; group.len()];
        for (e, confidence) in confident.iter_mut().enumerate() {
            let Ok([of, guard]) = judged([accuracy[e], guard[e]]) else { continue };
            if of > self.above && reaches(of, bar) && (self.guard.is_none() || guard >= 0.5) {
                *confidence = Some(group.number(e, &self.confidence)?.min(self.cap));
            }
        }
        let of_h: Vec<f64> = confident.iter().flatten().copied().collect();
        let least = mean(&of_h) - self.margin;
        Ok((0..group.len())
            .map(|e| match judged([accuracy[e], guard[e]]) {
                Ok([of, _]) if confident[e].is_some_and(|c| reaches(c, least)) => Outcome::scored(self.coefficient * of),
                Ok(_) => Outcome::scored(0.0),
                Err(silent) => silent,
            })
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cap_acts_before_the_mean() {
        // Capped: mean of .95 and .94 is .945, and .94 fails; uncapped it would be .97. With .95 twice both pass.
        let make = |second| {
            group(
                &[("answer", [1.0, 1.0, 0.0]), ("format", [1.0; 3])],
                &[("confidence", [1.0, second, 0.99])],
            )
        };
        let term = Consistency::default();
        close(&values(&term, &make(0.94), &mut Memory::default()), &[0.5, 0.0, 0.0], 0.0);
        close(&values(&term, &make(0.96), &mut Memory::default()), &[0.5, 0.5, 0.0], 0.0);
        let wide = Consistency { margin: 0.01, ..term };
        close(&values(&wide, &make(0.94), &mut Memory::default()), &[0.5, 0.5, 0.0], 0.0);
    }

    #[test]
    fn nothing_right_is_no_bonus_and_no_nan() {
        let group = group(&[("answer", [0.0, 0.1]), ("format", [1.0; 2])], &[]);
        close(&values(&Consistency::default(), &group, &mut Memory::default()), &[0.0, 0.0], 0.0);
    }

    #[test]
    fn an_empty_span_is_not_confident() {
        let group = group(&[("answer", [1.0, 1.0]), ("format", [0.0, 1.0])], &[("confidence", [1.0, 0.3])]);
        let guarded = Consistency { guard: Some("format".to_owned()), ..Consistency::default() };
        close(&values(&guarded, &group, &mut Memory::default()), &[0.0, 0.5], 0.0);
        // Unguarded, the empty span is the surest of all.
        close(&values(&Consistency::default(), &group, &mut Memory::default()), &[0.5, 0.0], 0.0);
    }
}
