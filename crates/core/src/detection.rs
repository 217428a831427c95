//! How well a detector tells what it is to find from what it is not.
//!
//! A detector gives a number, higher where it is surer. Of n items it has judged a text that it is to find, with the value `p_i`, and one that it is not to find, with
//! `q_i`; a value is compared with those of all items.

use crate::interval;

/// What a detector says of one item's two texts; finite.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Judged {
    /// Of the text that it is to find.
    pub positive: f64,
    /// Of the one that it is not.
    pub negative: f64,
}

/// The area under the receiver operating characteristic, in [0, 1]: the probability that a positive has the higher value than a negative, equal ones counted half,
/// `(#{p_i > q_j} + #{p_i = q_j} / 2) / n^2` (Mann and Whitney 1947). 1/2 is guessing. `None` of no item.
pub fn auroc(items: &[Judged]) -> Option<f64> {
    let negatives = negatives(items);
    let wins = |item: &Judged| {
        let below = negatives.partition_point(|&q| q < item.positive);
        let tied = negatives.partition_point(|&q| q <= item.positive) - below;
        below as f64 + 0.5 * tied as f64
    };
    let n = items.len() as f64;
    (n > 0.0).then(|| items.iter().map(wins).sum::<f64>() / (n * n))
}

/// The share of positives that are found where few negatives are: those above the smallest threshold that at most the share `false_positives` of the negatives exceed, in
/// [0, 1]. With fewer than `1 / false_positives` items that is the greatest negative. `None` of no item.
pub fn true_positive_rate(items: &[Judged], false_positives: f64) -> Option<f64> {
    let negatives = negatives(items);
    // A share such as 0.01 of 2900 is 29, whatever its last bit.
    let allowed = (false_positives * items.len() as f64 + 1e-9).max(0.0) as usize;
    let threshold = negatives.iter().rev().nth(allowed).copied().unwrap_or(f64::NEG_INFINITY);
    let found = items.iter().filter(|item| item.positive > threshold).count();
    (!items.is_empty()).then(|| found as f64 / items.len() as f64)
}

/// [`auroc`] with its interval over the items.
pub fn auroc_with_interval(items: &[Judged]) -> Option<(f64, Option<[f64; 2]>)> {
    Some((auroc(items)?, interval::bootstrap(items, auroc)))
}

/// [`true_positive_rate`] with its interval over the items.
pub fn true_positive_rate_with_interval(items: &[Judged], false_positives: f64) -> Option<(f64, Option<[f64; 2]>)> {
    let rate = |items: &[Judged]| true_positive_rate(items, false_positives);
    Some((rate(items)?, interval::bootstrap(items, rate)))
}

/// From the least to the greatest.
fn negatives(items: &[Judged]) -> Vec<f64> {
    let mut negatives: Vec<f64> = items.iter().map(|item| item.negative).collect();
    negatives.sort_by(f64::total_cmp);
    negatives
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Stream;

    fn judged(positives: &[f64], negatives: &[f64]) -> Vec<Judged> {
        positives.iter().zip(negatives).map(|(&positive, &negative)| Judged { positive, negative }).collect()
    }

    fn drawn(n: usize, lane: u32, values: u64, shift: f64) -> Vec<f64> {
        let dice = Stream::new(1, "detection").dice(lane, 0, 0);
        (0..n).map(|i| dice.below(i, values) as f64 + shift).collect()
    }

    #[test]
    fn the_area_counts_pairs() {
        assert_eq!(auroc(&judged(&[2.0, 3.0], &[0.0, 1.0])), Some(1.0));
        assert_eq!(auroc(&judged(&[0.0, 1.0], &[2.0, 3.0])), Some(0.0));
        assert_eq!(auroc(&judged(&[1.0; 3], &[1.0; 3])), Some(0.5));
        // 1 wins over 0; 2 over 0, 1 and half of 2; 3 over all three.
        assert_eq!(auroc(&judged(&[0.5, 2.0, 3.0], &[0.0, 1.0, 2.0])), Some((1.0 + 2.5 + 3.0) / 9.0));
        // A zero is a zero.
        assert_eq!(auroc(&judged(&[-0.0], &[0.0])), Some(0.5));
        assert_eq!(auroc(&[]), None);
    }

    /// Two normal distributions with unit variance, d apart: `Phi(d / sqrt 2)`, for d = 1 0.7602.
    #[test]
    fn the_area_of_two_normals_is_the_known_one() {
        let dice = Stream::new(2, "normals").dice(0, 0, 0);
        let items: Vec<Judged> = (0..20_000)
            .map(|i| {
                let [a, b] = dice.normal_pair(i);
                Judged { positive: a + 1.0, negative: b }
            })
            .collect();
        let area = auroc(&items).unwrap();
        assert!((area - 0.760_250).abs() < 0.01, "{area}");
        // Phi(1 - 2.3263), the quantile of 99 %.
        let rate = true_positive_rate(&items, 0.01).unwrap();
        assert!((rate - 0.092_4).abs() < 0.015, "{rate}");
    }

    #[test]
    fn every_pair_counts_once() {
        for (n, values, shift) in [(1, 3, 0.0), (7, 4, 1.0), (60, 9, 0.5), (60, 1000, 20.0)] {
            let (p, q) = (drawn(n, 0, values, shift), drawn(n, 1, values, 0.0));
            let pairs = p.iter().flat_map(|p| q.iter().map(move |q| if p > q { 1.0 } else { f64::from(p == q) / 2.0 }));
            let expected = pairs.sum::<f64>() / (n * n) as f64;
            assert!((auroc(&judged(&p, &q)).unwrap() - expected).abs() < 1e-12);
            let (up, down) = (auroc(&judged(&p, &q)).unwrap(), auroc(&judged(&q, &p)).unwrap());
            assert!((up + down - 1.0).abs() < 1e-12, "what is not found is told apart as well");
        }
    }

    #[test]
    fn a_threshold_lets_few_pass() {
        let q: Vec<f64> = (1..=200).map(f64::from).collect();
        let rate = |p: f64, share: f64| true_positive_rate(&judged(&[p; 200], &q), share).unwrap();
        // Two of 200 may exceed it: it is 198.
        assert_eq!((rate(198.0, 0.01), rate(198.5, 0.01)), (0.0, 1.0));
        assert_eq!((rate(199.5, 0.0), rate(200.0, 0.0), rate(200.5, 0.0)), (0.0, 0.0, 1.0));
        assert_eq!(rate(-5.0, 1.0), 1.0, "all may exceed it");
        // Half of the positives are above the greatest negative.
        let p: Vec<f64> = (1..=200).map(|i| if i % 2 == 0 { 300.0 } else { 0.0 }).collect();
        assert_eq!(true_positive_rate(&judged(&p, &q), 0.01), Some(0.5));
        // Fewer than 100: none may exceed it.
        assert_eq!(true_positive_rate(&judged(&[1.0, 3.0], &[0.0, 2.0]), 0.01), Some(0.5));
        assert_eq!(true_positive_rate(&[], 0.01), None);
        // 0.01 * 2900 is 28.999.. in floating point.
        let many: Vec<f64> = (0..2900).map(f64::from).collect();
        let above: Vec<f64> = vec![2870.5; 2900];
        assert_eq!(true_positive_rate(&judged(&above, &many), 0.01), Some(1.0));
    }

    #[test]
    fn intervals_are_around_their_numbers_and_the_same_again() {
        let items = judged(&drawn(300, 0, 100, 20.0), &drawn(300, 1, 100, 0.0));
        let (area, interval) = auroc_with_interval(&items).unwrap();
        let [low, high] = interval.unwrap();
        // Hanley and McNeil's standard error for this area, 0.68, is 0.022.
        assert!(low < area && area < high && (0.05..0.11).contains(&(high - low)), "{low} {area} {high}");
        assert_eq!(auroc_with_interval(&items), Some((area, interval)));
        let apart = judged(&[2.0; 9], &[1.0; 9]);
        assert_eq!(auroc_with_interval(&apart), Some((1.0, Some([1.0, 1.0]))));
        assert_eq!(true_positive_rate_with_interval(&apart, 0.01), Some((1.0, Some([1.0, 1.0]))));
        assert_eq!(auroc_with_interval(&apart[..1]), Some((1.0, None)));
        assert_eq!(auroc_with_interval(&[]), None);
    }
}
