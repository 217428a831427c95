//! Terms that are functions of what they see: no file, no program, no clock. Their parameters are the verifier.

use super::{Configured, Described, Means, Verdict, Verifier, VerifierError, View, columns::Fault};

/// The parameters of a term that needs nothing from outside.
pub(super) trait Pure: Clone + Send + Sync + 'static {
    const DESCRIBED: Described;

    /// # Errors
    /// Parameters that contradict each other or are out of bounds.
    fn check(&self) -> Result<(), VerifierError> {
        Ok(())
    }

    fn range(&self) -> (f64, f64) {
        (0.0, 1.0)
    }

    /// # Errors
    /// A row whose columns are missing or malformed. A bad completion is scored.
    fn verdict(&self, view: &View) -> Result<Verdict, Fault>;

    fn answer(&self, _completion: &str) -> Option<String> {
        None
    }
}

impl<T: Pure> Configured for T {
    const DESCRIBED: Described = <T as Pure>::DESCRIBED;

    fn check(&self) -> Result<(), VerifierError> {
        Pure::check(self)
    }

    fn build(&self, _: &Means) -> Result<Box<dyn Verifier>, VerifierError> {
        Pure::check(self)?;
        Ok(Box::new(Held(self.clone())))
    }
}

struct Held<T>(T);

impl<T: Pure> Verifier for Held<T> {
    fn name(&self) -> &str {
        T::DESCRIBED.name
    }

    fn range(&self) -> (f64, f64) {
        self.0.range()
    }

    fn score(&self, view: &View) -> Verdict {
        self.0.verdict(view).unwrap_or_else(|fault| fault.outcome().into())
    }

    fn answer(&self, completion: &str) -> Option<String> {
        self.0.answer(completion)
    }
}

/// `got` where it is at least `least`; a parameter's lower bound.
pub(super) fn at_least(
    parameter: &'static str,
    got: f64,
    least: f64,
    expected: &'static str,
) -> Result<(), VerifierError> {
    if got.is_finite() && got >= least { Ok(()) } else { Err(VerifierError::BadNumber { parameter, got, expected }) }
}

/// A parameter that must be above zero.
pub(super) fn positive(parameter: &'static str, got: f64) -> Result<(), VerifierError> {
    if got.is_finite() && got > 0.0 {
        Ok(())
    } else {
        Err(VerifierError::BadNumber { parameter, got, expected: "above 0" })
    }
}

/// Asks a term about one completion; what the tests of terms share.
#[cfg(test)]
pub(super) mod ask {
    use cohort_core::Outcome;
    use serde_json::Value;

    use crate::{Means, Verdict, judge_one, testing, verifier::Configured};

    pub fn verdict(term: &impl Configured, row: &Value, completion: &str) -> Verdict {
        let item = testing::item("p", &row.to_string());
        judge_one(&*term.build(&Means::default()).unwrap(), &testing::view(&item, completion))
    }

    pub fn score(term: &impl Configured, row: &Value, completion: &str) -> f64 {
        match verdict(term, row, completion).outcome {
            Outcome::Scored { value } => value,
            other => panic!("{completion:?}: {other:?}"),
        }
    }

    /// The reason of an error outcome.
    pub fn error(term: &impl Configured, row: &Value, completion: &str) -> String {
        match verdict(term, row, completion).outcome {
            Outcome::Error { reason } => reason,
            other => panic!("{completion:?}: {other:?}"),
        }
    }

    #[track_caller]
    pub fn close(got: f64, expected: f64) {
        assert!((got - expected).abs() < 1e-9, "got {got}, expected {expected}");
    }
}
