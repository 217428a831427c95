//! Whether the policy is better than it was, on prompts that it was not trained on.

use super::finding::{Finding, Level, Subject};
use crate::report::{Run, percent};

pub fn check(run: &Run) -> Vec<Finding> {
    let name = "greedy";
    let (Some(before), Some(after)) = (run.before(), run.after()) else { return Vec::new() };
    let (Some(from), Some(to)) = (before.get(name), after.get(name)) else { return Vec::new() };
    let (Some([from_low, from_high]), Some([to_low, to_high])) = (before.interval.get(name), after.interval.get(name))
    else {
        return Vec::new();
    };
    let what = format!("Greedy accuracy on the test split went from {} to {}.", percent(from), percent(to));
    let spans = format!(
        "The 95 % intervals are {} to {} before and {} to {} after, over {} prompts",
        percent(*from_low),
        percent(*from_high),
        percent(*to_low),
        percent(*to_high),
        after.n
    );
    let finding = if to_low > from_high {
        Finding::new(Level::Good, Subject::Evaluation, what, format!("{spans}: they are apart."), "")
    } else if to_high < from_low {
        let to_do = "Lower train.lr, add objective.kl, or take checkpoints/best, which dev chose.";
        Finding::new(Level::Warning, Subject::Evaluation, what, format!("{spans}: the policy got worse."), to_do)
    } else {
        let to_do = "Train longer, evaluate more prompts, or look at the other findings for why it does not learn.";
        Finding::new(
            Level::Note,
            Subject::Evaluation,
            what,
            format!("{spans}: they overlap, so no change is shown."),
            to_do,
        )
    };
    vec![finding]
}
