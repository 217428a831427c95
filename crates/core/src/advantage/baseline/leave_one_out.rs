//! RLOO's baseline.

use super::statistic::mean;
use crate::registry::{Axis, Entry};

pub(super) const ENTRY: Entry = Entry {
    axis: Axis::Baseline,
    name: "leave_one_out",
    summary: "the mean of the other rewards",
    formula: "b_i = (1/(n-1)) sum_{j != i} r_j, so r_i - b_i = n/(n-1) (r_i - mean). Equal rewards give exactly 0. Unbiased: \
              b_i does not depend on episode i.",
    source: "RLOO: Ahmadian et al. 2024, arXiv 2402.14740, section 3.1; Kool et al. 2019",
    ..Entry::NONE
};

/// One baseline an entry; for a lone entry its own value.
pub(super) fn baselines(values: &[f64]) -> Vec<f64> {
    let centre = mean(values);
    let others = values.len().saturating_sub(1).max(1) as f64;
    values.iter().map(|value| centre - (value - centre) / others).collect()
}

#[cfg(test)]
mod tests {
    use super::super::Baseline;
    use super::baselines;
    use crate::advantage::{Advantage, Scale, tests::advantages};

    #[test]
    fn it_is_the_mean_of_the_others() {
        assert_eq!(baselines(&[1.0, 2.0, 6.0]), [4.0, 3.5, 1.5]);
        assert_eq!(baselines(&[0.1; 7]), [0.1; 7], "exact where all are equal");
        assert_eq!(baselines(&[3.0]), [3.0]);
    }

    #[test]
    fn rloo_is_n_over_n_minus_1_times_centred() {
        let rloo = Advantage { baseline: Baseline::LeaveOneOut, scale: Scale::None, ..Advantage::default() };
        let centred = Advantage { scale: Scale::None, ..Advantage::default() };
        let rewards = [0.2, 0.9, -1.0, 0.4, 7.0];
        for (a, c) in advantages(&rloo, &rewards).iter().zip(advantages(&centred, &rewards)) {
            assert!((a - 5.0 / 4.0 * c).abs() < 1e-14);
        }
    }
}
