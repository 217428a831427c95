//! Confidence intervals for accuracies, at 95 %.

use crate::Stream;

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

/// Times that [`bootstrap`] draws.
const RESAMPLES: usize = 1000;

/// Percentile interval for a statistic of independent items: what lies between the 2.5 % and the 97.5 % quantile of its values for 1000 draws of as many items with
/// replacement (Efron 1979). The draws are the same whatever a run's seed is. `None` below two items, and where the statistic has no value for a draw.
pub fn bootstrap<T: Clone>(items: &[T], statistic: impl Fn(&[T]) -> Option<f64>) -> Option<[f64; 2]> {
    if items.len() < 2 {
        return None;
    }
    let stream = Stream::new(0, "bootstrap");
    let drawn = |resample: usize| {
        let dice = stream.dice(resample as u32, 0, 0);
        let items: Vec<T> =
            (0..items.len()).map(|i| items[dice.below(i, items.len() as u64) as usize].clone()).collect();
        statistic(&items)
    };
    let mut values = (0..RESAMPLES).map(drawn).collect::<Option<Vec<f64>>>()?;
    values.sort_by(f64::total_cmp);
    let cut = RESAMPLES / 40;
    Some([values[cut - 1], values[RESAMPLES - cut]])
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
    /// Of a mean it is near the normal one, whose width is 2 * 1.96 * s / sqrt(n).
    #[test]
    fn draws_give_the_interval_of_a_mean() {
        let values: Vec<f64> = (0..400).map(|i| f64::from(i * 7 % 20)).collect();
        let mean = |values: &[f64]| Some(values.iter().sum::<f64>() / values.len() as f64);
        let [low, high] = bootstrap(&values, mean).unwrap();
        let [normal_low, normal_high] = of_mean(&values, (0.0, 20.0)).unwrap();
        assert!(((high - low) / (normal_high - normal_low) - 1.0).abs() < 0.1, "{low} {high}");
        assert!((low - normal_low).abs() < 0.15 && (high - normal_high).abs() < 0.15, "{low} {high}");
        assert_eq!(bootstrap(&values, mean), Some([low, high]), "the same draws again");
        assert_eq!(bootstrap(&[3.0; 5], mean), Some([3.0, 3.0]));
        assert_eq!(bootstrap(&[1.0], mean), None);
        assert_eq!(bootstrap(&values, |_| None), None);
    }
}
