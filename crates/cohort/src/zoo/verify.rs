//! `cohort zoo verify`: the runs of a claim, its verdict, and the line that says so.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, atomic::AtomicBool},
    time::Instant,
};

use cohort_train::{Summary, recipe::hex};
use cohort_zoo::{
    Arms, ResultLine, Verdict,
    arms::MOST_SEEDS,
    claim::{Against, Budget},
    results::{ControlResult, OfArms, judge},
    systems,
    verdict::ControlSeed,
};
use sha2::{Digest, Sha256};

use super::{
    case::Case,
    check,
    error::ZooError,
    jobs::{Job, Pool, hold},
    journal,
    outcome::{largest_step, metric, numbers, told},
    round::binary,
};

/// Seeds of the control.
const CONTROL_SEEDS: u64 = 2;

/// How a claim is verified.
pub struct Options {
    /// Seeds in place of the claim's; fewer make a trial.
    pub seeds: Option<u64>,
    /// Processes at a time; one a core unless told.
    pub jobs: Option<usize>,
    /// Where runs are kept: the folder of caches.
    pub cache: PathBuf,
    pub interrupt: Arc<AtomicBool>,
    /// Told what happens, in lines.
    pub say: fn(&str),
}

/// A verify that is done.
pub struct Verified {
    pub line: ResultLine,
    /// Where the line was appended.
    pub results: PathBuf,
    /// The runs beside one another.
    pub page: Option<PathBuf>,
    /// Keys in which the arms differ, with the value of each.
    pub differences: Vec<(String, Vec<Option<String>>)>,
}

/// Runs what of a claim has not run, judges it, and appends the line to `results/NAME.jsonl`.
///
/// # Errors
/// What [`Case::read`] refuses; a baseline that is not the plain recipe; a run that fails; budgets that are not equal; an
/// interrupt, after which the same call goes on.
pub fn verify(name: &str, options: &Options) -> Result<Verified, ZooError> {
    let case = Case::read(name)?;
    let claim = &case.claim;
    let seeds = options.seeds.unwrap_or(claim.seeds);
    if seeds == 0 || seeds > claim.seeds.max(claim.up_to.map_or(0, |up_to| up_to.seeds)) {
        return Err(ZooError::Refused {
            file: case.file.clone(),
            problem: format!("--seeds must lie in 1 to the claim's {}, got {seeds}", claim.seeds),
            hint: format!("the number of seeds is part of the claim, at most {MOST_SEEDS}; fewer make a trial"),
        });
    }
    let _lock = hold(&options.cache.join("zoo").join(name).join("verify.lock"))?;
    let mut runs = Runs::open(&case, options, seeds)?;
    runs.hold_baseline()?;
    let is_trial = seeds < claim.seeds;
    let most = claim.up_to.filter(|_| !is_trial && options.seeds.is_none()).map_or(seeds, |up_to| up_to.seeds);
    let mut count = seeds;
    let line = loop {
        runs.of_seeds(count)?;
        let line = runs.line(count, is_trial)?;
        if line.verdict != Verdict::Inconclusive || count >= most {
            break line;
        }
        count += 1;
        (options.say)(&format!("inconclusive after {} seeds, so one more is run, up to {most}", count - 1));
    };
    let page = runs.page(count);
    let results = journal::append(name, &line)?;
    runs.close(count)?;
    Ok(Verified { line, results, page, differences: case.differences() })
}

/// The runs of a claim in their folder.
struct Runs<'a> {
    case: &'a Case,
    options: &'a Options,
    folder: PathBuf,
    jobs: usize,
    workers: usize,
    cores: usize,
    begun: Instant,
    /// Seconds that verifies spent here before.
    before: f64,
    method: Vec<Summary>,
    baseline: Vec<Summary>,
    control: Vec<Summary>,
    said: Mutex<()>,
}

impl<'a> Runs<'a> {
    fn open(case: &'a Case, options: &'a Options, seeds: u64) -> Result<Self, ZooError> {
        // A run is good for one claim, one pair of arms and one binary.
        let sum = hex(&Sha256::digest(format!("{}{}", case.sum(), binary()?)));
        let folder = options.cache.join("zoo").join(&case.name).join(&sum[..16]);
        // What is done is not shown again: a new verify runs anew.
        let done: u64 = read_number(&folder.join("verified"));
        if done >= seeds && folder.is_dir() {
            fs::remove_dir_all(&folder).map_err(ZooError::io(&folder))?;
        }
        fs::create_dir_all(&folder).map_err(ZooError::io(&folder))?;
        (options.say)(&format!("{}: runs are in {}", case.name, folder.display()));
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let jobs = options.jobs.unwrap_or(cores).max(1);
        Ok(Self {
            case,
            options,
            jobs,
            workers: (cores / jobs).max(1),
            cores,
            begun: Instant::now(),
            before: read_number(&folder.join("seconds")),
            folder,
            method: Vec::new(),
            baseline: Vec::new(),
            control: Vec::new(),
            said: Mutex::new(()),
        })
    }

    /// Holds the baseline against the plain recipe, by runs that go alone.
    fn hold_baseline(&self) -> Result<(), ZooError> {
        let progress = |label: &str, _: &Summary| (self.options.say)(&format!("  {label}: done"));
        let interrupt = self.options.interrupt.clone();
        let pool = Pool { jobs: 1, workers: self.cores, interrupt, progress: &progress };
        check::hold_baseline(self.case, &self.folder, &pool)
    }

    fn seconds(&self) -> f64 {
        self.before + self.begun.elapsed().as_secs_f64()
    }

    fn job(&self, arm: &str, seed: u64, table: &toml::Table, after: Option<usize>) -> Job {
        let baseline = self.folder.join(format!("baseline-{seed}"));
        Job {
            label: format!("{arm}, seed {seed}"),
            arm: Arms::with_baseline_directory(table, &baseline.display().to_string()),
            seed,
            set: self.case.claim.compares.keys_of_seed(seed),
            folder: self.folder.join(format!("{arm}-{seed}")),
            after: after.filter(|_| Arms::reads_baseline(table)),
        }
    }

    /// Runs both arms of seeds `0..count`, and the control of its own; what is finished is read.
    fn of_seeds(&mut self, count: u64) -> Result<(), ZooError> {
        let arms = &self.case.arms;
        let mut jobs = Vec::new();
        for seed in 0..count {
            jobs.push(self.job("baseline", seed, &arms.baseline, None));
            jobs.push(self.job("method", seed, &arms.method, Some(2 * seed as usize)));
        }
        for seed in 0..CONTROL_SEEDS.min(count) {
            jobs.push(self.job("control", seed, &arms.control, Some(2 * seed as usize)));
        }
        let summaries = {
            let progress = |label: &str, summary: &Summary| self.tell(label, summary);
            let interrupt = self.options.interrupt.clone();
            Pool { jobs: self.jobs, workers: self.workers, interrupt, progress: &progress }.run(&jobs)?
        };
        let (arms, control) = summaries.split_at(2 * count as usize);
        self.baseline = arms.iter().step_by(2).cloned().collect();
        self.method = arms.iter().skip(1).step_by(2).cloned().collect();
        self.control = control.to_vec();
        Ok(())
    }

    fn tell(&self, label: &str, summary: &Summary) {
        let name = &self.case.claim.metric;
        let value = metric(summary, name)
            .map_or("not measured".to_owned(), |(before, after)| format!("{before:.4} before, {after:.4} after"));
        let _order = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        (self.options.say)(&format!(
            "  {label}: {name} {value}; {} tokens, {} steps, {:.0} s",
            summary.tokens.completion, summary.steps, summary.seconds.total
        ));
        // For the minutes of a verify that is killed and goes on.
        let _ = fs::write(self.folder.join("seconds"), format!("{:.1}", self.seconds()));
    }

    /// The line of the first `count` seeds.
    fn line(&self, count: u64, trial: bool) -> Result<ResultLine, ZooError> {
        self.hold_budget()?;
        let (case, claim) = (self.case, &self.case.claim);
        let of = |runs: &[Summary], after: bool| -> Result<Vec<f64>, ZooError> {
            let value = |run: &Summary| metric(run, &claim.metric).map(|(b, a)| if after { a } else { b });
            let values: Option<Vec<f64>> = runs.iter().map(value).collect();
            values.ok_or_else(|| self.unjudged(&format!("a run lacks the metric {}", claim.metric)))
        };
        let (method, baseline, before) = (of(&self.method, true)?, of(&self.baseline, true)?, of(&self.method, false)?);
        let values = of(&self.control, true)?;
        let against = match claim.control.against() {
            Against::ColdStart => of(&self.control, false)?,
            Against::Baseline => baseline[..values.len()].to_vec(),
        };
        let pairs = values.iter().zip(&against).map(|(&value, &against)| ControlSeed { value, against });
        // A control of one seed shows nothing.
        let pairs: Vec<ControlSeed> = pairs.filter(|_| values.len() as u64 == CONTROL_SEEDS).collect();
        let judged = judge(claim, &method, &baseline, &pairs);
        let (difference, verdict, exposed) = judged.ok_or_else(|| self.unjudged("a number is not finite"))?;
        let tokens = |runs: &[Summary]| runs.iter().map(|run| run.tokens.completion).collect();
        let steps = |runs: &[Summary]| runs.iter().map(|run| run.steps).collect();
        let all = |runs: &[Summary]| {
            runs.iter().map(|run| run.eval.after.as_ref().map(numbers).unwrap_or_default()).collect()
        };
        Ok(ResultLine {
            name: case.name.clone(),
            verdict,
            metric: claim.metric.clone(),
            method,
            baseline,
            difference,
            minutes: (self.seconds() / 6.0).round() / 10.0,
            tokens: OfArms { method: tokens(&self.method), baseline: tokens(&self.baseline) },
            seeds: (0..count).collect(),
            recipe_hash: case.recipe.hash(),
            claim_hash: case.claim_hash(),
            commit: journal::commit(),
            machine: journal::machine(self.method.first().map_or("", |run| &run.cpu)),
            control: ControlResult {
                name: claim.control.name().to_owned(),
                seeds: (0..values.len() as u64).collect(),
                values,
                against,
                exposed,
                tokens: tokens(&self.control),
            },
            trial,
            system: case.system.as_ref().map(|s| s.number).or_else(|| Some(systems::by_name(&case.name)?.number)),
            kind: claim.kind,
            prefer: claim.prefer,
            effect: claim.effect,
            budget: claim.budget,
            before,
            steps: OfArms { method: steps(&self.method), baseline: steps(&self.baseline) },
            evaluations: OfArms { method: all(&self.method), baseline: all(&self.baseline) },
            beside: self.beside()?,
        })
    }

    /// What the claim has told beside its metric.
    fn beside(&self) -> Result<BTreeMap<String, OfArms<[f64; 2]>>, ZooError> {
        let of = |arm: &str, runs: &[Summary], name: &str| -> Result<Vec<[f64; 2]>, ZooError> {
            let told = |(seed, run): (usize, &Summary)| told(&self.folder.join(format!("{arm}-{seed}")), run, name);
            let pairs: Option<Vec<[f64; 2]>> = runs.iter().enumerate().map(told).collect();
            pairs.ok_or_else(|| self.unjudged(&format!("a run lacks `{name}` of claim.beside")))
        };
        let one = |name: &String| -> Result<(String, OfArms<[f64; 2]>), ZooError> {
            let (method, baseline) = (of("method", &self.method, name)?, of("baseline", &self.baseline, name)?);
            Ok((name.clone(), OfArms { method, baseline }))
        };
        self.case.claim.beside.iter().map(one).collect()
    }

    fn unjudged(&self, problem: &str) -> ZooError {
        ZooError::Numbers { name: self.case.name.clone(), problem: problem.to_owned() }
    }

    /// Both arms spent the same, to one step.
    fn hold_budget(&self) -> Result<(), ZooError> {
        let (case, claim) = (self.case, &self.case.claim);
        let refused = |problem: String, hint: &str| {
            Err(ZooError::Refused { file: case.file.clone(), problem, hint: hint.to_owned() })
        };
        let named = [("method", &self.method), ("baseline", &self.baseline), ("control", &self.control)];
        let cap = case.recipe.train.steps;
        if claim.budget == Budget::Examples {
            let most = case.largest_step();
            for (seed, (m, b)) in self.method.iter().zip(&self.baseline).enumerate() {
                if m.examples.abs_diff(b.examples) > most {
                    let (m, b) = (m.examples, b.examples);
                    return refused(
                        format!("the arms of seed {seed} took {m} and {b} examples: more than one step ({most}) apart"),
                        "prompts_per_step times train.steps and batch_size times candidates times score.steps must add up to the same in both arms",
                    );
                }
            }
        }
        for (arm, runs) in named {
            for (seed, run) in runs.iter().enumerate() {
                let spent = run.tokens.completion;
                match (claim.budget, claim.tokens) {
                    (Budget::Tokens, Some(tokens)) if spent < tokens => {
                        return refused(
                            format!(
                                "{arm}, seed {seed}, ended after {} steps and {spent} of {tokens} tokens: {}",
                                run.steps, run.ended
                            ),
                            "train.steps is a cap that a claim of tokens must not meet; raise it",
                        );
                    }
                    (Budget::Updates, _) if run.steps != cap => {
                        return refused(
                            format!("{arm}, seed {seed}, ended after {} of {cap} steps: {}", run.steps, run.ended),
                            "a claim of updates runs train.steps in both arms",
                        );
                    }
                    _ => {}
                }
            }
        }
        if claim.budget == Budget::Tokens {
            for (seed, (m, b)) in self.method.iter().zip(&self.baseline).enumerate() {
                let (m, b) = (m.tokens.completion, b.tokens.completion);
                let step = |arm: &str| largest_step(&self.folder.join(format!("{arm}-{seed}")));
                let most = step("method").max(step("baseline"));
                if m.abs_diff(b) > most {
                    return refused(
                        format!(
                            "the arms of seed {seed} sampled {m} and {b} tokens: more than one step ({most}) apart"
                        ),
                        "claim.tokens must end both arms",
                    );
                }
            }
        }
        Ok(())
    }

    /// The runs side by side, beside them.
    fn page(&self, count: u64) -> Option<PathBuf> {
        let path = self.folder.join("compare.html");
        let of = |arm: &str, n: u64| (0..n).map(|seed| self.folder.join(format!("{arm}-{seed}"))).collect::<Vec<_>>();
        let runs = [of("method", count), of("baseline", count), of("control", CONTROL_SEEDS.min(count))].concat();
        let written = crate::compare::compare(&runs)
            .map_err(|e| e.to_string())
            .and_then(|comparison| crate::compare::page::write(&comparison, &path).map_err(|e| e.to_string()));
        match written {
            Ok(()) => Some(path),
            Err(e) => {
                (self.options.say)(&format!("the page of the runs could not be written: {e}"));
                None
            }
        }
    }

    fn close(&self, count: u64) -> Result<(), ZooError> {
        let path = self.folder.join("verified");
        fs::write(&path, count.to_string()).map_err(ZooError::io(&path))?;
        // Runs of other binaries and claims that are done are of no more use; those that are not may be under way.
        let others = self.folder.parent().and_then(|folder| fs::read_dir(folder).ok()).into_iter().flatten().flatten();
        for old in others.map(|entry| entry.path()).filter(|p| *p != self.folder && p.join("verified").is_file()) {
            let _ = fs::remove_dir_all(old);
        }
        Ok(())
    }
}

/// A number that a small file holds; the default where there is none.
fn read_number<T: std::str::FromStr + Default>(path: &Path) -> T {
    fs::read_to_string(path).ok().and_then(|text| text.trim().parse().ok()).unwrap_or_default()
}
