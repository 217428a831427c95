//! OPO's baseline.

use super::statistic::mean;
use crate::registry::{Axis, Entry};

pub(super) const ENTRY: Entry = Entry {
    axis: Axis::Baseline,
    name: "length_weighted",
    summary: "the mean reward weighted by length: the optimal baseline where the squared gradient norm grows with length",
    formula: "b = sum_i l_i r_i / sum_i l_i, l_i = trained actions (mask above 0) of episode i; the plain mean where all l_i are 0. \
              With equal lengths it is `mean`, and then the expectation of A grad log pi is (n-1)/n times the policy gradient. \
              Equal rewards give exactly 0.",
    reads: &["mask"],
    source: "OPO: arXiv 2505.23585, section 3; verl `opo`",
    ..Entry::NONE
};

/// The weighted mean, exact where all values are equal.
pub(super) fn baseline(values: &[f64], lengths: &[f64]) -> f64 {
    let total: f64 = lengths.iter().sum();
    match values {
        [first, ..] if total > 0.0 => {
            first + values.iter().zip(lengths).map(|(v, l)| l * (v - first)).sum::<f64>() / total
        }
        _ => mean(values),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opo_by_hand_and_with_equal_lengths() {
        // (1 * 1 + 4 * 0.5) / 12.
        assert!((baseline(&[1.0, 0.0, 0.5, 0.0], &[1.0, 5.0, 4.0, 2.0]) - 0.25).abs() < 1e-15);
        assert_eq!(baseline(&[1.0, 0.0, 0.5], &[3.0; 3]), mean(&[1.0, 0.0, 0.5]));
        assert_eq!(baseline(&[1.0, 0.0], &[0.0; 2]), 0.5, "nothing trained");
        assert_eq!(baseline(&[0.1, 0.1, 0.1], &[1.0, 2.0, 7.0]), 0.1);
    }
}
