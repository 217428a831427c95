//! Log-densities of soft tokens: mixtures of embeddings whose weights were drawn with noise.
//!
//! For policies whose action is not an id but `K` candidates with noisy weights (SofT-GRPO, 2025, arXiv 2511.06411). The
//! sampler keeps the candidates and what was drawn; the density of that draw under another policy takes the place of
//! `logp`, so that ratios, gates and divergences read it like any other. No choice of a recipe: soft tokens call it
//! ([`Mixture`](crate::Mixture)).

/// Added to a probability before its logarithm, alike in sampler and trainer.
pub const OFFSET: f64 = 1e-6;
/// Candidates with a log-probability above this count in the density.
pub const FLOOR: f64 = -3.0;
/// A draw that was held at a bound lies on it up to rounding, `(l + g) - l`, and is inside.
const ROUNDING: f64 = 1e-9;

/// `l_i = ln(p_i + 1e-6)`, with `p` the softmax of the candidates' logits (or log-probabilities): renormalised over the
/// candidates that were kept.
pub fn renormalised(logits: &[f64]) -> Vec<f64> {
    softmax(logits, 1.0).into_iter().map(|p| (p + OFFSET).ln()).collect()
}

/// Which candidates count. To be taken once, from the policy that sampled, and kept: taken anew it would change with the
/// policy, and the ratio would compare two means over different candidates.
pub fn counted(l: &[f64]) -> Vec<bool> {
    l.iter().map(|&l| l > FLOOR).collect()
}

/// `softmax(x / temperature)`, the weights of the mixture; `temperature` above 0.
pub fn softmax(x: &[f64], temperature: f64) -> Vec<f64> {
    let top = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let shares: Vec<f64> = x.iter().map(|x| ((x - top) / temperature).exp()).collect();
    let total: f64 = shares.iter().sum();
    shares.into_iter().map(|share| share / total).collect()
}

/// Slopes by the logits of [`renormalised`], given those by `l`: with `s_i = slope_i p_i / (p_i + 1e-6)`, `s_j - p_j sum_i s_i`.
pub fn by_logits(logits: &[f64], slopes: &[f64]) -> Vec<f64> {
    let p = softmax(logits, 1.0);
    let s: Vec<f64> = slopes.iter().zip(&p).map(|(slope, p)| slope * p / (p + OFFSET)).collect();
    let total: f64 = s.iter().sum();
    s.iter().zip(&p).map(|(s, p)| s - p * total).collect()
}

/// How the weights of a soft token were drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum SoftNoise {
    /// Drawn are `g'_i = l_i + g_i` with standard Gumbel noise held in `[low, high]`; the implied noise
    /// `u = g' - l` has density `-u - e^-u`.
    Gumbel { low: f64, high: f64 },
    /// Drawn are `y_i ~ Gamma(e^l_i, 1)`; the log-density is held in `[low, high]`.
    Dirichlet { low: f64, high: f64 },
    /// Drawn are `y_i ~ Normal(e^l_i, std)`; the deviation is held in `[-bound, bound]`.
    Gaussian { std: f64, bound: f64 },
}

impl SoftNoise {
    /// The published clamps.
    pub const GUMBEL: SoftNoise = SoftNoise::Gumbel { low: -1.5, high: 3.0 };
    pub const DIRICHLET: SoftNoise = SoftNoise::Dirichlet { low: -5.0, high: 3.0 };
    pub const GAUSSIAN: SoftNoise = SoftNoise::Gaussian { std: 0.05, bound: 0.15 };

    /// The mean log-density of what was drawn over the counted candidates, and its derivative by every `l_i`; a mean and
    /// not a sum, which tempers the ratio. 0 where none counts. Where a clamp holds, the derivative is 0.
    pub fn log_density(self, drawn: &[f64], l: &[f64], counted: &[bool]) -> (f64, Vec<f64>) {
        debug_assert!(drawn.len() == l.len() && l.len() == counted.len());
        let n = counted.iter().filter(|c| **c).count() as f64;
        let (mut total, mut slopes) = (0.0, vec![0.0; l.len()]);
        for i in (0..l.len()).filter(|&i| counted[i]) {
            let (value, slope) = self.of(drawn[i], l[i]);
            total += value / n;
            slopes[i] = slope / n;
        }
        (total, slopes)
    }

    fn of(self, drawn: f64, l: f64) -> (f64, f64) {
        match self {
            SoftNoise::Gumbel { low, high } => {
                let u = (drawn - l).clamp(low, high);
                let held = drawn - l < low - ROUNDING || drawn - l > high + ROUNDING;
                (-u - (-u).exp(), if held { 0.0 } else { -(-u).exp_m1() })
            }
            SoftNoise::Dirichlet { low, high } => {
                let alpha = l.exp();
                let value = (alpha - 1.0) * drawn.ln() - drawn - ln_gamma(alpha);
                let held = !(low..=high).contains(&value);
                (value.clamp(low, high), if held { 0.0 } else { alpha * (drawn.ln() - digamma(alpha)) })
            }
            SoftNoise::Gaussian { std, bound } => {
                let mean = l.exp();
                let deviation = (drawn - mean).clamp(-bound, bound) / std;
                let held = (drawn - mean).abs() > bound;
                let value = -0.5 * deviation * deviation - std.ln() - 0.5 * (2.0 * std::f64::consts::PI).ln();
                (value, if held { 0.0 } else { mean * deviation / std })
            }
        }
    }
}

/// From here on the asymptotic series are exact to rounding.
const FAR: f64 = 12.0;

/// `ln Gamma(x)` for `x > 0`: the recurrence up to [`FAR`], then Stirling's series.
fn ln_gamma(x: f64) -> f64 {
    let (mut x, mut product) = (x, 1.0);
    while x < FAR {
        product *= x;
        x += 1.0;
    }
    let z = 1.0 / (x * x);
    let series = (1.0 / 12.0 - z * (1.0 / 360.0 - z * (1.0 / 1260.0 - z * (1.0 / 1680.0 - z / 1188.0)))) / x;
    (x - 0.5) * x.ln() - x + 0.5 * (2.0 * std::f64::consts::PI).ln() + series - f64::ln(product)
}

/// The derivative of [`ln_gamma`].
fn digamma(x: f64) -> f64 {
    let (mut x, mut sum) = (x, 0.0);
    while x < FAR {
        sum += 1.0 / x;
        x += 1.0;
    }
    let z = 1.0 / (x * x);
    let series = z * (1.0 / 12.0 - z * (1.0 / 120.0 - z * (1.0 / 252.0 - z * (1.0 / 240.0 - z / 132.0))));
    x.ln() - 0.5 / x - series - sum
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uniform(state: &mut u64) -> f64 {
        *state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        ((*state >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    }

    const ALL: [SoftNoise; 3] = [SoftNoise::GUMBEL, SoftNoise::DIRICHLET, SoftNoise::GAUSSIAN];

    #[test]
    fn the_ratio_is_exactly_one_at_the_old_policy() {
        let l = renormalised(&[0.3, -1.0, 2.0, -9.0]);
        let drawn = [0.2, 9.0, 0.1, 0.5];
        for noise in ALL {
            let old = noise.log_density(&drawn, &l, &counted(&l)).0;
            let new = noise.log_density(&drawn, &renormalised(&[0.3, -1.0, 2.0, -9.0]), &counted(&l)).0;
            assert_eq!((new - old).exp(), 1.0);
        }
    }

    #[test]
    fn the_gumbel_slope_is_one_minus_the_exponential() {
        let (value, slopes) = SoftNoise::GUMBEL.log_density(&[0.5, -0.25], &[-0.7, -0.6], &[true, true]);
        let u = [1.2f64, 0.35];
        assert!((value - u.iter().map(|u| -u - (-u).exp()).sum::<f64>() / 2.0).abs() < 1e-15);
        for (slope, u) in slopes.iter().zip(u) {
            assert!((slope - (1.0 - (-u).exp()) / 2.0).abs() < 1e-15, "more noise than usual pushes a good one up");
        }
        // Trap: beyond the clamps there is no slope.
        assert_eq!(SoftNoise::GUMBEL.log_density(&[9.0, -9.0], &[-0.7, -0.6], &[true, true]).1, [0.0, 0.0]);
    }

    #[test]
    fn slopes_are_central_differences() {
        let (l, h) = ([-0.4, -1.1, -2.0], 1e-6);
        for noise in ALL {
            let drawn = if let SoftNoise::Gumbel { .. } = noise { [0.4, -1.5, -0.2] } else { [0.6, 0.3, 0.1] };
            let at = |l: &[f64]| noise.log_density(&drawn, l, &[true, true, false]).0;
            let (_, slopes) = noise.log_density(&drawn, &l, &[true, true, false]);
            for i in 0..3 {
                let (mut up, mut down) = (l, l);
                up[i] += h;
                down[i] -= h;
                assert!((slopes[i] - (at(&up) - at(&down)) / (2.0 * h)).abs() < 1e-8, "{noise:?} {i}");
            }
            assert_eq!(slopes[2], 0.0);
        }
    }

    #[test]
    fn a_cold_mixture_is_a_categorical_draw() {
        let logits = [0.0, 1.0, -0.5, 0.7];
        let (l, p) = (renormalised(&logits), softmax(&logits, 1.0));
        let (mut state, mut counts, draws) = (7, [0.0; 4], 200_000);
        for _ in 0..draws {
            let noisy: Vec<f64> = l.iter().map(|l| l - (-uniform(&mut state).ln()).ln()).collect();
            let weights = softmax(&noisy, 1e-9);
            for (count, weight) in counts.iter_mut().zip(weights) {
                *count += weight;
            }
        }
        for (count, p) in counts.iter().zip(p) {
            // Five standard deviations.
            assert!((count / f64::from(draws) - p).abs() < 5.0 * (p * (1.0 - p) / f64::from(draws)).sqrt());
        }
    }

    #[test]
    fn gamma_functions_at_known_points() {
        assert!((ln_gamma(0.5) - 0.5 * std::f64::consts::PI.ln()).abs() < 1e-13);
        assert!((ln_gamma(5.0) - 24.0f64.ln()).abs() < 1e-13);
        let euler = 0.577_215_664_901_532_9;
        assert!((digamma(1.0) + euler).abs() < 1e-13);
        assert!((digamma(0.5) + euler + 2.0 * 2.0f64.ln()).abs() < 1e-13);
    }

    #[test]
    fn no_candidate_no_density() {
        assert_eq!(SoftNoise::GUMBEL.log_density(&[1.0], &[-4.0], &counted(&[-4.0])), (0.0, vec![0.0]));
    }
}
