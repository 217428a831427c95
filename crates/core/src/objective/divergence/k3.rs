//! The estimate that is unbiased and never negative.

use crate::registry::{Axis, Entry, Parameter};

pub(in crate::objective) const ENTRY: Entry = Entry {
    axis: Axis::Divergence,
    name: "k3",
    summary: "unbiased in value and never negative",
    formula: "exp(-d) + d - 1, d = logp - ref_logp; derivative 1 - exp(-d) by logp",
    reads: &["ref_logp"],
    source: "Schulman 2020, Approximating KL Divergence; GRPO: Shao et al. 2024, arXiv 2402.03300, eq. 4",
    ..Entry::NONE
};

pub(in crate::objective) const CLAMPED: Entry = Entry {
    axis: Axis::Divergence,
    name: "k3_clamped",
    summary: "k3 with bounds on the difference and on the estimate",
    formula: "min(exp(x) - x - 1, value), x = clip(ref_logp - logp, -difference, difference); the derivative is k3's, and 0 past either bound (k3's exactly at it)",
    parameters: &[
        Parameter {
            name: "difference",
            default: "20",
            range: "above 0",
            meaning: "the largest difference that counts, in nats",
        },
        Parameter { name: "value", default: "10", range: "above 0", meaning: "the largest estimate, in nats" },
    ],
    reads: &["ref_logp"],
    source: "verl's low_var_kl (20 and 10); ViSS-R1's repository (10, no bound on the estimate)",
    ..Entry::NONE
};

pub(super) fn difference() -> f64 {
    20.0
}

pub(super) fn value() -> f64 {
    10.0
}

#[inline]
pub(super) fn of(d: f64) -> (f64, f64) {
    let e = (-d).exp_m1();
    (e + d, -e)
}

#[inline]
pub(super) fn clamped(d: f64, difference: f64, largest: f64) -> (f64, f64) {
    let (value, slope) = of(d.clamp(-difference, difference));
    let open = d.abs() <= difference && value <= largest;
    (value.min(largest), if open { slope } else { 0.0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_expectation_it_is_the_divergence_and_never_negative() {
        let (p, q) = ([0.7f64, 0.2, 0.1], [0.5f64, 0.25, 0.25]);
        let exact: f64 = p.iter().zip(&q).map(|(p, q)| p * (p / q).ln()).sum();
        let k3: Vec<f64> = p.iter().zip(&q).map(|(p, q)| of((p / q).ln()).0).collect();
        let expected: f64 = p.iter().zip(&k3).map(|(p, k)| p * k).sum();
        assert!((expected - exact).abs() < 1e-15);
        assert!(k3.iter().all(|k| *k >= 0.0));
        assert_eq!(of(0.0), (0.0, 0.0));
    }

    #[test]
    fn past_a_bound_it_is_constant() {
        assert_eq!(clamped(-4.0, 20.0, 10.0), (10.0, 0.0));
        let (value, slope) = clamped(-30.0, 20.0, 1e300);
        assert_eq!((value, slope), (of(-20.0).0, 0.0));
        assert_eq!(clamped(-2.0, 2.0, 10.0), of(-2.0));
        assert_eq!(clamped(1.0, 20.0, 10.0), of(1.0));
    }
}
