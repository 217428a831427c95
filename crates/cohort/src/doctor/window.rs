//! The beginning and the end of a curve, and how they differ.

/// The 97.5 % quantile of the standard normal.
const Z: f64 = 1.959_963_984_540_054;

/// Fewer values than this in a fifth say nothing of their spread.
const LEAST: usize = 3;

/// The mean of a slice; `None` of nothing.
pub fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// The first fifth, at least one value.
pub fn first_fifth(values: &[f64]) -> &[f64] {
    &values[..fifth(values)]
}

/// The last fifth, at least one value.
pub fn last_fifth(values: &[f64]) -> &[f64] {
    &values[values.len() - fifth(values)..]
}

fn fifth(values: &[f64]) -> usize {
    values.len().div_ceil(5)
}

/// The change of a mean, with its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Change {
    pub from: f64,
    pub to: f64,
    pub low: f64,
    pub high: f64,
}

/// From the first fifth to the last, by the normal interval of a difference of means with unequal variances.
/// Steps count as independent. `None` below three values a fifth.
pub fn change(values: &[f64]) -> Option<Change> {
    let (first, last) = (first_fifth(values), last_fifth(values));
    if first.len() < LEAST {
        return None;
    }
    let (from, to) = (mean(first)?, mean(last)?);
    let variance_of_mean = |values: &[f64], mean: f64| {
        let n = values.len() as f64;
        values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0) / n
    };
    let half = Z * (variance_of_mean(first, from) + variance_of_mean(last, to)).sqrt();
    Some(Change { from, to, low: to - from - half, high: to - from + half })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fifths_are_the_ends() {
        let values: Vec<f64> = (0..15).map(f64::from).collect();
        assert_eq!(first_fifth(&values), [0.0, 1.0, 2.0]);
        assert_eq!(last_fifth(&values), [12.0, 13.0, 14.0]);
        assert!(first_fifth(&[]).is_empty() && last_fifth(&[]).is_empty());
        assert_eq!(last_fifth(&[4.0]), [4.0]);
    }

    /// By hand: fifths 0, 1, 2 and 12, 13, 14 have variance 1, so the half width is z sqrt(2/3).
    #[test]
    fn a_change_has_the_interval_of_a_difference() {
        let values: Vec<f64> = (0..15).map(f64::from).collect();
        let c = change(&values).unwrap();
        assert_eq!((c.from, c.to), (1.0, 13.0));
        assert!((c.high - 12.0 - Z * (2.0f64 / 3.0).sqrt()).abs() < 1e-12, "{c:?}");
        assert!((c.low + c.high - 24.0).abs() < 1e-12);
        assert_eq!(change(&values[..10]), None);
    }
}
