//! What is held before the runs of a claim: that the baseline arm is, to the bit, the plain recipe that the claim names, and
//! that the runs make the claim's metric and what it names beside it.

use std::{fs, path::Path};

use cohort_train::recipe::low::StageName;

use super::{
    case::Case,
    error::ZooError,
    jobs::{Job, Pool},
    outcome::{metric, numbers, told},
};

/// Steps that both recipes run.
const STEPS: u64 = 2;

/// What was measured and what was sampled; beside them all weights of the last checkpoint must be equal.
const LOGS: [&str; 4] = ["metrics.jsonl", "rollouts.jsonl", "reward_model.jsonl", "score.jsonl"];

/// Runs the baseline arm and the plain recipe for two steps and holds them against each other. The first of the two makes
/// the cold start that all runs share.
///
/// # Errors
/// A file that differs; a metric that the evaluation does not make, or a number beside it that nothing does.
pub fn hold_baseline(case: &Case, folder: &Path, pool: &Pool<'_>) -> Result<(), ZooError> {
    let mut set = vec![format!("train.steps={STEPS}"), "eval.every=0".to_owned()];
    // Samples are drawn only where the metric is of samples.
    let told_of = || std::iter::once(&case.claim.metric).chain(&case.claim.beside);
    if !told_of().any(|name| name.contains('@')) {
        set.push("eval.samples=0".to_owned());
    }
    if case.baseline_has(StageName::Score) {
        set.push(format!("score.steps={STEPS}"));
    }
    let job = |name: &str, label: &str, arm| Job {
        label: label.to_owned(),
        arm,
        seed: 0,
        set: set.clone(),
        folder: folder.join(name),
        after: None,
    };
    let baseline = job("check-baseline", "two steps of the baseline, and the cold start", case.arms.baseline.clone());
    let plain = job("check-plain", "two steps of the plain recipe", case.arms.plain.clone());
    let refused = |problem: String, hint: String| ZooError::Refused { file: case.file.clone(), problem, hint };
    let first = pool.run(std::slice::from_ref(&baseline))?;
    if let Some(summary) = first.first()
        && metric(summary, &case.claim.metric).is_none()
    {
        let made = summary.eval.after.as_ref().map(|e| numbers(e).into_keys().collect::<Vec<_>>()).unwrap_or_default();
        return Err(refused(
            format!("`claim.metric` is no number of the evaluation on the test split, got \"{}\"", case.claim.metric),
            format!("the recipe's evaluation makes: {}", made.join(", ")),
        ));
    }
    if let Some(summary) = first.first()
        && let Some(name) = case.claim.beside.iter().find(|name| told(&baseline.folder, summary, name).is_none())
    {
        return Err(refused(
            format!("`claim.beside` names \"{name}\", which is no number of the evaluation and no metric of a step"),
            format!(
                "the evaluation's are in {0}/summary.json, those of steps in {0}/metrics.jsonl",
                baseline.folder.display()
            ),
        ));
    }
    pool.run(std::slice::from_ref(&plain))?;
    for name in LOGS.map(str::to_owned).into_iter().chain(weights(&baseline.folder)?) {
        // What one of them lacks is no less a difference.
        let read = |run: &Path| fs::read(run.join(&name)).ok();
        if read(&baseline.folder) != read(&plain.folder) {
            return Err(refused(
                format!(
                    "the baseline arm is not the plain recipe `{}`: {name} differs after {STEPS} steps",
                    case.claim.base
                ),
                "claim.switch must set back all that the method is, or claim.base must name what the baseline is"
                    .to_owned(),
            ));
        }
    }
    Ok(())
}

/// The tensor files of a run's last checkpoint.
fn weights(run: &Path) -> Result<Vec<String>, ZooError> {
    const LAST: &str = "checkpoints/last";
    let folder = run.join(LAST);
    let entries = fs::read_dir(&folder).map_err(ZooError::io(&folder))?.flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    Ok(names.filter(|name| name.ends_with(".safetensors")).map(|name| format!("{LAST}/{name}")).collect())
}
