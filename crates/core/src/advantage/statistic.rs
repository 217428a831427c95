//! Means, medians and spreads that are exact where all values are equal.

/// The mean, exact where all values are equal (`first + mean of differences`); 0 for none.
pub(super) fn mean(values: &[f64]) -> f64 {
    match values {
        [] => 0.0,
        [first, ..] => first + values.iter().map(|v| v - first).sum::<f64>() / values.len() as f64,
    }
}

/// `sqrt(sum (v - mean)^2 / (n - ddof))`; 0 where there are `ddof` values or fewer.
pub(super) fn deviation(values: &[f64], ddof: u8) -> f64 {
    let free = values.len().saturating_sub(usize::from(ddof));
    if free == 0 {
        return 0.0;
    }
    let centre = mean(values);
    (values.iter().map(|v| (v - centre).powi(2)).sum::<f64>() / free as f64).sqrt()
}

/// The index of the lower median: place `floor((n - 1) / 2)` in sorted order, ties in order of appearance.
pub(super) fn median_index(values: &[f64]) -> Option<usize> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&i, &j| values[i].total_cmp(&values[j]));
    order.get(values.len().checked_sub(1)? / 2).copied()
}

/// The lower median; 0 for no values.
pub(super) fn median(values: &[f64]) -> f64 {
    median_index(values).map_or(0.0, |index| values[index])
}

/// Whether there is a value, and no two of them differ.
pub(super) fn all_equal(values: &[f64]) -> bool {
    values.first().is_some_and(|first| values.iter().all(|v| v == first))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lower_median_is_one_member() {
        assert_eq!(median_index(&[3.0, 1.0, 2.0]), Some(2));
        assert_eq!(median(&[4.0, 1.0, 3.0, 2.0]), 2.0, "of four, the second");
        assert_eq!(median_index(&[1.0, 0.0, 0.0]), Some(2), "sorted 0 0 1: the second zero");
        assert_eq!(median_index(&[]), None);
    }

    #[test]
    fn no_spread_to_measure_is_zero() {
        assert_eq!(deviation(&[3.0], 1), 0.0);
        assert_eq!(deviation(&[0.1; 7], 1), 0.0);
        assert!((deviation(&[0.0, 1.0], 1) - 0.5f64.sqrt()).abs() < 1e-15);
        assert!((deviation(&[0.0, 1.0], 0) - 0.5).abs() < 1e-15);
    }
}
