//! Whether groups show anything to learn from, and if not, why.

use super::{
    finding::{Finding, Level, Subject},
    window::{last_fifth, mean},
};
use crate::report::{Run, percent};

/// Below this share of groups with signal, nineteen of twenty groups are sampled for nothing.
const NEARLY_NONE: f64 = 0.05;
/// Below this share, most of the sampling is spent on groups that teach nothing.
const FEW: f64 = 0.3;
/// Above this share of a cause, it is the cause: what is left could hardly make a signal.
const NEARLY_ALL: f64 = 0.9;
/// At this share of rewards that gave no number, most groups have too few to compare.
const HALF: f64 = 0.5;

pub fn check(run: &Run) -> Vec<Finding> {
    let signal = run.values("groups/signal");
    let Some(share) = mean(last_fifth(&signal)) else { return Vec::new() };
    let what = format!("{} of the groups show a difference in reward, in the last fifth of the steps.", percent(share));
    if share >= FEW {
        let why = "A group teaches something only where its rewards differ.";
        return vec![Finding::new(Level::Good, Subject::Signal, what, why, "")];
    }
    let cause = cause(run);
    let (why, to_do) = cause.words(run);
    let level = match cause {
        Cause::Right => Level::Note,
        _ if share < NEARLY_NONE => Level::Warning,
        _ => Level::Note,
    };
    vec![Finding::new(level, Subject::Signal, what, why, to_do)]
}

/// Why rewards within a group are equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    Failed,
    Truncated,
    Right,
    Wrong,
    Equal,
}

fn cause(run: &Run) -> Cause {
    let late = |name: &str| mean(last_fifth(&run.values(name)));
    let above = |name: &str, bound: f64| late(name).is_some_and(|share| share > bound);
    if above("reward/unscored", HALF) {
        Cause::Failed
    } else if above("truncated", NEARLY_ALL) {
        Cause::Truncated
    } else if above("correct", NEARLY_ALL) {
        Cause::Right
    } else if late("correct").is_some_and(|share| share < 1.0 - NEARLY_ALL) {
        Cause::Wrong
    } else {
        Cause::Equal
    }
}

impl Cause {
    fn words(self, run: &Run) -> (String, &'static str) {
        let late = |name: &str| mean(last_fifth(&run.values(name))).map_or_else(String::new, percent);
        match self {
            Cause::Failed => (
                format!("The reward of {} of the completions failed or gave no number: there is nothing to compare.", late("reward/unscored")),
                "Look at the verifier and the columns that it reads; `cohort inspect` shows each verdict.",
            ),
            Cause::Truncated => {
                let cap = run.recipe.as_ref().map_or(String::new(), |r| format!(" (rollout.max_new_tokens = {})", r.rollout.max_new_tokens));
                (
                    format!("{} of the completions are cut at the cap{cap}, before their answer: all are equally wrong.", late("truncated")),
                    "Raise rollout.max_new_tokens, or start from a policy that ends its answers.",
                )
            }
            Cause::Right => (
                format!("{} of the completions are right: the task is learned, and equal rewards teach nothing more.", late("correct")),
                "Stop here, or take harder prompts.",
            ),
            Cause::Wrong => (
                format!("Only {} of the completions are right: nearly all rewards are equal because nearly all are wrong.", late("correct")),
                "Start from a policy that is sometimes right, take easier prompts, add a reward with partial credit, or raise rollout.group_size.",
            ),
            Cause::Equal => (
                "Completions of one prompt are right together or wrong together: between prompts rewards differ, within them they do not.".to_owned(),
                "Raise rollout.temperature or rollout.group_size, or take prompts of middling difficulty.",
            ),
        }
    }
}
