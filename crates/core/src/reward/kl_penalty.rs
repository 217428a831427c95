//! Divergence from the reference as a part of the reward.

/// `coefficient * sum over actions of (logp - ref_logp)`: the k1 estimate of the sequence's KL from the
/// reference, to be taken off the episode's reward (Ouyang et al. 2022, arXiv 2203.02155, eq. 2).
/// `logp` is the sampler's row; unbiased in expectation over samples, and negative for some.
pub fn kl_penalty(logp: &[f64], ref_logp: &[f64], coefficient: f64) -> f64 {
    debug_assert_eq!(logp.len(), ref_logp.len());
    coefficient * logp.iter().zip(ref_logp).map(|(p, q)| p - q).sum::<f64>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_expectation_it_is_the_divergence() {
        let (p, q) = ([0.7f64, 0.2, 0.1], [0.5f64, 0.25, 0.25]);
        let exact: f64 = p.iter().zip(&q).map(|(p, q)| p * (p / q).ln()).sum();
        let expected: f64 = (0..3).map(|a| p[a] * kl_penalty(&[p[a].ln()], &[q[a].ln()], 0.1)).sum();
        assert!((expected - 0.1 * exact).abs() < 1e-15);
    }
}
