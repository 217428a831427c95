//! k3 under an importance weight.

use crate::registry::{Axis, Entry};

pub(in crate::objective) const ENTRY: Entry = Entry {
    axis: Axis::Divergence,
    name: "corrected",
    summary: "k3 times the ratio: unbiased also after the policy has moved",
    formula: "r (exp(-d) + d - 1), r = exp(logp - old_logp) of the action, before any gate, d = logp - ref_logp; derivative r d by logp (through r too): in expectation the gradient of the KL itself",
    reads: &["ref_logp", "old_logp"],
    source: "DeepSeek-V3.2, arXiv 2512.02556, unbiased KL estimate; TRL's use_bias_correction_kl; slime's unbiased KL",
    ..Entry::NONE
};

#[inline]
pub(super) fn of(d: f64, ratio: f64) -> (f64, f64) {
    (ratio * super::k3::of(d).0, ratio * d)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The expectation over samples of an older policy of value and gradient, by a logit.
    #[test]
    fn it_has_the_value_and_the_gradient_of_the_divergence_off_policy() {
        let policy = |x: f64| {
            let z = x.exp() + 2.0;
            [x.exp() / z, 1.0 / z, 1.0 / z]
        };
        let (old, reference) = ([0.2f64, 0.5, 0.3], [0.5f64, 0.25, 0.25]);
        let kl = |x: f64| policy(x).iter().zip(&reference).map(|(p, q)| p * (p / q).ln()).sum::<f64>();
        let (x, h) = (0.7, 1e-6);
        let p = policy(x);
        let (mut value, mut gradient) = (0.0, 0.0);
        for a in 0..3 {
            let (v, slope) = of((p[a] / reference[a]).ln(), p[a] / old[a]);
            let score = f64::from(u8::from(a == 0)) - p[0];
            value += old[a] * v;
            gradient += old[a] * slope * score;
        }
        assert!((value - kl(x)).abs() < 1e-15);
        assert!((gradient - (kl(x + h) - kl(x - h)) / (2.0 * h)).abs() < 1e-9);
    }
}
