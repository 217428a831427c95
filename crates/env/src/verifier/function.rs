//! A closure as a verifier.

use std::fmt::Display;

use cohort_core::Outcome;

use super::{Verdict, Verifier, View};

/// What a closure may return.
pub trait IntoOutcome {
    fn into_outcome(self) -> Outcome;
}

impl IntoOutcome for Outcome {
    fn into_outcome(self) -> Outcome {
        self
    }
}

/// A score; NaN and infinities are errors.
impl IntoOutcome for f64 {
    fn into_outcome(self) -> Outcome {
        Outcome::scored(self)
    }
}

/// Right (1) or wrong (0).
impl IntoOutcome for bool {
    fn into_outcome(self) -> Outcome {
        Outcome::pass_if(self)
    }
}

/// `None` abstains.
impl<T: IntoOutcome> IntoOutcome for Option<T> {
    fn into_outcome(self) -> Outcome {
        self.map_or(Outcome::Abstain, T::into_outcome)
    }
}

/// `Err` is an error outcome with the error's text.
impl<T: IntoOutcome, E: Display> IntoOutcome for Result<T, E> {
    fn into_outcome(self) -> Outcome {
        self.map_or_else(|error| Outcome::error(error.to_string()), T::into_outcome)
    }
}

struct Function<F> {
    name: String,
    range: (f64, f64),
    f: F,
}

/// A verifier that asks `f`; `range` is the least and the greatest score it gives, both included.
///
/// ```
/// let short = cohort_env::from_fn("short", (0.0, 1.0), |view| 1.0 / (1.0 + view.tokens.len() as f64));
/// assert_eq!(short.name(), "short");
/// ```
pub fn from_fn<F, R>(name: impl Into<String>, range: (f64, f64), f: F) -> Box<dyn Verifier>
where
    F: for<'a> Fn(&View<'a>) -> R + Send + Sync + 'static,
    R: IntoOutcome + 'static,
{
    Box::new(Function { name: name.into(), range, f: move |view: &View| f(view).into_outcome() })
}

impl<F: for<'a> Fn(&View<'a>) -> Outcome + Send + Sync> Verifier for Function<F> {
    fn name(&self) -> &str {
        &self.name
    }

    fn range(&self) -> (f64, f64) {
        self.range
    }

    fn score(&self, view: &View) -> Verdict {
        (self.f)(view).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{judge_one, testing};

    fn asked<R: IntoOutcome + 'static>(f: impl for<'a> Fn(&View<'a>) -> R + Send + Sync + 'static) -> Outcome {
        let item = testing::item("p", r#"{"answer": "7"}"#);
        judge_one(&*from_fn("mine", (0.0, 10.0), f), &testing::view(&item, "seven")).outcome
    }

    #[test]
    fn a_closure_may_say_it_in_its_own_way() {
        assert_eq!(asked(|view| view.completion.len() as f64).value(), Some(5.0));
        assert_eq!(asked(|view| view.text("answer") == Some("7")).value(), Some(1.0));
        assert_eq!(asked(|view| view.column("hint").map(|_| 1.0)), Outcome::Abstain);
        assert_eq!(asked(|_| Err::<f64, _>("the file is gone")), Outcome::error("the file is gone"));
        assert_eq!(asked(|_| Outcome::Timeout), Outcome::Timeout);
    }

    #[test]
    fn a_closure_that_fails_is_an_error_and_no_zero() {
        assert_eq!(asked(|_| -> f64 { panic!("out of luck") }), Outcome::error("`mine` panicked: out of luck"));
        assert!(asked(|_| f64::NAN).is_failure());
        assert!(asked(|_| f64::INFINITY).is_failure());
        assert_eq!(asked(|_| 11.0), Outcome::error("`mine` gave 11, outside its range 0..=10"));
    }
}
