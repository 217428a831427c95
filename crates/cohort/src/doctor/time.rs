//! Which phase takes the time, and what would shorten it.

use super::finding::{Finding, Level, Subject};
use crate::report::{Run, duration, percent, phases};

pub fn check(run: &Run) -> Vec<Finding> {
    let phases = phases(run);
    let sum: f64 = phases.iter().map(|p| p.seconds).sum();
    let Some(most) = phases.iter().max_by(|a, b| a.seconds.total_cmp(&b.seconds)) else { return Vec::new() };
    let what =
        format!("Most time goes to `{}`: {}, {}.", most.name, duration(most.seconds), percent(most.seconds / sum));
    let rest: Vec<String> = phases
        .iter()
        .filter(|p| p.name != most.name)
        .map(|p| format!("{} {}", p.name, percent(p.seconds / sum)))
        .collect();
    let why = if rest.is_empty() {
        "No other phase was recorded.".to_owned()
    } else {
        format!("The rest: {}.", rest.join(", "))
    };
    vec![Finding::new(Level::Note, Subject::Time, what, why, shorter(most.name))]
}

fn shorter(phase: &str) -> &'static str {
    match phase {
        "sample" => {
            "Lower rollout.max_new_tokens if completions end well before it, or sample fewer completions a step."
        }
        "reward" => "Make the slowest verifier faster; sampling waits for it.",
        "score" => {
            "Rows of the reference are only needed for a divergence: leave objective.kl and reward.kl out if it is not wanted."
        }
        "train" => {
            "Lower train.prompts_per_step, or train.inner_epochs where it is above 1; groups without signal cost as much as those with it."
        }
        "save" => "Raise train.save_every.",
        "eval" => "Raise eval.every, or lower eval.limit, eval.dev_limit or eval.samples.",
        "cold start" => "It is cached: the next run of the recipe starts without it, whatever its seed.",
        _ => "This is time outside all phases, such as reading data and weights.",
    }
}
