//! What a reward term says of a completion.

pub mod answer;
pub(crate) mod cache;
pub mod code;
mod columns;
mod described;
pub mod embedding;
pub mod fenced;
pub mod format;
pub mod function;
pub mod geometry;
pub mod json;
pub mod judge;
pub mod length;
mod limits;
pub mod math;
mod means;
pub mod noisy;
pub mod number;
pub mod pattern;
pub mod program;
mod pure;
pub mod ranking;
mod reading;
mod registry;
mod service;
pub mod signal;
pub mod sql;
pub mod text;
pub mod trained;
mod verdict;
pub mod verilog;
mod words;

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::Instant,
};

use cohort_core::{Outcome, StopReason};
use cohort_encoder::EncoderError;
use serde_json::Value;

pub use self::{
    answer::Answer,
    described::Described,
    function::{IntoOutcome, from_fn},
    means::{Hub, Means, Sandbox, Variables},
    pattern::Pattern,
    registry::{Configured, DESCRIBED, VerifierConfig},
    verdict::{Asked, Verdict},
};
use crate::{locate::LocateError, task::Item};

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
    /// The step that asks; 0 outside training.
    pub step: u64,
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

/// What a verifier looks at to score one completion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// The completion alone.
    Episode,
    /// All completions of its group: win rates, ranks, a program that compares.
    Group,
}

/// A reward term's source of verdicts: a function of the views alone.
///
/// A wrong completion is scored; [`Outcome::Error`] is for a problem or a verifier that is
/// broken. Call it through [`judge`].
pub trait Verifier: Send + Sync {
    fn name(&self) -> &str;

    /// The least and the greatest score, both included. 0 is worst and 1 is right for a
    /// pass/fail term.
    fn range(&self) -> (f64, f64);

    fn reach(&self) -> Reach {
        Reach::Episode
    }

    /// How many completions it can be asked about at once, beyond one a core: above 1 for terms that wait for others.
    fn at_once(&self) -> usize {
        1
    }

    fn score(&self, view: &View) -> Verdict;

    /// A verdict a view, for the completions of one group, in their order.
    fn score_group(&self, views: &[View]) -> Vec<Verdict> {
        views.iter().map(|view| self.score(view)).collect()
    }

    /// The answer that a completion gives, for majority votes; `None` where there is none, or where the term
    /// is not about answers.
    fn answer(&self, _completion: &str) -> Option<String> {
        None
    }
}

/// The verdicts of `verifier` on the completions of one group. It may panic or break its promises: a panic is an
/// [`Outcome::Error`] with its message, and so is a score that is not finite or out of range.
pub fn judge(verifier: &dyn Verifier, views: &[View]) -> Vec<Verdict> {
    judge_timed(verifier, views).into_iter().map(|(verdict, _)| verdict).collect()
}

/// As [`judge`], with the seconds that each verdict took: what the verifier says of it, else the wall clock; of a group that is
/// judged at once, each took all of it.
pub fn judge_timed(verifier: &dyn Verifier, views: &[View]) -> Vec<(Verdict, f64)> {
    let name = verifier.name();
    let panicked =
        |panic: Box<dyn std::any::Any + Send>| Outcome::error(format!("`{name}` panicked: {}", message(&*panic)));
    let timed = |work: &dyn Fn() -> Vec<Verdict>| {
        let begun = Instant::now();
        let verdicts = work();
        let seconds = begun.elapsed().as_secs_f64();
        let held = verdicts.into_iter().map(|verdict| held_to_its_range(verifier, verdict));
        let with_time = |verdict: Verdict| {
            let seconds = verdict.asked.map_or(seconds, |asked| asked.seconds);
            (verdict, seconds)
        };
        held.map(with_time).collect::<Vec<_>>()
    };
    match verifier.reach() {
        Reach::Episode => {
            let one = |view| catch_unwind(AssertUnwindSafe(|| verifier.score(view)));
            let one = |view| vec![one(view).unwrap_or_else(|panic| panicked(panic).into())];
            views.iter().flat_map(|view| timed(&|| one(view))).collect()
        }
        Reach::Group => timed(&|| {
            let all = |outcome: Outcome| vec![Verdict::from(outcome); views.len()];
            match catch_unwind(AssertUnwindSafe(|| verifier.score_group(views))) {
                Ok(verdicts) if verdicts.len() == views.len() => verdicts,
                Ok(verdicts) => {
                    let (got, expected) = (verdicts.len(), views.len());
                    all(Outcome::error(format!("`{name}` gave {got} verdicts on {expected} completions")))
                }
                Err(panic) => all(panicked(panic)),
            }
        }),
    }
}

/// The verdict on one completion alone.
pub fn judge_one(verifier: &dyn Verifier, view: &View) -> Verdict {
    let verdict = judge(verifier, std::slice::from_ref(view)).pop();
    verdict.unwrap_or_else(|| Outcome::error("no verdict").into())
}

fn held_to_its_range(verifier: &dyn Verifier, mut verdict: Verdict) -> Verdict {
    let Some(value) = verdict.outcome.value() else { return verdict };
    let (low, high) = verifier.range();
    verdict.outcome = match Outcome::scored(value) {
        Outcome::Scored { .. } if !(low..=high).contains(&value) => {
            Outcome::error(format!("`{}` gave {value}, outside its range {low}..={high}", verifier.name()))
        }
        finite_or_not => finite_or_not,
    };
    verdict
}

fn message(panic: &(dyn std::any::Any + Send)) -> &str {
    match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
        (Some(text), _) => text,
        (None, Some(text)) => text,
        (None, None) => "(no message)",
    }
}

/// A verifier that cannot be made from its parameters. The caller knows the key in the recipe.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum VerifierError {
    #[error("`pattern` is not a regular expression: {reason}")]
    BadPattern { reason: String },
    #[error("`tag` and `after` are both set: the answer stands in a tag, or after a mark")]
    TagAndAfter,
    #[error("`{parameter}` is {got:?}, and must be {expected}")]
    BadText { parameter: &'static str, got: String, expected: &'static str },
    #[error("`{parameter}` is {got}, and must be {expected}")]
    BadNumber { parameter: &'static str, got: f64, expected: &'static str },
    #[error(transparent)]
    Locate(#[from] LocateError),
    /// A model that its name does not lead to.
    #[error("`{parameter}` is {name:?}: {reason}")]
    Unreachable { parameter: &'static str, name: String, reason: String },
    #[error(
        "{0}\n  hint: `model` is the directory of a sentence encoder: config.json, tokenizer.json, model.safetensors"
    )]
    Encoder(#[from] EncoderError),
    /// Something outside the recipe is missing: a folder, a program, a key.
    #[error("{what}\n  hint: {hint}")]
    Missing { what: String, hint: String },
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

        fn score(&self, _: &View) -> Verdict {
            (self.0)().into()
        }
    }

    fn judged(score: fn() -> Outcome) -> Outcome {
        let item = testing::item("p", "{}");
        judge_one(&Broken(score), &testing::view(&item, "c")).outcome
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

    /// Ranks completions by length, and says one verdict too few where a completion is empty.
    struct Longest;

    impl Verifier for Longest {
        fn name(&self) -> &str {
            "longest"
        }

        fn range(&self) -> (f64, f64) {
            (0.0, 1.0)
        }

        fn reach(&self) -> Reach {
            Reach::Group
        }

        fn score(&self, view: &View) -> Verdict {
            Outcome::pass_if(!view.completion.is_empty()).into()
        }

        fn score_group(&self, views: &[View]) -> Vec<Verdict> {
            let longest = views.iter().map(|v| v.completion.len()).max().unwrap_or(0);
            let said = views.iter().filter(|v| !v.completion.is_empty());
            said.map(|v| Outcome::pass_if(v.completion.len() == longest).into()).collect()
        }
    }

    #[test]
    fn a_group_is_judged_at_once() {
        let item = testing::item("p", "{}");
        let outcomes = |completions: &[&str]| -> Vec<Outcome> {
            let views: Vec<View> = completions.iter().map(|c| testing::view(&item, c)).collect();
            judge(&Longest, &views).into_iter().map(|v| v.outcome).collect()
        };
        assert_eq!(outcomes(&["a", "abc"]), [Outcome::scored(0.0), Outcome::scored(1.0)]);
        assert_eq!(outcomes(&["a", ""]), vec![Outcome::error("`longest` gave 1 verdicts on 2 completions"); 2]);
    }
}

#[cfg(test)]
#[path = "pure_tests.rs"]
mod pure_tests;
