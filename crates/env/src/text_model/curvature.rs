//! How far a text is above what a language model expects of its own texts.

use serde::{Deserialize, Serialize};

use super::{Language, finite_from, language::SYMBOLS, within};

/// The analytic discrepancy of Fast-DetectGPT (Bao et al. 2024, arXiv 2310.05130, section 2.3) under a language model of counted characters that
/// learns from the positives:
///
/// ```text
/// D = (sum_t ln p_t(x_t) - sum_t mu_t) / sqrt(sum_t var_t),  mu_t = E_p ln p_t,  var_t = E_p (ln p_t)^2 - mu_t^2
/// ```
///
/// 0 where no position has a choice.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Curvature {
    /// Characters of the longest counted run.
    pub order: usize,
    /// Rows of counts an order.
    pub buckets: usize,
    /// How much an order trusts the one below, in counts; above 0.
    pub smoothing: f64,
}

impl Default for Curvature {
    fn default() -> Self {
        Self { order: 4, buckets: 1024, smoothing: 1.0 }
    }
}

impl Curvature {
    pub(super) fn check(&self) -> Result<(), (String, String)> {
        within("curvature.order", self.order, 1, 8)?;
        within("curvature.buckets", self.buckets, 1, 1 << 16)?;
        finite_from("curvature.smoothing", self.smoothing, 1e-6)
    }

    pub(super) fn language(&self) -> Language {
        Language { order: self.order, buckets: self.buckets, smoothing: self.smoothing }
    }

    pub(super) fn score(&self, counts: &[f32], text: &str) -> f64 {
        let language = self.language();
        let (mut above, mut variance) = (0.0, 0.0);
        language.walk(text, |before, symbol| {
            let (gap, of_position) = moments(&language.distribution(counts, before), usize::from(symbol));
            (above, variance) = (above + gap, variance + of_position);
        });
        if variance > 0.0 { above / variance.sqrt() } else { 0.0 }
    }
}

/// `ln p(x) - mu` and the variance of `ln p` at one position.
fn moments(p: &[f64; SYMBOLS], symbol: usize) -> (f64, f64) {
    let mean: f64 = p.iter().map(|p| p * p.ln()).sum();
    let square: f64 = p.iter().map(|p| p * p.ln() * p.ln()).sum();
    (p[symbol].ln() - mean, (square - mean * mean).max(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two positions with (.7, .2, .1), the most probable symbol twice: mu = -.8018, D = .8953 (StealthRL's own check).
    #[test]
    fn the_discrepancy_is_that_of_the_formula() {
        let mut p = [1e-300; SYMBOLS];
        (p[0], p[1], p[2]) = (0.7, 0.2, 0.1);
        let (gap, variance) = moments(&p, 0);
        assert!((0.7_f64.ln() - gap + 0.8018).abs() < 1e-4, "{gap}");
        let discrepancy = 2.0 * gap / (2.0 * variance).sqrt();
        assert!((discrepancy - 0.8953).abs() < 1e-4, "{discrepancy}");
    }

    #[test]
    fn what_was_counted_is_above_what_was_not() {
        let model = Curvature { order: 3, buckets: 256, smoothing: 1.0 };
        let mut counts = vec![0.0; model.language().size()];
        for text in ["sam got six cups", "tom got two cups", "sam got two pens"] {
            (0..20).for_each(|_| model.language().count(&mut counts, text));
        }
        assert!(model.score(&counts, "tom got six pens") > model.score(&counts, "tom bought six pens"));
        assert!(model.score(&counts, "").is_finite());
    }
}
