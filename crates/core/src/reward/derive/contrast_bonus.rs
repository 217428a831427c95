//! A bonus where the order of the input mattered.

use super::prelude::*;

parameters! {
    /// `bonus` for the right ones of a group that is not worse than on a degraded input.
    ContrastBonus {
        of: String = "answer", TERM, "accuracy";
        above: f64 = 0.1, ANY, "a right one scores more than this";
        degraded: String = "degraded_accuracy", FACT, "of the group: mean accuracy on the degraded input";
        bonus: f64 = 0.3, ANY, "alpha";
        ratio: f64 = 0.8, NOT_NEGATIVE, "mu: share of the degraded accuracy that is asked";
        saliency: Option<String> = None::<String> => "absent", FACT, "a fact of the episode, or of the group, that multiplies the bonus; 1 where no name is given";
    }
}

pub(super) const ENTRY: Entry = Entry {
    axis: Axis::Derive,
    name: "contrast_bonus",
    summary: "a bonus for right answers that need the order of the frames",
    formula: "alpha * s where of > above and p >= mu * p~, else 0; p = mean of `of` over the group, p~ = the same on a \
              degraded input, s = the fact `saliency` or 1. With a two-valued `of` an equal bonus leaves a z-score as it \
              was: it acts without division by the group's std, or beside other terms",
    parameters: ContrastBonus::PARAMETERS,
    reads: &["group facts.<degraded>", "facts.<saliency>, where named"],
    source: "T-GRPO of Video-R1, as taken for AvatarShield (arXiv 2505.15173) and ChronoForge-RL",
    unverified: "form and constants for AvatarShield and ChronoForge-RL",
    ..Entry::NONE
};

impl Term for ContrastBonus {
    fn of_group(&self, _: &str, group: &Group<'_>, _: &mut Memory) -> Result<Vec<Outcome>, MethodError> {
        let accuracy: Vec<f64> = group.scores(&self.of)?.into_iter().flatten().collect();
        if accuracy.is_empty() {
            return group.map(&self.of, |_, _| Ok(0.0));
        }
        let needed = reaches(mean(&accuracy), self.ratio * group.shared_number(&self.degraded)?);
        group.map(&self.of, |e, of| {
            if of > self.above && needed {
                let saliency = self.saliency.as_ref().map_or(Ok(1.0), |fact| group.number_or_shared(e, fact))?;
                Ok(self.bonus * saliency)
            } else {
                Ok(0.0)
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Fact;

    #[test]
    fn only_the_right_ones_and_only_where_order_helps() {
        let mut group = group(&[("answer", [1.0, 0.0, 1.0, 0.0])], &[]);
        for (degraded, bonus) in [(0.625, 0.3), (0.63, 0.0)] {
            group.facts.insert("degraded_accuracy", Fact::Number(degraded));
            close(&values(&ContrastBonus::default(), &group, &mut Memory::default()), &[bonus, 0.0, bonus, 0.0], 0.0);
        }
    }
}
