//! Early and right pays best.

use super::prelude::*;

parameters! {
    /// `base ^ (right ones up to here - 1)` for a right one, 0 for a wrong one.
    PositionDecay {
        of: String = "answer", TERM, "right or wrong";
        right: f64 = 0.5, ANY, "least score of a right one";
        position: String = "position", FACT, "where the chain of thought was left; the whole chain comes last";
        base: f64 = 0.5, ABOVE_ZERO_TO_ONE, "factor of every further right one";
    }
}

pub(super) const ENTRY: Entry = Entry {
    axis: Axis::Derive,
    name: "position_decay",
    summary: "S-GRPO: every later right exit pays half of the one before",
    formula: "base^(N_i - 1) for right, N_i = right ones at positions up to and including i; 0 for wrong. Equal positions \
              stand in the order of the group",
    parameters: PositionDecay::PARAMETERS,
    reads: &["facts.<position>"],
    source: "S-GRPO: arXiv 2505.07686",
    unverified: "the order of equal positions; the source draws none twice",
    ..Entry::NONE
};

impl Term for PositionDecay {
    fn of_group(&self, _: &str, group: &Group<'_>, _: &mut Memory) -> Result<Vec<Outcome>, MethodError> {
        let mut right = Vec::new();
        for (e, score) in group.scores(&self.of)?.into_iter().enumerate() {
            if score.is_some_and(|of| of >= self.right) {
                right.push((group.number(e, &self.position)?, e));
            }
        }
        right.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut rewards = vec![0.0; group.len()];
        let mut reward = 1.0;
        for (_, e) in right {
            rewards[e] = reward;
            reward *= self.base;
        }
        group.map(&self.of, |e, _| Ok(rewards[e]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rewards_halve_in_the_order_of_positions() {
        let group1 = group(
            &[("answer", [1.0, 0.0, 1.0, 1.0])],
            &[("position", [9.0, 1.0, 2.0, 5.0])],
        );
        close(&values(&PositionDecay::default(), &group1, &mut Memory::default()), &[0.25, 0.0, 1.0, 0.5], 0.0);
        let tied = group(&[("answer", [1.0; 3])], &[("position", [4.0, 4.0, 1.0])]);
        close(&values(&PositionDecay::default(), &tied, &mut Memory::default()), &[0.5, 0.25, 1.0], 0.0);
        let nothing = group(&[("answer", [0.0; 2])], &[]);
        close(&values(&PositionDecay::default(), &nothing, &mut Memory::default()), &[0.0; 2], 0.0);
    }
}
