//! BR-RM's scale.

use super::statistic::deviation;
use crate::registry::{Axis, Entry};

pub(super) const ENTRY: Entry = Entry {
    axis: Axis::Scale,
    name: "leave_one_out_std",
    summary: "the standard deviation of the other rewards",
    formula: "s_i = sqrt(mean_{j != i} r_j^2 - b_i^2), b_i = mean_{j != i} r_j (the population's, of the others); divided only where s_i > 0. \
              Trap: a lone deviant among equal others keeps its raw difference (-10, or -90), while the others are normalised. \
              s_i does not depend on episode i: with `leave_one_out` the expectation keeps its direction, and a prompt counts by E 1/s_i.",
    source: "NeMo-RL; BR-RM: arXiv 2510.23596, and its repository",
    ..Entry::NONE
};

/// One deviation an entry; 0 where the others are equal.
pub(super) fn deviations(values: &[f64]) -> Vec<f64> {
    let others = |i: usize| -> Vec<f64> { [&values[..i], &values[i + 1..]].concat() };
    (0..values.len()).map(|i| deviation(&others(i), 0)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::Scale;
    use crate::advantage::{Advantage, Baseline, tests::advantages};

    #[test]
    fn a_lone_deviant_keeps_its_raw_difference() {
        let advantage =
            Advantage { baseline: Baseline::LeaveOneOut, scale: Scale::LeaveOneOutStd, ..Advantage::default() };
        let got = advantages(&advantage, &[0.0, 0.0, -10.0, 0.0]);
        assert_eq!(got[2], -10.0);
        assert!((got[0] - 0.5f64.sqrt()).abs() < 1e-15);
        assert_eq!(advantages(&advantage, &[-10.0; 3]), [0.0; 3]);
    }
}
