//! Accuracy over several samples of one prompt.

/// Unbiased estimate of the probability that at least one of `k` samples is right, from `correct`
/// right ones among `n`: `1 - C(n - c, k) / C(n, k)` (Chen et al. 2021, "Evaluating Large Language
/// Models Trained on Code", §2.1), as a product so that nothing overflows.
///
/// Requires `1 <= k <= n` and `correct <= n`; `None` otherwise.
pub fn pass_at_k(n: usize, correct: usize, k: usize) -> Option<f64> {
    if k == 0 || k > n || correct > n {
        return None;
    }
    if n - correct < k {
        return Some(1.0);
    }
    let all_wrong: f64 = (n - correct + 1..=n).map(|i| 1.0 - k as f64 / i as f64).product();
    Some(1.0 - all_wrong)
}

/// The share of right samples (avg@n); `None` for no samples.
pub fn average(correct: usize, n: usize) -> Option<f64> {
    (n > 0 && correct <= n).then(|| correct as f64 / n as f64)
}

/// Whether the most frequent answer is right (maj@n). `answers` pairs each sample's answer (`None`:
/// nothing could be extracted) with its verdict; ties go to the answer seen first.
/// `None` when no sample has an answer.
pub fn majority<A: PartialEq>(answers: &[(Option<A>, bool)]) -> Option<bool> {
    let count = |answer: &A| answers.iter().filter(|(other, _)| other.as_ref() == Some(answer)).count();
    let mut best: Option<(usize, bool)> = None;
    for (answer, right) in answers {
        let Some(answer) = answer else { continue };
        let votes = count(answer);
        if best.is_none_or(|(most, _)| votes > most) {
            best = Some((votes, *right));
        }
    }
    best.map(|(_, right)| right)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All subsets of size k, counted one by one.
    fn by_enumeration(n: usize, correct: usize, k: usize) -> f64 {
        let (mut hits, mut all) = (0u32, 0u32);
        for subset in 0u32..1 << n {
            if subset.count_ones() as usize == k {
                all += 1;
                hits += u32::from(subset & ((1 << correct) - 1) != 0);
            }
        }
        f64::from(hits) / f64::from(all)
    }

    #[test]
    fn equals_the_count_over_all_subsets() {
        for n in 1..=8 {
            for correct in 0..=n {
                for k in 1..=n {
                    let got = pass_at_k(n, correct, k).unwrap();
                    assert!((got - by_enumeration(n, correct, k)).abs() < 1e-12, "{n} {correct} {k}: {got}");
                }
            }
        }
    }

    #[test]
    fn nonsense_has_no_value() {
        assert_eq!(pass_at_k(4, 2, 5), None);
        assert_eq!(pass_at_k(4, 2, 0), None);
        assert_eq!(pass_at_k(4, 5, 1), None);
        assert_eq!(average(0, 0), None);
        assert_eq!(average(3, 2), None);
        assert_eq!(average(1, 4), Some(0.25));
    }

    #[test]
    fn the_majority_decides_and_ties_go_to_the_first() {
        let votes = [(Some("7"), false), (Some("8"), true), (None, false), (Some("8"), true)];
        assert_eq!(majority(&votes), Some(true));
        assert_eq!(majority(&votes[..2]), Some(false));
        assert_eq!(majority::<&str>(&[(None, false)]), None);
    }
}
