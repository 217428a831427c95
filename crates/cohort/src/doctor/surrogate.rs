//! "The loss is 0": the surrogate's value and its clip, in words.

use cohort_core::{
    advantage::Baseline,
    objective::{Gate, Surrogate},
};

use super::{
    finding::{Finding, Level, Subject},
    window::{last_fifth, mean},
};
use crate::report::{Run, percent, short};

/// Above this share of clipped actions, most of a batch's later passes moves nothing.
const MUCH_CLIPPED: f64 = 0.3;

pub fn check(run: &Run) -> Vec<Finding> {
    let Some(recipe) = &run.recipe else { return Vec::new() };
    let Surrogate::PolicyGradient(surrogate) = &recipe.method.objective.surrogate else { return Vec::new() };
    if run.steps.is_empty() {
        return Vec::new();
    }
    let mut findings = Vec::new();
    let norms = run.values("grad_norm");
    // Without a baseline the value is the mean reward, and no riddle.
    if recipe.method.advantage.baseline == Baseline::Mean && mean(&norms).is_some_and(|norm| norm > 0.0) {
        let norm = short(mean(&norms).unwrap_or(0.0));
        findings.push(Finding::new(
            Level::Good,
            Subject::Surrogate,
            "A loss of 0, or one that hovers about it, is no fault here.",
            format!(
                "The surrogate is the ratio times the advantage. On the first update of a batch every ratio is exactly 1, so its value is the \
                 mean advantage, and a group's advantages sum to 0 (a denominator that lets long completions weigh more \
                 leaves a little). Its derivative is not 0: the gradient norm is {norm} in the mean."
            ),
            "Judge by the reward, the share of groups with signal and the accuracy, never by the loss: it does not fall as the policy gets better.",
        ));
    }
    if let Gate::Clip { .. } = surrogate.gate {
        findings.extend(clip(run, recipe.train.inner_epochs));
    }
    findings
}

fn clip(run: &Run, inner_epochs: usize) -> Option<Finding> {
    let fractions = run.values("clip_fraction");
    let late = mean(last_fifth(&fractions))?;
    let subject = Subject::ClipFraction;
    let is_always_0 = fractions.iter().all(|&f| f == 0.0);
    if is_always_0 && inner_epochs == 1 {
        let why = "The clip is inert: with train.inner_epochs = 1 each batch is used for one update, where the ratio is exactly 1.";
        let to_do = "Nothing, unless the clip is meant to act: then set train.inner_epochs to 2 or more.";
        return Some(Finding::new(Level::Note, subject, "The clip fraction is 0 at every step.", why, to_do));
    }
    if is_always_0 {
        let why = format!("No ratio left the clip in {inner_epochs} updates a batch: the updates are small.");
        let to_do = "Nothing, if the reward rises; else raise train.lr.";
        return Some(Finding::new(Level::Note, subject, "The clip fraction is 0 at every step.", why, to_do));
    }
    (late > MUCH_CLIPPED).then(|| {
        let what = format!("{} of the actions are clipped.", percent(late));
        let why = "A clipped action has no gradient: the later updates on a batch go too far for their samples.";
        Finding::new(Level::Warning, subject, what, why, "Lower train.lr or train.inner_epochs.")
    })
}
