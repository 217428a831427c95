//! What a run directory holds, read without a claim on it: a running run may write on meanwhile.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, BufRead, BufReader},
    path::{Path, PathBuf},
};

use cohort_train::{
    Recipe, Seconds, Summary,
    account::Account,
    evaluate::Evaluation,
    preflight::Preflight,
    run_dir::{Manifest, RunDirError, RunState, Tokens, read_manifest},
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

/// Why a run directory cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error(
        "{} is not a run directory: expected manifest.json, recipe.toml or metrics.jsonl in it, got {found}\n  \
         hint: give the folder that `cohort train --run-dir` wrote to", path.display()
    )]
    NotARun { path: PathBuf, found: &'static str },
    #[error("{}: {source}\n  hint: the file must be readable", path.display())]
    Io { path: PathBuf, source: io::Error },
}

/// The metrics of one step of the rl stage; what was not computed is absent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StepMetrics {
    pub step: u64,
    pub values: BTreeMap<String, f64>,
}

/// A run directory as far as it could be read.
#[derive(Clone, Debug, Default)]
pub struct Run {
    pub path: PathBuf,
    pub manifest: Option<Manifest>,
    pub summary: Option<Summary>,
    /// `recipe.toml` as it stands.
    pub recipe_text: Option<String>,
    /// The same, where this version can read it.
    pub recipe: Option<Recipe>,
    pub steps: Vec<StepMetrics>,
    /// The metrics of the score stage.
    pub score_steps: Vec<StepMetrics>,
    /// Evaluations on dev by step.
    pub dev: Vec<(u64, Evaluation)>,
    /// Seconds of the steps of the stages after the cold start, and of the supervised stage's, summed from `timings.jsonl`.
    pub step_seconds: Seconds,
    pub supervised_seconds: Seconds,
    /// What the verdicts of the rl stage were and took.
    pub account: Account,
    /// Largest resident memory that a step saw.
    pub step_peak_rss_bytes: Option<u64>,
    /// What is missing or broken, in words.
    pub remarks: Vec<String>,
}

impl Run {
    /// Reads all but the rollouts. A file that is missing or torn is a remark and no error.
    ///
    /// # Errors
    /// The path is no run directory, or a file of it cannot be opened.
    pub fn read(path: &Path) -> Result<Self, RunError> {
        refuse_strangers(path)?;
        let mut run = Run { path: path.to_owned(), ..Run::default() };
        match read_manifest(path) {
            Ok(Some(manifest)) => run.manifest = Some(manifest),
            Ok(None) => {
                run.remarks.push("There is no manifest.json: what of this run is committed is not known.".into())
            }
            Err(RunDirError::Io { path, source }) => return Err(RunError::Io { path, source }),
            Err(e) => run.remarks.push(first_line(&e.to_string())),
        }
        run.summary = run.read_json("summary.json")?;
        run.recipe_text = read_optional(&path.join("recipe.toml"))?;
        run.recipe = run.recipe_text.as_deref().and_then(|text| Recipe::parse("recipe.toml", text, &[]).ok());
        run.read_metrics()?;
        run.read_timings()?;
        Ok(run)
    }

    pub fn name(&self) -> String {
        let named = |name: Option<&str>| name.filter(|n| !n.is_empty()).map(str::to_owned);
        named(self.summary.as_ref().map(|s| s.name.as_str()))
            .or_else(|| named(self.manifest.as_ref().map(|m| m.name.as_str())))
            .or_else(|| named(self.path.file_name().and_then(|n| n.to_str())))
            .unwrap_or_else(|| "run".to_owned())
    }

    /// The state that the manifest records; without one, that of the summary.
    pub fn state(&self) -> Option<RunState> {
        let recorded = self.manifest.as_ref().map(|m| m.state);
        recorded.or_else(|| self.summary.as_ref().map(|s| s.status))
    }

    pub fn before(&self) -> Option<&Evaluation> {
        let summary = self.summary.as_ref().and_then(|s| s.eval.before.as_ref());
        summary.or_else(|| self.manifest.as_ref()?.before.as_ref())
    }

    pub fn after(&self) -> Option<&Evaluation> {
        let summary = self.summary.as_ref().and_then(|s| s.eval.after.as_ref());
        summary.or_else(|| self.manifest.as_ref()?.after.as_ref())
    }

    pub fn preflight(&self) -> Option<&Preflight> {
        let summary = self.summary.as_ref().and_then(|s| s.preflight.as_ref());
        summary.or_else(|| self.manifest.as_ref()?.preflight.as_ref())
    }

    pub fn tokens(&self) -> Option<Tokens> {
        let recorded = self.summary.as_ref().map(|s| s.tokens).or_else(|| self.manifest.as_ref().map(|m| m.tokens));
        recorded.filter(|t| *t != Tokens::default())
    }

    /// The last step that metrics were written of, committed or not.
    pub fn last_step(&self) -> Option<u64> {
        self.steps.last().map(|s| s.step)
    }

    /// Steps and values of a metric, where it was computed.
    pub fn series(&self, name: &str) -> Vec<(f64, f64)> {
        self.steps.iter().filter_map(|s| Some((s.step as f64, *s.values.get(name)?))).collect()
    }

    /// Steps and values of a metric of the score stage.
    pub fn score_series(&self, name: &str) -> Vec<(f64, f64)> {
        self.score_steps.iter().filter_map(|s| Some((s.step as f64, *s.values.get(name)?))).collect()
    }

    /// Steps that the stage under way, or the last one, is asked for.
    pub fn asked_steps(&self) -> u64 {
        let Some(manifest) = &self.manifest else { return 0 };
        let score = self.recipe.as_ref().and_then(|recipe| recipe.score.as_ref());
        match score.filter(|_| manifest.stage == cohort_train::stage::SCORE) {
            Some(score) => score.section.steps,
            None => manifest.asked_steps,
        }
    }

    /// Values of a metric, in the order of the steps.
    pub fn values(&self, name: &str) -> Vec<f64> {
        self.steps.iter().filter_map(|s| s.values.get(name).copied()).collect()
    }

    /// Names of all metrics, sorted.
    pub fn metric_names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.steps.iter().flat_map(|s| s.values.keys().cloned()).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// Names of the reward terms that scored at least once.
    pub fn reward_terms(&self) -> Vec<String> {
        let of_all = ["mean", "unscored"];
        let names = self.metric_names();
        let terms = names.iter().filter_map(|name| name.strip_prefix("reward/"));
        terms.filter(|name| !name.contains('/') && !of_all.contains(name)).map(str::to_owned).collect()
    }

    /// Where the rollouts are.
    pub fn rollouts(&self) -> PathBuf {
        self.path.join("rollouts.jsonl")
    }

    fn read_json<T: DeserializeOwned>(&mut self, name: &str) -> Result<Option<T>, RunError> {
        let Some(text) = read_optional(&self.path.join(name))? else { return Ok(None) };
        match serde_json::from_str(&text) {
            Ok(value) => Ok(Some(value)),
            Err(e) => {
                self.remarks.push(format!("{name} cannot be read, and is left out: {e}."));
                Ok(None)
            }
        }
    }

    fn read_metrics(&mut self) -> Result<(), RunError> {
        let mut scored = Vec::new();
        let torn = each_line(&self.path.join("score.jsonl"), |line| {
            let Ok(Value::Object(fields)) = serde_json::from_str::<Value>(line) else { return Line::Broken };
            let Some(step) = fields.get("step").and_then(Value::as_u64) else { return Line::Broken };
            scored.push(StepMetrics { step, values: numbers(&fields) });
            Line::Read
        })?;
        self.score_steps = scored;
        self.remark_on("score.jsonl", torn);
        let (mut steps, mut dev) = (Vec::new(), Vec::new());
        let torn = each_line(&self.path.join("metrics.jsonl"), |line| {
            let Ok(Value::Object(fields)) = serde_json::from_str::<Value>(line) else { return Line::Broken };
            let Some(step) = fields.get("step").and_then(Value::as_u64) else { return Line::Broken };
            if let Some(eval) = fields.get("eval") {
                let is_dev = fields.get("split").and_then(Value::as_str) == Some("dev");
                match serde_json::from_value(eval.clone()) {
                    Ok(evaluation) if is_dev => dev.push((step, evaluation)),
                    Ok(_) => {}
                    Err(_) => return Line::Broken,
                }
                return Line::Read;
            }
            steps.push(StepMetrics { step, values: numbers(&fields) });
            Line::Read
        })?;
        self.steps = steps;
        self.dev = dev;
        self.remark_on("metrics.jsonl", torn);
        Ok(())
    }

    fn read_timings(&mut self) -> Result<(), RunError> {
        #[derive(Deserialize)]
        struct Timing {
            stage: String,
            seconds: Seconds,
            peak_rss_bytes: Option<u64>,
            #[serde(default)]
            rewards: Account,
        }
        let mut account = Account::default();
        let (mut rl, mut supervised, mut peak) = (Seconds::default(), Seconds::default(), None);
        let torn = each_line(&self.path.join("timings.jsonl"), |line| {
            let Ok(timing) = serde_json::from_str::<Timing>(line) else { return Line::Broken };
            match timing.stage == cohort_train::stage::SUPERVISED {
                true => supervised += timing.seconds,
                false => rl += timing.seconds,
            }
            peak = peak.max(timing.peak_rss_bytes);
            account.merge(&timing.rewards);
            Line::Read
        })?;
        self.account = account;
        (self.step_seconds, self.supervised_seconds, self.step_peak_rss_bytes) = (rl, supervised, peak);
        self.remark_on("timings.jsonl", torn);
        Ok(())
    }

    fn remark_on(&mut self, name: &str, broken: usize) {
        if broken > 0 {
            let lines = if broken == 1 { "line" } else { "lines" };
            self.remarks.push(format!("{name} has {broken} torn {lines}, left out."));
        }
    }
}

/// The finite numbers of a line, but for its step.
fn numbers(fields: &serde_json::Map<String, Value>) -> BTreeMap<String, f64> {
    let finite = |v: &Value| v.as_f64().filter(|x| x.is_finite());
    let of = fields.iter().filter(|(name, _)| *name != "step");
    of.filter_map(|(name, value)| Some((name.clone(), finite(value)?))).collect()
}

/// What became of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    Read,
    Broken,
}

/// Calls `take` with each line that is not empty and returns how many were broken. A missing file has no lines.
pub fn each_line(path: &Path, mut take: impl FnMut(&str) -> Line) -> Result<usize, RunError> {
    let failed = |source| RunError::Io { path: path.to_owned(), source };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(0),
        Err(e) => return Err(failed(e)),
    };
    let mut reader = BufReader::with_capacity(1 << 18, file);
    let mut bytes = Vec::new();
    let mut broken = 0;
    loop {
        bytes.clear();
        if reader.read_until(b'\n', &mut bytes).map_err(failed)? == 0 {
            return Ok(broken);
        }
        // A line cut within a character is as broken as any other.
        let line = std::str::from_utf8(&bytes).map(str::trim);
        match line {
            Ok("") => {}
            Ok(line) => broken += usize::from(take(line) == Line::Broken),
            Err(_) => broken += 1,
        }
    }
}

/// The manifest of a run directory.
///
/// # Errors
/// It has none, or one that cannot be read.
pub fn manifest(path: &Path) -> Result<Manifest, RunError> {
    refuse_strangers(path)?;
    match read_manifest(path) {
        Ok(Some(manifest)) => Ok(manifest),
        Ok(None) => Err(RunError::NotARun { path: path.to_owned(), found: "a folder without a manifest" }),
        Err(RunDirError::Io { path, source }) => Err(RunError::Io { path, source }),
        Err(e) => Err(RunError::Io { path: path.to_owned(), source: io::Error::other(first_line(&e.to_string())) }),
    }
}

fn refuse_strangers(path: &Path) -> Result<(), RunError> {
    let not_a_run = |found| RunError::NotARun { path: path.to_owned(), found };
    if !path.exists() {
        return Err(not_a_run("nothing"));
    }
    if !path.is_dir() {
        return Err(not_a_run("a file"));
    }
    let is_marked = ["manifest.json", "recipe.toml", "metrics.jsonl"].iter().any(|name| path.join(name).exists());
    if is_marked { Ok(()) } else { Err(not_a_run("a folder without them")) }
}

fn read_optional(path: &Path) -> Result<Option<String>, RunError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(RunError::Io { path: path.to_owned(), source }),
    }
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}
