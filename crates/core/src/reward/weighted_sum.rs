//! The weighted sum of reward terms.

use crate::outcome::Outcome;

/// `sum of weight * value` over the terms that scored.
///
/// A term that abstains leaves the sum. `None`, so that the episode is compared with nobody, when a
/// term failed (timeout, error) or when every term abstains: a missing verdict is not a 0.
/// `weights` has one entry a term.
pub fn weighted_sum(outcomes: &[Outcome], weights: &[f64]) -> Option<f64> {
    debug_assert_eq!(outcomes.len(), weights.len());
    sum_of(outcomes.iter().zip(weights.iter().copied()))
}

/// The same over pairs.
pub(super) fn sum_of<'a>(weighted: impl IntoIterator<Item = (&'a Outcome, f64)>) -> Option<f64> {
    let mut total = None;
    for (outcome, weight) in weighted {
        match outcome {
            Outcome::Scored { value } => *total.get_or_insert(0.0) += weight * value,
            Outcome::Abstain => {}
            Outcome::Timeout | Outcome::Error { .. } => return None,
        }
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_verdict_is_not_a_zero() {
        let one = Outcome::scored(1.0);
        let half = Outcome::scored(0.5);
        assert_eq!(weighted_sum(&[one.clone(), half], &[2.0, 1.0]), Some(2.5));
        assert_eq!(weighted_sum(&[one.clone(), Outcome::Abstain], &[2.0, 1.0]), Some(2.0));
        assert_eq!(weighted_sum(&[one.clone(), Outcome::Timeout], &[2.0, 1.0]), None);
        assert_eq!(weighted_sum(&[one, Outcome::error("no")], &[2.0, 1.0]), None);
        assert_eq!(weighted_sum(&[Outcome::Abstain], &[1.0]), None);
    }
}
