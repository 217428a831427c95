//! Whether the trainer sees the probabilities that the sampler drew from.

use std::{fs, path::Path};

use super::finding::{Finding, Level, Subject};
use crate::report::{Run, short};

/// Nats: what rounding in f32 may come to up to [`SMALL`] parameters, and above.
const RED_LINE_SMALL: f64 = 1e-5;
const RED_LINE_LARGE: f64 = 1e-4;
/// Nats, in the mean: what the precision of a server that samples may come to.
const RED_LINE_OUTSIDE: f64 = 5e-3;
/// Parameters.
const SMALL: u64 = 10_000_000;

pub fn check(run: &Run) -> Vec<Finding> {
    if let Some(gap) = run.values("logp_gap/mean").into_iter().reduce(f64::max) {
        return vec![outside(gap)];
    }
    let summed = run.summary.as_ref().and_then(|s| s.logp_gap_max);
    let Some(gap) = run.values("logp_gap").into_iter().chain(summed).reduce(f64::max) else { return Vec::new() };
    let line = red_line(&run.path);
    let what = format!("Sampler and trainer differ by at most {} nats in a log-probability.", short(gap));
    let finding = if gap > line {
        let why = format!(
            "That is above the red line of {line:.0e}: updates are computed for other probabilities than those sampled from."
        );
        let to_do =
            "This is a fault of the engine on this machine: please report it with the output of `cohort doctor`.";
        Finding::new(Level::Warning, Subject::SamplerTrainerGap, what, why, to_do)
    } else {
        let why = format!("The red line is {line:.0e}: a larger gap biases every ratio.");
        Finding::new(Level::Good, Subject::SamplerTrainerGap, what, why, "")
    };
    vec![finding]
}

/// Of a run whose samples a server drew: `gap` is the largest mean of a step.
fn outside(gap: f64) -> Finding {
    let what = format!("Server and trainer differ by at most {} nats in the mean of a step.", short(gap));
    if gap > RED_LINE_OUTSIDE {
        let why = format!(
            "That is above the red line of {RED_LINE_OUTSIDE:.0e}: more than another precision makes; its weights may be older (`policy_lag`)."
        );
        let to_do = "Push more often (rollout.sampler.server.every), look at `logprobs`, or correct for it by objective.mismatch.";
        return Finding::new(Level::Warning, Subject::SamplerTrainerGap, what, why, to_do);
    }
    let why = format!("The red line of another engine is {RED_LINE_OUTSIDE:.0e}.");
    Finding::new(Level::Good, Subject::SamplerTrainerGap, what, why, "")
}

/// By the size of the newest weights; without them, the stricter one.
fn red_line(run: &Path) -> f64 {
    let parameters = fs::metadata(run.join("checkpoints/last/model.safetensors")).map_or(0, |file| file.len() / 4);
    if parameters > SMALL { RED_LINE_LARGE } else { RED_LINE_SMALL }
}
