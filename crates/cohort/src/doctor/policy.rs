//! What has become of the policy's distribution: entropy, divergence, length.

use super::{
    finding::{Finding, Level, Subject},
    window::{first_fifth, last_fifth, mean},
};
use crate::report::{Run, percent, short};

/// Left of its entropy, a policy hardly explores any more: groups turn into copies.
const COLLAPSED: f64 = 0.1;
/// Times its entropy, a policy drifts into noise.
const EXPLODED: f64 = 3.0;
/// From this share of right completions on, low entropy is what a learned task looks like.
const LEARNED: f64 = 0.9;
/// Nats an action from the reference: there an action is e times likelier or less likely on average.
const FAR: f64 = 1.0;
/// From this share on, what is cut decides the reward as much as what is said.
const MANY_CUT: f64 = 0.2;
/// Below this share, cuts are stray.
const SOME_CUT: f64 = 0.05;

pub fn check(run: &Run) -> Vec<Finding> {
    [entropy(run), kl(run), truncation(run)].into_iter().flatten().collect()
}

fn entropy(run: &Run) -> Option<Finding> {
    let values = run.values("entropy");
    let (from, to) = (mean(first_fifth(&values))?, mean(last_fifth(&values))?);
    let went = format!("from {} to {} nats an action", short(from), short(to));
    let is_learned = mean(last_fifth(&run.values("correct"))).is_some_and(|share| share >= LEARNED);
    if to < COLLAPSED * from {
        let what = format!("The entropy collapsed, {went}.");
        let why = "A policy that is sure of everything samples copies: groups lose their signal, and mistakes stay.";
        let to_do = "Lower train.lr, add objective.entropy.bonus or objective.kl, or raise the upper clip bound.";
        let level = if is_learned { Level::Note } else { Level::Warning };
        return Some(Finding::new(level, Subject::Entropy, what, why, to_do));
    }
    (from > 0.0 && to > EXPLODED * from).then(|| {
        let what = format!("The entropy grew, {went}.");
        let why = "The policy drifts towards noise: updates undo what it knew.";
        let to_do = "Lower train.lr, or add objective.kl.";
        Finding::new(Level::Warning, Subject::Entropy, what, why, to_do)
    })
}

fn kl(run: &Run) -> Option<Finding> {
    let late = mean(last_fifth(&run.values("kl")))?;
    if late <= FAR {
        return None;
    }
    let what = format!("The policy is {} nats an action away from its reference.", short(late));
    let why =
        "That far, it writes what its reference would hardly write, and what it knew beside the task may be gone.";
    let to_do = "Raise the coefficient of the divergence, or lower train.lr.";
    Some(Finding::new(Level::Warning, Subject::Kl, what, why, to_do))
}

fn truncation(run: &Run) -> Option<Finding> {
    let late = mean(last_fifth(&run.values("truncated")))?;
    if late < SOME_CUT {
        return None;
    }
    let level = if late >= MANY_CUT { Level::Warning } else { Level::Note };
    let what = format!("{} of the completions are cut at the cap.", percent(late));
    let why = "A cut completion is judged by what it did not get to say; that teaches shortness, or nothing.";
    let to_do = "Raise rollout.max_new_tokens, or say with weight.truncated what a cut completion counts.";
    Some(Finding::new(level, Subject::Truncation, what, why, to_do))
}
