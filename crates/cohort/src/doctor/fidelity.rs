//! Whether the trainer sees the probabilities that the sampler drew from.

use std::{fs, path::Path};

use super::finding::{Finding, Level, Subject};
use crate::report::{Run, short};

/// Nats: what rounding in f32 may come to up to [`SMALL`] parameters, and above.
const RED_LINE_SMALL: f64 = 1e-5;
const RED_LINE_LARGE: f64 = 1e-4;
/// Parameters.
const SMALL: u64 = 10_000_000;

pub fn check(run: &Run) -> Vec<Finding> {
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

/// By the size of the newest weights; without them, the stricter one.
fn red_line(run: &Path) -> f64 {
    let parameters = fs::metadata(run.join("checkpoints/last/model.safetensors")).map_or(0, |file| file.len() / 4);
    if parameters > SMALL { RED_LINE_LARGE } else { RED_LINE_SMALL }
}
