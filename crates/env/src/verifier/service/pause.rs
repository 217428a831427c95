//! How long to wait before a question is put again.

use std::time::Duration;

use sha2::{Digest, Sha256};

/// `backoff * 2^retries`, of which the second half is drawn by the question itself: who asks many at once does not ask them
/// all again at once, and no randomness is shared.
pub(super) fn before_retry(question: &str, retries: u64, backoff: Duration) -> Duration {
    let digest = Sha256::new().chain_update(question).chain_update(retries.to_le_bytes()).finalize();
    let drawn = digest.iter().take(4).fold(0u32, |sum, &byte| sum << 8 | u32::from(byte));
    let share = 0.5 + 0.5 * f64::from(drawn) / f64::from(u32::MAX);
    let doubled = backoff.saturating_mul(1u32.checked_shl(retries.min(16) as u32).unwrap_or(u32::MAX));
    doubled.mul_f64(share)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_and_differ_from_question_to_question() {
        let second = Duration::from_secs(1);
        for (retries, whole) in [(0, 1.0), (1, 2.0), (5, 32.0)] {
            let pauses: Vec<f64> =
                (0..50).map(|q| before_retry(&format!("question {q}"), retries, second).as_secs_f64()).collect();
            assert!(pauses.iter().all(|&p| p >= whole / 2.0 && p <= whole), "{pauses:?}");
            let (least, most) = pauses.iter().fold((f64::MAX, 0.0f64), |(a, b), &p| (a.min(p), b.max(p)));
            assert!(most - least > whole / 4.0, "{least} {most}");
        }
        assert_eq!(before_retry("q", 3, second), before_retry("q", 3, second));
        assert!(before_retry("q", u64::MAX, second) <= second * 65536);
    }
}
