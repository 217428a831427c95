//! Whether the run is over, and how.

use cohort_train::run_dir::RunState;

use super::finding::{Finding, Level, Subject};
use crate::report::Run;

pub fn check(run: &Run) -> Vec<Finding> {
    let Some(manifest) = &run.manifest else {
        let what = "There is no manifest that can be read.";
        let why = "Without it nothing of the run counts: the manifest is what commits steps and checkpoints.";
        return vec![Finding::new(Level::Warning, Subject::State, what, why, "Start anew with another --run-dir.")];
    };
    let (step, asked) = (manifest.step, run.asked_steps());
    let stage = if manifest.stage.is_empty() { "rl" } else { &manifest.stage };
    let finding = match manifest.state {
        RunState::Complete => {
            let ended = run.summary.as_ref().map(|s| s.ended.as_str()).filter(|e| !e.is_empty());
            let why = ended.map_or("No reason was recorded.".to_owned(), |ended| format!("It ended because {ended}."));
            let more = match stage == cohort_train::stage::RL {
                true => "To go on, raise train.steps with --set and give --resume.",
                false => "It is over: a longer one starts anew with another --run-dir.",
            };
            Finding::new(
                Level::Good,
                Subject::State,
                format!("The run is complete: {step} of {asked} steps."),
                why,
                more,
            )
        }
        RunState::Failed => {
            let why = manifest.reason.clone().unwrap_or_else(|| "No reason was recorded.".to_owned());
            let what = format!("The run failed; step {step} of the {stage} stage is the last one committed.");
            let to_do = "Mend the cause, then go on from there with --resume.";
            Finding::new(Level::Warning, Subject::State, what, why, to_do)
        }
        RunState::Running => {
            let what = format!(
                "The run is under way or was stopped: step {step} of the {stage} stage is committed, {asked} are asked for."
            );
            let why = match run.last_step().filter(|_| stage == cohort_train::stage::RL) {
                Some(written) if written > step => {
                    format!(
                        "Step {written} is written but not committed: after a crash it would be redone from step {}.",
                        step + 1
                    )
                }
                _ => "Everything that was written is committed.".to_owned(),
            };
            let to_do = "If no process works on it, go on with --resume; nothing that is committed is lost.";
            Finding::new(Level::Note, Subject::State, what, why, to_do)
        }
    };
    vec![finding]
}
