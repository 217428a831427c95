//! The mean of the whole batch.

use crate::registry::{Axis, Entry};

pub(super) const ENTRY: Entry = Entry {
    axis: Axis::Baseline,
    name: "batch",
    summary: "the mean reward of the batch, whatever the scale compares",
    formula: "b = the mean over all N scored episodes of the batch. The scale stays that of the scope. With all groups' rewards equal the \
              advantage is exactly 0; a group of equal rewards keeps its distance from the batch. The expectation of A grad log pi is \
              (N-1)/N times the policy gradient.",
    source: "REINFORCE++: Hu 2025, arXiv 2501.03262 (batch statistics); ROLL `norm_mean_type = batch`",
    ..Entry::NONE
};

#[cfg(test)]
mod tests {
    use super::super::Baseline;
    use crate::{
        advantage::{Advantage, Scale, tests::group},
        memory::Memory,
    };

    #[test]
    fn one_mean_for_all_groups() {
        let advantage = Advantage { baseline: Baseline::Batch, scale: Scale::None, ..Advantage::default() };
        let batch = [group(&[1.0, 1.0]), group(&[0.0, 0.0])];
        let credits = advantage.credit(&batch, &mut Memory::default()).unwrap();
        assert_eq!(credits[0][0].coefficient, [0.5]);
        assert_eq!(credits[1][1].coefficient, [-0.5]);
    }
}
