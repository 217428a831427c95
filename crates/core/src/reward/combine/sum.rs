//! The sum: the registry's line; the function is [`weighted_sum`](crate::reward::weighted_sum).

use super::prelude::*;

pub(super) const ENTRY: Entry = Entry {
    axis: Axis::Combine,
    name: "weighted_sum",
    summary: "the weighted sum of the terms",
    formula: "sum_k w_k r_k over the terms that scored; an abstaining term leaves the sum; no reward where a term failed or none \
              scored. A term of weight 0 is not read",
    source: "TRL (reward_weights), verl; ours in how failures are taken",
    ..Entry::NONE
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reward::Combine;

    #[test]
    fn what_has_no_weight_cannot_spoil_a_reward() {
        let mut group = group(&[("a", [2.0]), ("b", [1.0])], &[]);
        group.trajectories[0].rewards.insert("b".to_owned(), Outcome::Timeout);
        close(&rewards(&Combine::WeightedSum, &[("a", 0.5), ("b", 0.0)], &group), &[1.0], 0.0);
        assert!(rewards(&Combine::WeightedSum, &[("a", 0.5), ("b", 1.0)], &group)[0].is_nan());
    }
}
