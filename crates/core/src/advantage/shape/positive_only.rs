//! Rejection fine-tuning's half.

use super::Rows;
use crate::registry::{Axis, Entry};

pub(super) const ENTRY: Entry = Entry {
    axis: Axis::Shape,
    name: "positive_only",
    summary: "negative advantages become 0: nothing is pushed down",
    formula: "A_t <- max(A_t, 0). Biased: the negative half of the gradient is gone; the members stay in the denominators.",
    source: "RFT, as NFT compares with it: arXiv 2505.18116 (neg_weight 0); RAFT: arXiv 2304.06767",
    ..Entry::NONE
};

pub(super) fn apply(rows: &mut Rows) {
    rows.iter_mut().flatten().flatten().for_each(|value| *value = value.max(0.0));
}

#[cfg(test)]
mod tests {
    use super::super::Shape;
    use crate::advantage::{Advantage, Scale, tests::advantages};

    #[test]
    fn failures_are_left_alone() {
        let advantage = Advantage { scale: Scale::None, shape: vec![Shape::PositiveOnly], ..Advantage::default() };
        assert_eq!(advantages(&advantage, &[1.0, 0.0]), [0.5, 0.0]);
    }
}
