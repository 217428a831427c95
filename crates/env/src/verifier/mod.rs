//! What a reward term says of a completion.

pub mod answer;
mod described;
pub mod function;
pub mod number;
pub mod pattern;

use std::panic::{AssertUnwindSafe, catch_unwind};

use cohort_core::{Outcome, StopReason};
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use self::{
    answer::Answer,
    described::{DESCRIBED, Described},
    function::{IntoOutcome, from_fn},
    pattern::Pattern,
};
use crate::task::Item;

/// What a verifier sees of an episode.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    pub item: &'a Item,
    /// The completion's text without special tokens; of several turns, the last one's.
    pub completion: &'a str,
    /// The ids that were sampled, with the end of the sequence where it was.
    pub tokens: &'a [u32],
    /// Why the completion ended.
    pub stop: StopReason,
    /// Samples of the episode; 1 for a single turn.
    pub turns: usize,
    /// The points that were chosen, for policies whose actions are points and no text.
    pub payloads: &'a [Vec<f32>],
}

impl<'a> View<'a> {
    /// A column of the item's row.
    pub fn column(&self, name: &str) -> Option<&'a Value> {
        self.item.columns.get(name)
    }

    /// A column that holds text.
    pub fn text(&self, name: &str) -> Option<&'a str> {
        self.column(name).and_then(Value::as_str)
    }
}

/// A reward term's source of outcomes: a function of the view alone.
///
/// A wrong completion is scored; [`Outcome::Error`] is for a problem or a verifier that is
/// broken. Call it through [`judge`].
pub trait Verifier: Send + Sync {
    fn name(&self) -> &str;

    /// The least and the greatest score, both included. 0 is worst and 1 is right for a
    /// pass/fail term.
    fn range(&self) -> (f64, f64);

    fn score(&self, view: &View) -> Outcome;

    /// The answer that a completion gives, for majority votes; `None` where there is none, or where the term
    /// is not about answers.
    fn answer(&self, _completion: &str) -> Option<String> {
        None
    }
}

/// The outcome of `verifier`, which may panic or break its promises: a panic is an
/// [`Outcome::Error`] with its message, and so is a score that is not finite or out of range.
pub fn judge(verifier: &dyn Verifier, view: &View) -> Outcome {
    let outcome = catch_unwind(AssertUnwindSafe(|| verifier.score(view)))
        .unwrap_or_else(|panic| Outcome::error(format!("`{}` panicked: {}", verifier.name(), message(&*panic))));
    let Some(value) = outcome.value() else { return outcome };
    let (low, high) = verifier.range();
    match Outcome::scored(value) {
        Outcome::Scored { .. } if !(low..=high).contains(&value) => {
            Outcome::error(format!("`{}` gave {value}, outside its range {low}..={high}", verifier.name()))
        }
        finite_or_not => finite_or_not,
    }
}

fn message(panic: &(dyn std::any::Any + Send)) -> &str {
    match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
        (Some(text), _) => text,
        (None, Some(text)) => text,
        (None, None) => "(no message)",
    }
}

/// The verifiers that a recipe can name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum VerifierConfig {
    Regex(Pattern),
    Answer(Answer),
}

/// A verifier that cannot be made from its parameters. The caller knows the key in the recipe.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifierError {
    #[error("`pattern` is not a regular expression: {reason}")]
    BadPattern { reason: String },
    #[error("`tag` and `after` are both set: the answer stands in a tag, or after a mark")]
    TagAndAfter,
    #[error("`{parameter}` is {got:?}, and must be {expected}")]
    BadText { parameter: &'static str, got: String, expected: &'static str },
}

impl VerifierConfig {
    /// # Errors
    /// Parameters that contradict each other or do not parse.
    pub fn build(&self) -> Result<Box<dyn Verifier>, VerifierError> {
        Ok(match self {
            VerifierConfig::Regex(pattern) => Box::new(pattern.build()?),
            VerifierConfig::Answer(answer) => Box::new(answer.build()?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    struct Broken(fn() -> Outcome);

    impl Verifier for Broken {
        fn name(&self) -> &str {
            "broken"
        }

        fn range(&self) -> (f64, f64) {
            (0.0, 1.0)
        }

        fn score(&self, _: &View) -> Outcome {
            (self.0)()
        }
    }

    fn judged(score: fn() -> Outcome) -> Outcome {
        let item = testing::item("p", "{}");
        judge(&Broken(score), &testing::view(&item, "c"))
    }

    #[test]
    fn broken_promises_are_errors() {
        let panicked = judged(|| panic!("no {}", "luck"));
        assert_eq!(panicked, Outcome::error("`broken` panicked: no luck"));
        assert_eq!(judged(|| panic!("plain")), Outcome::error("`broken` panicked: plain"));
        let outside = judged(|| Outcome::scored(1.5));
        assert_eq!(outside, Outcome::error("`broken` gave 1.5, outside its range 0..=1"));
        assert!(judged(|| Outcome::Scored { value: f64::NAN }).is_failure());
    }

    #[test]
    fn what_is_kept_passes() {
        assert_eq!(judged(|| Outcome::scored(1.0)).value(), Some(1.0));
        assert_eq!(judged(|| Outcome::Abstain), Outcome::Abstain);
        assert_eq!(judged(|| Outcome::Timeout), Outcome::Timeout);
    }

    #[test]
    fn a_recipe_names_a_verifier_and_its_parameters() {
        let parse = |json| serde_json::from_str::<VerifierConfig>(json);
        let answer = parse(r#"{"answer": {"tag": "answer"}}"#).unwrap();
        assert_eq!(answer.build().unwrap().name(), "answer");
        let regex = parse(r#"{"regex": {"pattern": "x", "mode": "search", "dot": "any"}}"#).unwrap();
        assert_eq!(regex.build().unwrap().name(), "regex");
        for (json, part) in [
            (r#"{"regex": {"patern": "x"}}"#, "patern"),
            (r#"{"answer": {"compare": "about"}}"#, "about"),
            (r#"{"length": {}}"#, "length"),
            (r#"{"regex": {}}"#, "pattern"),
        ] {
            let error = parse(json).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
