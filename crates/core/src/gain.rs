//! How good a ranking of things of known worth is.

/// Of the place `i`, counted from 0: `1 / log2(i + 2)`.
pub fn discount(i: usize) -> f64 {
    1.0 / (i as f64 + 2.0).log2()
}

/// Normalised discounted cumulated gain at `k` places, in [0, 1]: `sum over places i of gain_i / log2(i + 2)`, divided by that of the best ranking of
/// `all`. `ranked` holds the gains place by place, best first; those that stand together share their places, and each gets the mean of their
/// discounts. `None` where nothing is worth anything. Järvelin and Kekäläinen 2002; ties as McSherry and Najork 2008.
pub fn ndcg(ranked: &[Vec<f64>], all: &[f64], k: usize) -> Option<f64> {
    let mut best = all.to_vec();
    best.sort_by(|a, b| b.total_cmp(a));
    // Divided by the greatest first, so that no sum overflows.
    let greatest = best.first().copied().filter(|greatest| *greatest > 0.0)?;
    let ideal: f64 = best.iter().take(k).enumerate().map(|(i, g)| g / greatest * discount(i)).sum();
    let (mut sum, mut place) = (0.0, 0);
    for tied in ranked.iter().filter(|tied| !tied.is_empty()) {
        if place >= k {
            break;
        }
        let discounts: f64 = (place..(place + tied.len()).min(k)).map(discount).sum();
        sum += tied.iter().map(|g| g / greatest).sum::<f64>() * discounts / tied.len() as f64;
        place += tied.len();
    }
    Some((sum / ideal).clamp(0.0, 1.0))
}

/// The same of things with scores, the highest first; equal scores stand together. Gains below 0 count as 0.
pub fn ndcg_of_scores(scores: &[f64], gains: &[f64], k: usize) -> Option<f64> {
    let gains: Vec<f64> = gains.iter().map(|gain| gain.max(0.0)).collect();
    let mut order: Vec<usize> = (0..scores.len().min(gains.len())).collect();
    order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
    let ranked: Vec<Vec<f64>> =
        order.chunk_by(|&a, &b| scores[a] == scores[b]).map(|tied| tied.iter().map(|&i| gains[i]).collect()).collect();
    ndcg(&ranked, &gains, k)
}

/// The share of pairs whose scores are equal; `None` of fewer than two scores.
pub fn ties(scores: &[f64]) -> Option<f64> {
    let n = scores.len();
    let equal = (0..n).flat_map(|i| (0..i).map(move |j| (i, j))).filter(|&(i, j)| scores[i] == scores[j]).count();
    (n > 1).then(|| equal as f64 / (n * (n - 1) / 2) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn close(a: Option<f64>, b: f64) {
        assert!(a.is_some_and(|a| (a - b).abs() < 1e-12), "{a:?} {b}");
    }

    #[test]
    fn the_textbook_example_and_equal_scores() {
        // Wikipedia's: DCG 6.861 and, of the same six documents, IDCG 7.141.
        let gains = [3.0, 2.0, 3.0, 0.0, 1.0, 2.0];
        close(ndcg_of_scores(&[6.0, 5.0, 4.0, 3.0, 2.0, 1.0], &gains, 6), 0.9608081943360616);
        // sklearn.metrics.ndcg_score([[1, 0, 2, 0]], [[.5, .5, .5, .1]])
        close(ndcg_of_scores(&[0.5, 0.5, 0.5, 0.1], &[1.0, 0.0, 2.0, 0.0], 10), 0.8099531166420328);
        // One score for all is the mean over all orders, here of two.
        close(ndcg_of_scores(&[0.0, 0.0], &[1.0, 0.0], 10), (1.0 + 1.0 / 3f64.log2()) / 2.0);
        assert_eq!(ndcg_of_scores(&[1.0, 2.0], &[0.0, -1.0], 10), None, "nothing is relevant");
        assert_eq!(ndcg_of_scores(&[], &[], 10), None);
    }

    #[test]
    fn ties_are_counted_in_pairs() {
        assert_eq!(ties(&[1.0]), None);
        close(ties(&[1.0, 1.0, 2.0]), 1.0 / 3.0);
        close(ties(&[0.0; 5]), 1.0);
        close(ties(&[1.0, 2.0]), 0.0);
    }
}
