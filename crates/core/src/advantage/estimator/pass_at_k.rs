//! The analytic advantage of pass@k.

use crate::{
    advantage::{
        field::divided,
        table::{Table, Values},
    },
    method_error::MethodError,
    registry::{Axis, Entry, Parameter},
};

pub(super) const ENTRY: Entry = Entry {
    axis: Axis::Estimator,
    name: "pass_at_k",
    summary: "the advantage of an episode averaged over all groups of k that it could be in, where a group succeeds if one member does",
    formula: "n episodes, f of them with reward 0 and the rest with 1. R = 1 - C(f,k)/C(n,k), s = sqrt(R (1 - R)). \
              A of a success = (1 - R)/s, A of a failure = (1 - R - C(f-1,k-1)/C(n-1,k-1))/s. Where s = 0 (none or enough succeed): 0. \
              With `scale = none` s is 1; the parameters of `std` are not read, nor is the baseline. k = 1 without a scale is r - mean. \
              Without a scale the expectation of (1/n) sum A grad log pi is (1/k)(1 - k/n) grad pass@k; s is a bias.",
    parameters: &[Parameter {
        name: "k",
        default: "4",
        range: "1 or more",
        meaning: "size of the group that succeeds together",
    }],
    reads: &["reward"],
    source: "Pass@k training: arXiv 2508.10751, analytical derivation",
    ..Entry::NONE
};

pub(super) fn four() -> usize {
    4
}

/// # Errors
/// A reward that is neither 0 nor 1.
pub(super) fn check(table: &Table<'_>, values: &Values) -> Result<(), MethodError> {
    for (g, values) in values.iter().enumerate() {
        if let Some((e, got)) =
            values.iter().enumerate().find_map(|(e, v)| v.filter(|v| *v != 0.0 && *v != 1.0).map(|v| (e, v)))
        {
            return Err(MethodError::unfit(table.place(g, e), "reward", "0 or 1 for pass_at_k", got));
        }
    }
    Ok(())
}

/// `C(a, k) / C(b, k)` for `a <= b`: the product of `(a - i) / (b - i)`; 1 where k is 0.
fn share(a: usize, b: usize, k: usize) -> f64 {
    if k > a { 0.0 } else { (0..k).map(|i| (a - i) as f64 / (b - i) as f64).product() }
}

/// One advantage a reward; zeros where there are fewer than k.
pub(super) fn advantages(rewards: &[f64], k: usize, divide: bool) -> Vec<f64> {
    let n = rewards.len();
    let failures = rewards.iter().filter(|r| **r == 0.0).count();
    // Fewer than k are never all missed.
    let missed = share(failures, n, k);
    let scale = (missed * (1.0 - missed)).sqrt();
    if scale == 0.0 {
        return vec![0.0; n];
    }
    let scale = if divide { scale } else { 1.0 };
    let failed = missed - if failures == 0 { 0.0 } else { share(failures - 1, n - 1, k - 1) };
    rewards.iter().map(|r| divided(if *r == 0.0 { failed } else { missed }, scale)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_enumeration_of_all_groups() {
        // Of 5 episodes with one success and k = 2: 4 of 10 pairs succeed.
        let rewards = [1.0, 0.0, 0.0, 0.0, 0.0];
        let (pass, got) = (0.4, advantages(&rewards, 2, false));
        let mut sums = [0.0; 5];
        for i in 0..5 {
            for j in (0..5).filter(|j| *j != i) {
                sums[i] += (f64::max(rewards[i], rewards[j]) - pass) / 4.0;
            }
        }
        for (g, w) in got.iter().zip(sums) {
            assert!((g - w).abs() < 1e-15, "{g} {w}");
        }
        let scaled = advantages(&rewards, 2, true);
        assert!((scaled[0] - 0.6 / 0.24f64.sqrt()).abs() < 1e-14);
    }

    #[test]
    fn pass_at_1_is_centred() {
        for (a, r) in advantages(&[1.0, 0.0, 0.0, 1.0, 1.0], 1, false).iter().zip([1.0, 0.0, 0.0, 1.0, 1.0]) {
            assert!((a - (r - 0.6)).abs() < 1e-15);
        }
    }

    #[test]
    fn enough_successes_are_worth_nothing() {
        assert_eq!(advantages(&[1.0, 1.0, 0.0, 0.0], 3, true), [0.0; 4], "every group of 3 succeeds");
        assert_eq!(advantages(&[0.0; 4], 2, true), [0.0; 4]);
        assert_eq!(advantages(&[1.0; 4], 2, true), [0.0; 4]);
    }
}
