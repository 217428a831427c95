//! Confidence intervals for accuracies, at 95 %.

/// The 97.5 % quantile of the standard normal.
const Z: f64 = 1.959_963_984_540_054;

/// Wilson's score interval for `successes` of `n` independent trials (Wilson 1927). `None` for `n = 0`.
pub fn wilson(successes: usize, n: usize) -> Option<[f64; 2]> {
    (n > 0 && successes <= n).then(|| {
        let (n, p) = (n as f64, successes as f64 / n as f64);
        let centre = (p + Z * Z / (2.0 * n)) / (1.0 + Z * Z / n);
        let half = Z / (1.0 + Z * Z / n) * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
        [(centre - half).max(0.0), (centre + half).min(1.0)]
    })
}

/// Normal interval for the mean of per-prompt values in `range`, the prompt being the independent
/// unit: `mean ± z s / sqrt(n)`, cut to the range. `None` below two prompts.
pub fn of_mean(values: &[f64], range: (f64, f64)) -> Option<[f64; 2]> {
    let n = values.len() as f64;
    (values.len() >= 2).then(|| {
        let mean = values.iter().sum::<f64>() / n;
        let variance = values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1.0);
        let half = Z * (variance / n).sqrt();
        [(mean - half).max(range.0), (mean + half).min(range.1)]
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Worked example: 15 of 50 gives (0.1910, 0.4375) by Wilson's formula.
    #[test]
    fn wilson_gives_the_textbook_interval() {
        let [low, high] = wilson(15, 50).unwrap();
        assert!((low - 0.190_988).abs() < 1e-4 && (high - 0.437_509).abs() < 1e-4, "{low} {high}");
        let [low, high] = wilson(0, 10).unwrap();
        assert!(low == 0.0 && high > 0.2, "never a point at the edge");
        assert_eq!(wilson(0, 0), None);
    }

    #[test]
    fn the_interval_of_a_mean_shrinks_with_prompts() {
        let few: Vec<f64> = (0..20).map(|i| f64::from(i % 2)).collect();
        let many: Vec<f64> = (0..2000).map(|i| f64::from(i % 2)).collect();
        let width = |v: &[f64]| of_mean(v, (0.0, 1.0)).map(|[a, b]| b - a).unwrap();
        assert!((width(&few) / width(&many) - 10.0).abs() < 0.3);
        assert_eq!(of_mean(&[0.5], (0.0, 1.0)), None);
    }
}
