//! Whether the trainer sees the probabilities that the sampler drew from.

use std::{fs, path::Path};

use cohort_core::{Gap, Precision, RedLine};

use super::finding::{Finding, Level, Subject};
use crate::report::{Run, short};

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
    let line = nats(Precision::Bf16, 0);
    if gap > line {
        let why = format!(
            "That is above the red line of {line:.0e}: more than another precision makes; its weights may be older (`policy_lag`)."
        );
        let to_do = "Push more often (rollout.sampler.server.every), look at `logprobs`, or correct for it by objective.mismatch.";
        return Finding::new(Level::Warning, Subject::SamplerTrainerGap, what, why, to_do);
    }
    let why = format!("The red line of another engine is {line:.0e}.");
    Finding::new(Level::Good, Subject::SamplerTrainerGap, what, why, "")
}

/// By the size of the newest weights; without them, the stricter one.
fn red_line(run: &Path) -> f64 {
    let parameters = fs::metadata(run.join("checkpoints/last/model.safetensors")).map_or(0, |file| file.len() / 4);
    nats(Precision::F32, parameters as usize)
}

fn nats(precision: Precision, parameters: usize) -> f64 {
    RedLine::of(precision, parameters).compare(Gap::default()).0
}
