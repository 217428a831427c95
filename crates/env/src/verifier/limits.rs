//! What the parameters of terms that ask others share: ranges, counts, times.

use super::VerifierError;

/// The range of a term whose worst is 0 and whose best is 1.
pub(super) fn pass_or_fail() -> [f64; 2] {
    [0.0, 1.0]
}

/// # Errors
/// A range whose ends are not finite, or not in order.
pub(super) fn range([low, high]: [f64; 2]) -> Result<(), VerifierError> {
    match low.is_finite() && high.is_finite() && low < high {
        true => Ok(()),
        false => Err(VerifierError::BadText {
            parameter: "range",
            got: format!("[{low}, {high}]"),
            expected: "two finite numbers, the least score and the greatest",
        }),
    }
}

/// # Errors
/// A count that is 0 or above `most`.
pub(super) fn count(parameter: &'static str, got: usize, most: usize) -> Result<(), VerifierError> {
    let expected =
        if most >= 1_000_000 { "at least 1, and not that many" } else { "at least 1, and a few thousand at most" };
    if (1..=most).contains(&got) {
        Ok(())
    } else {
        Err(VerifierError::BadNumber { parameter, got: got as f64, expected })
    }
}

/// # Errors
/// Seconds that are not above 0 and below a day.
pub(super) fn seconds(parameter: &'static str, got: f64) -> Result<(), VerifierError> {
    match got > 0.0 && got <= 86_400.0 {
        true => Ok(()),
        false => Err(VerifierError::BadNumber { parameter, got, expected: "above 0, and a day at most" }),
    }
}

/// # Errors
/// More retries than make sense.
pub(super) fn retries(got: usize) -> Result<(), VerifierError> {
    match got <= 20 {
        true => Ok(()),
        false => Err(VerifierError::BadNumber { parameter: "retries", got: got as f64, expected: "20 at most" }),
    }
}
