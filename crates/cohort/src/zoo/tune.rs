//! `cohort zoo tune`: the listed trials of both arms, measured on dev, with seeds that no verify has.

use std::{fs, sync::Arc};

use cohort_train::{Summary, recipe::hex};
use cohort_zoo::{
    Arms,
    arms::trials,
    claim::{Prefer, Trials},
    dotted::set,
    results::DevLine,
};
use sha2::{Digest, Sha256};

use super::{
    case::Case,
    error::ZooError,
    jobs::{Job, Pool, hold},
    journal,
    outcome::metric,
    verify::Options,
};

/// The first seed of tuning.
const FIRST_SEED: u64 = 1000;
/// Seeds of a trial unless told.
const SEEDS: u64 = 2;

/// Runs every trial of both arms on dev, appends them to `results/NAME.dev.jsonl`, and gives them. The test split is not read.
///
/// # Errors
/// As those of [`super::verify`], without its checks of the runs.
pub fn tune(name: &str, options: &Options) -> Result<Vec<DevLine>, ZooError> {
    let case = Case::read(name)?;
    let seeds: Vec<u64> = (FIRST_SEED..FIRST_SEED + options.seeds.unwrap_or(SEEDS)).collect();
    let folder = options.cache.join("zoo").join(name).join(format!("dev-{}", &case.sum()[..16]));
    let _lock = hold(&options.cache.join("zoo").join(name).join("tune.lock"))?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let jobs = options.jobs.unwrap_or(cores).max(1);
    type Of = fn(&Trials) -> &[toml::Value];
    let arms: [(&'static str, &toml::Table, Of); 2] =
        [("baseline", &case.arms.baseline, Trials::baseline), ("method", &case.arms.method, Trials::method)];
    let mut wanted = Vec::new();
    let mut trials_of: Vec<(&'static str, Vec<(String, toml::Value)>)> = Vec::new();
    for (arm, table, of) in arms {
        for (number, trial) in trials(&case.claim, of).into_iter().enumerate() {
            let mut tried = table.clone();
            trial.iter().for_each(|(key, value)| set(&mut tried, key, value));
            set(&mut tried, "eval.split", &"dev".into());
            for &seed in &seeds {
                let baseline = folder.join(format!("baseline-0-{seed}"));
                let folder = folder.join(format!("{arm}-{number}-{seed}"));
                // What a run is of is in its folder's name no more than its number.
                let sum = hex(&Sha256::digest(tried.to_string()));
                if fs::read_to_string(folder.with_extension("sum")).is_ok_and(|was| was != sum) {
                    let _ = fs::remove_dir_all(&folder);
                }
                fs::create_dir_all(&folder).map_err(ZooError::io(&folder))?;
                fs::write(folder.with_extension("sum"), sum).map_err(ZooError::io(&folder))?;
                wanted.push(Job {
                    label: format!("{arm}, {}, seed {seed}", words(&trial)),
                    arm: Arms::with_baseline_directory(&tried, &baseline.display().to_string()),
                    seed,
                    set: case.claim.compares.keys_of_seed(seed),
                    folder,
                    after: Arms::reads_baseline(table).then_some((seed - FIRST_SEED) as usize),
                });
            }
            trials_of.push((arm, trial));
        }
    }
    let metric_name = case.claim.metric.clone();
    let progress = |label: &str, summary: &Summary| {
        let value = metric(summary, &metric_name).map_or("not measured".to_owned(), |(_, after)| format!("{after:.4}"));
        (options.say)(&format!("  {label}: {metric_name} {value} on dev, {:.0} s", summary.seconds.total));
    };
    let pool = |jobs: usize| Pool {
        jobs,
        workers: (cores / jobs).max(1),
        interrupt: Arc::clone(&options.interrupt),
        progress: &progress,
    };
    // The first makes the cold start of all.
    pool(1).run(&wanted[..1])?;
    let summaries = pool(jobs).run(&wanted)?;
    let mut tunings = Vec::new();
    for ((arm, trial), runs) in trials_of.into_iter().zip(summaries.chunks(seeds.len())) {
        let values: Option<Vec<f64>> =
            runs.iter().map(|run| metric(run, &metric_name).map(|(_, after)| after)).collect();
        let values = values.ok_or_else(|| ZooError::Numbers {
            name: name.to_owned(),
            problem: format!("a run lacks the metric {metric_name} on dev; the recipe's task needs a dev split"),
        })?;
        tunings.push(DevLine {
            name: name.to_owned(),
            split: "dev".to_owned(),
            arm: arm.to_owned(),
            trial: trial
                .into_iter()
                .map(|(key, value)| (key, serde_json::to_value(value).unwrap_or_default()))
                .collect(),
            metric: metric_name.clone(),
            seeds: seeds.clone(),
            mean: values.iter().sum::<f64>() / values.len() as f64,
            values,
            best: false,
            tokens: runs.iter().map(|run| run.tokens.completion).collect(),
            commit: journal::commit(),
        });
    }
    mark_best(&mut tunings, case.claim.prefer);
    for tuning in &tunings {
        journal::append(&format!("{name}.dev"), tuning)?;
    }
    Ok(tunings)
}

/// The best trial of each arm; of equal ones the first.
fn mark_best(tunings: &mut [DevLine], prefer: Prefer) {
    for arm in ["method", "baseline"] {
        let mut best: Option<usize> = None;
        for (i, tuning) in tunings.iter().enumerate().filter(|(_, t)| t.arm == arm) {
            if best.is_none_or(|b| prefer.gain(tuning.mean, tunings[b].mean) > 0.0) {
                best = Some(i);
            }
        }
        if let Some(best) = best {
            tunings[best].best = true;
        }
    }
}

fn words(trial: &[(String, toml::Value)]) -> String {
    match trial {
        [] => "as it is".to_owned(),
        trial => trial.iter().map(|(key, value)| format!("{key} = {value}")).collect::<Vec<_>>().join(", "),
    }
}
