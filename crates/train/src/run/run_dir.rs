//! The directory of a run, and what of it is committed.
//!
//! ```text
//! recipe.toml            the resolved recipe
//! manifest.json          state, last committed step, checkpoint, lengths of the logs; replaced in one step
//! metrics.jsonl          one line a step: no clock in it, so equal runs have equal bytes
//! timings.jsonl          one line a step: seconds by phase, memory, what the verdicts of each reward term were and took
//! rollouts.jsonl         one line an episode
//! supervised.jsonl       the metrics of a supervised stage
//! reward_model.jsonl     the metrics of a reward_model stage
//! score.jsonl            one line a step of a score stage: metrics, and each candidate with its score
//! checkpoints/step-000012/ , checkpoints/last, checkpoints/best, checkpoints/supervised/step-000080/ , checkpoints/score/step-000200/
//! dumps/                 batches and samples that went wrong
//! summary.json, report.html
//! tensorboard/, metrics.csv   the metrics for other tools, where the recipe asks for them
//! lock                   held by the process that writes here
//! ```
//!
//! The manifest is the commit: what logs hold beyond its lengths, and checkpoints that it does not
//! name, never happened, and are cut off or written again when the run is resumed.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{live::Live, lock::LOCK, session::Best};
use crate::{
    checkpoint::replace,
    evaluate::Evaluation,
    export::Export,
    preflight::Preflight,
    recipe::{Recipe, first_difference, low::Also},
    stage::{REWARD_MODEL, SCORE, SUPERVISED},
    timing::Seconds,
};

/// Why a run directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RunDirError {
    #[error("the run directory {} is a file\n  hint: give another --run-dir", path.display())]
    NotADirectory { path: PathBuf },
    #[error("the run directory {} is not empty\n  hint: give --resume to go on with it, or another --run-dir", path.display())]
    NotEmpty { path: PathBuf },
    #[error(
        "`{key}` is {given}, and the run in {} was started with {recorded}\n  hint: a resumed run keeps its recipe (only \
         train.steps may grow); leave the key out, or start anew with another --run-dir", path.display()
    )]
    Differs { path: PathBuf, key: String, recorded: String, given: String },
    #[error(
        "the weights of `policy` have the sum {given:.16}.., and the run in {} was started from {recorded:.16}..\n  hint: the model's \
         files were changed or replaced (its base, where an adapter is trained); put them back, or start anew with another \
         --run-dir", path.display()
    )]
    OtherWeights { path: PathBuf, recorded: String, given: String },
    #[error(
        "`train.steps` is {given}, and the rl stage of the run in {} is over after {recorded}\n  hint: another stage went on from its end; give \
         {recorded}, or start anew with another --run-dir", path.display()
    )]
    StageOver { path: PathBuf, recorded: u64, given: u64 },
    #[error("{}: {problem}\n  hint: the file was changed or cut; start anew with another --run-dir", path.display())]
    Manifest { path: PathBuf, problem: String },
    #[error(
        "another process is working in {}\n  hint: wait for it or end it, or give another --run-dir; a run that died holds \
         nothing", path.display()
    )]
    Busy { path: PathBuf },
    #[error("cannot write {}: {source}\n  hint: what was committed before is still good; make room and use --resume", path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    #[default]
    Running,
    Complete,
    Failed,
}

/// Bytes of each log that are committed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Committed {
    pub metrics: u64,
    pub rollouts: u64,
    pub timings: u64,
    pub supervised: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub reward_model: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub score: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub tensorboard: u64,
}

fn is_zero(bytes: &u64) -> bool {
    *bytes == 0
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tokens {
    pub prompt: u64,
    pub completion: u64,
}

impl std::ops::AddAssign for Tokens {
    fn add_assign(&mut self, other: Self) {
        self.prompt += other.prompt;
        self.completion += other.completion;
    }
}

/// `manifest.json`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Manifest {
    /// Version of this layout.
    pub format: u32,
    pub name: String,
    pub state: RunState,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The stage that `step` is of.
    pub stage: String,
    /// Last committed step.
    pub step: u64,
    /// The checkpoint of that step, below `checkpoints/`.
    pub checkpoint: Option<String>,
    /// SHA-256 of that checkpoint's `checksums.json`.
    pub checkpoint_sha256: Option<String>,
    /// Sum of all weights that the run was started from, trained and frozen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin_sha256: Option<String>,
    /// The weights that the rl stage started from, below `checkpoints/`, where the run made them.
    pub initial: Option<String>,
    /// SHA-256 of that checkpoint's `checksums.json`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub initial_sha256: Option<String>,
    /// How the reward_model stage ended, once the next has begun.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub modelled: Option<Modelled>,
    /// How the rl stage ended, once another has begun.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reinforced: Option<Reinforced>,
    /// The checkpoint that was best on dev.
    pub best: Option<String>,
    pub seed: u64,
    pub recipe_hash: String,
    /// Bits of a run are those of this binary on these CPU features.
    pub cohort_version: String,
    pub cpu: String,
    pub committed: Committed,
    pub tokens: Tokens,
    /// Rows of the train split that the stages after the cold start took, with repetitions: prompts of the rl stage, and candidates.
    #[serde(skip_serializing_if = "is_zero")]
    pub examples: u64,
    pub seconds: Seconds,
    /// Steps that the rl stage was last asked for.
    pub asked_steps: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preflight: Option<Preflight>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Evaluation>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Evaluation>,
}

/// Where a reward_model stage left its models.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Modelled {
    pub step: u64,
    /// Its last checkpoint, below `checkpoints/`.
    pub checkpoint: String,
    /// SHA-256 of that checkpoint's `checksums.json`.
    pub checkpoint_sha256: String,
    /// What the policy was asked and said for them: no part of `tokens`, which are the rl stage's.
    pub tokens: Tokens,
}

/// How an rl stage ended that another stage goes on from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Reinforced {
    pub step: u64,
    /// Its last checkpoint, below `checkpoints/`.
    pub checkpoint: String,
    /// SHA-256 of that checkpoint's `checksums.json`.
    pub checkpoint_sha256: String,
    pub ended: String,
    /// Largest difference seen between sampler and trainer in a log-probability.
    pub logp_gap_max: f64,
    /// The checkpoint that was best on dev.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub best: Option<Best>,
}

const FORMAT: u32 = 1;

impl Manifest {
    /// Refuses more steps of an rl stage that another stage went on from.
    fn hold_steps(&self, path: &Path, recipe: &Recipe) -> Result<(), RunDirError> {
        let (recorded, given) = (self.asked_steps, recipe.train.steps);
        match self.reinforced {
            Some(_) if given != recorded => Err(RunDirError::StageOver { path: path.to_owned(), recorded, given }),
            _ => Ok(()),
        }
    }

    /// Refuses to go on from other weights than the run in `path` was started from. One that did not write them down goes on.
    pub fn hold_origin(&self, path: &Path, given: &str) -> Result<(), RunDirError> {
        match &self.origin_sha256 {
            Some(recorded) if recorded != given => {
                let (path, recorded, given) = (path.to_owned(), recorded.clone(), given.to_owned());
                Err(RunDirError::OtherWeights { path, recorded, given })
            }
            _ => Ok(()),
        }
    }
}

/// An append-only file; made when its first bytes come.
pub(super) struct Log {
    path: PathBuf,
    file: Option<File>,
    bytes: u64,
}

impl Log {
    /// Cuts off what lies beyond `keep` bytes.
    pub(super) fn open(path: PathBuf, keep: u64) -> Result<Self, RunDirError> {
        let mut log = Self { path, file: None, bytes: keep };
        if keep == 0 && !log.path.exists() {
            return Ok(log);
        }
        let path = log.path.clone();
        let failed = |source| RunDirError::Io { path: path.clone(), source };
        let file = log.file()?;
        let present = file.metadata().map_err(failed)?.len();
        if present < keep {
            let problem = format!("expected at least the {keep} bytes that the manifest committed, got {present}");
            return Err(RunDirError::Manifest { path, problem });
        }
        file.set_len(keep).map_err(failed)?;
        Ok(log)
    }

    fn file(&mut self) -> Result<&mut File, RunDirError> {
        if self.file.is_none() {
            let opened = OpenOptions::new().create(true).append(true).open(&self.path);
            self.file = Some(opened.map_err(|source| RunDirError::Write { path: self.path.clone(), source })?);
        }
        Ok(self.file.as_mut().expect("it was just opened"))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn append(&mut self, bytes: &[u8]) -> Result<(), RunDirError> {
        let written = self.file()?.write_all(bytes);
        written.map_err(|source| RunDirError::Write { path: self.path.clone(), source })?;
        self.bytes += bytes.len() as u64;
        Ok(())
    }

    pub(super) fn sync(&self) -> Result<(), RunDirError> {
        let synced = self.file.as_ref().map_or(Ok(()), File::sync_data);
        synced.map_err(|source| RunDirError::Write { path: self.path.clone(), source })
    }
}

/// Which log a line belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogName {
    Metrics,
    Rollouts,
    Timings,
    Supervised,
    RewardModel,
    Score,
}

impl LogName {
    /// Its name in the run directory.
    pub fn file(self) -> &'static str {
        match self {
            LogName::Metrics => "metrics.jsonl",
            LogName::Rollouts => "rollouts.jsonl",
            LogName::Timings => "timings.jsonl",
            LogName::Supervised => "supervised.jsonl",
            LogName::RewardModel => "reward_model.jsonl",
            LogName::Score => "score.jsonl",
        }
    }
}

/// An open run directory.
pub struct RunDir {
    path: PathBuf,
    metrics: Log,
    rollouts: Log,
    timings: Log,
    supervised: Log,
    reward_model: Log,
    score: Log,
    live: Option<Live>,
    pub manifest: Manifest,
}

/// Whether a run starts or goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    Fresh,
    Resume,
}

impl RunDir {
    /// Whether a run of `recipe` may start or go on in `path`; the manifest to go on from, where there is one. Nothing
    /// is changed.
    pub fn admit(path: &Path, start: Start, recipe: &Recipe) -> Result<Option<Manifest>, RunDirError> {
        match start {
            Start::Fresh => require_empty(path).map(|()| None),
            Start::Resume => {
                let manifest = read_manifest(path)?;
                if let Some(manifest) = &manifest {
                    agree(path, recipe)?;
                    manifest.hold_steps(path, recipe)?;
                }
                Ok(manifest)
            }
        }
    }

    /// Opens `path` where [`RunDir::admit`] left it, and cuts off what is not committed.
    pub fn open(path: &Path, manifest: Option<Manifest>, recipe: &Recipe) -> Result<Self, RunDirError> {
        let failed = |source| RunDirError::Write { path: path.to_owned(), source };
        fs::create_dir_all(path.join("checkpoints")).map_err(failed)?;
        replace(&path.join("recipe.toml"), recipe.resolved().as_bytes()).map_err(failed)?;
        let manifest = manifest.unwrap_or_else(|| Manifest {
            format: FORMAT,
            name: recipe.name.clone(),
            seed: recipe.seed,
            recipe_hash: recipe.hash(),
            cohort_version: env!("CARGO_PKG_VERSION").to_owned(),
            cpu: cohort_kernels::level().name().to_owned(),
            ..Manifest::default()
        });
        let committed = manifest.committed;
        remove_staging(&path.join("checkpoints")).map_err(failed)?;
        for stage in [SUPERVISED, REWARD_MODEL, SCORE] {
            remove_staging(&path.join("checkpoints").join(stage)).map_err(failed)?;
        }
        Ok(Self {
            metrics: Log::open(path.join(LogName::Metrics.file()), committed.metrics)?,
            rollouts: Log::open(path.join(LogName::Rollouts.file()), committed.rollouts)?,
            timings: Log::open(path.join(LogName::Timings.file()), committed.timings)?,
            supervised: Log::open(path.join(LogName::Supervised.file()), committed.supervised)?,
            reward_model: Log::open(path.join(LogName::RewardModel.file()), committed.reward_model)?,
            score: Log::open(path.join(LogName::Score.file()), committed.score)?,
            live: match recipe.log.also.contains(&Also::Tensorboard) {
                true => Some(Live::open(path, &committed)?),
                false => None,
            },
            path: path.to_owned(),
            manifest,
        })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes the table of the committed metrics, where the recipe asks for it.
    pub fn write_table(&self, recipe: &Recipe) -> Result<(), RunDirError> {
        if !recipe.log.also.contains(&Also::Csv) {
            return Ok(());
        }
        let table = Export::of(&self.path, &self.manifest)?.csv();
        self.write("metrics.csv", table.as_bytes()).map(drop)
    }

    /// Where this process differs from the one that began the run, in what its bits depend on.
    pub fn changed_machine(&self) -> Option<String> {
        let (cpu, version) = (cohort_kernels::level().name(), env!("CARGO_PKG_VERSION"));
        let Manifest { cpu: was_cpu, cohort_version: was_version, .. } = &self.manifest;
        (was_cpu != cpu || was_version != version).then(|| {
            format!(
                "the run was begun by version {was_version} on {was_cpu}, and goes on by {version} on {cpu}: \
                 its numbers need not be those of an unbroken run"
            )
        })
    }

    pub fn checkpoints(&self) -> PathBuf {
        self.path.join("checkpoints")
    }

    /// Appends lines; they count once [`RunDir::commit`] has run.
    pub fn append(&mut self, log: LogName, text: &str) -> Result<(), RunDirError> {
        if let Some(live) = &mut self.live {
            live.note(log, text);
        }
        match log {
            LogName::Metrics => &mut self.metrics,
            LogName::Rollouts => &mut self.rollouts,
            LogName::Timings => &mut self.timings,
            LogName::Supervised => &mut self.supervised,
            LogName::RewardModel => &mut self.reward_model,
            LogName::Score => &mut self.score,
        }
        .append(text.as_bytes())
    }

    /// Makes everything so far count: replaces the manifest.
    pub fn commit(&mut self) -> Result<(), RunDirError> {
        let logs = [&self.metrics, &self.rollouts, &self.timings, &self.supervised, &self.reward_model, &self.score];
        for log in logs {
            log.sync()?;
        }
        if let Some(live) = &mut self.live {
            live.flush()?;
        }
        self.manifest.committed = Committed {
            metrics: self.metrics.bytes,
            rollouts: self.rollouts.bytes,
            timings: self.timings.bytes,
            supervised: self.supervised.bytes,
            reward_model: self.reward_model.bytes,
            score: self.score.bytes,
            tensorboard: self.live.as_ref().map_or(0, |live| live.log.bytes),
        };
        self.save_manifest()
    }

    /// Replaces the manifest without moving what is committed.
    pub fn save_manifest(&self) -> Result<(), RunDirError> {
        let path = self.path.join("manifest.json");
        let text = serde_json::to_vec_pretty(&self.manifest).map_err(io::Error::other);
        text.and_then(|bytes| replace(&path, &bytes)).map_err(|source| RunDirError::Write { path, source })
    }

    /// Writes a file of the directory whole.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<PathBuf, RunDirError> {
        let path = self.path.join(name);
        let parent = path.parent().map_or(Ok(()), fs::create_dir_all);
        parent
            .and_then(|()| replace(&path, bytes))
            .map_err(|source| RunDirError::Write { path: path.clone(), source })?;
        Ok(path)
    }

    /// Writes a value under `dumps/` and says where.
    pub fn dump(&self, name: &str, value: &Value) -> Result<PathBuf, RunDirError> {
        self.write(&format!("dumps/{name}.json"), format!("{value:#}\n").as_bytes())
    }

    /// Points `checkpoints/NAME` at `target`, in one step.
    pub fn point(&self, name: &str, target: &str) -> Result<(), RunDirError> {
        let link = self.checkpoints().join(name);
        let staging = self.checkpoints().join(format!(".{name}.link"));
        let failed = |source| RunDirError::Write { path: link.clone(), source };
        match fs::remove_file(&staging) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(failed(e)),
            _ => {}
        }
        std::os::unix::fs::symlink(target, &staging).map_err(failed)?;
        fs::rename(&staging, &link).map_err(failed)
    }
}

/// Refuses a fresh start in a directory that holds anything.
pub fn require_empty(path: &Path) -> Result<(), RunDirError> {
    // A lock is nothing: who holds it is seen when it is taken.
    let is_taken = |entry: io::Result<fs::DirEntry>| entry.map_or(true, |entry| entry.file_name() != LOCK);
    match fs::read_dir(path).map(|mut entries| entries.any(is_taken)) {
        Ok(true) => Err(RunDirError::NotEmpty { path: path.to_owned() }),
        Ok(false) => Ok(()),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(e) if e.kind() == io::ErrorKind::NotADirectory => Err(RunDirError::NotADirectory { path: path.to_owned() }),
        Err(source) => Err(RunDirError::Io { path: path.to_owned(), source }),
    }
}

/// Removes what a process that was killed while it saved left behind.
fn remove_staging(folder: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(folder) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        if entry.file_name().as_encoded_bytes().starts_with(b".step-") {
            fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}

/// The manifest of a run directory, where it has one.
pub fn read_manifest(path: &Path) -> Result<Option<Manifest>, RunDirError> {
    let path = path.join("manifest.json");
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(RunDirError::Io { path, source }),
    };
    let manifest: Manifest = serde_json::from_slice(&bytes)
        .map_err(|e| RunDirError::Manifest { path: path.clone(), problem: format!("not a manifest: {e}") })?;
    if manifest.format != FORMAT {
        let problem = format!("expected format {FORMAT}, got {}", manifest.format);
        return Err(RunDirError::Manifest { path, problem });
    }
    Ok(Some(manifest))
}

/// Holds a recipe against the recorded one.
fn agree(path: &Path, recipe: &Recipe) -> Result<(), RunDirError> {
    let file = path.join("recipe.toml");
    let recorded = fs::read_to_string(&file).map_err(|source| RunDirError::Io { path: file.clone(), source })?;
    if recorded.parse::<toml::Table>().is_err() {
        return Err(RunDirError::Manifest { path: file, problem: "not a resolved recipe".to_owned() });
    }
    if let Some((key, recorded, given)) = first_difference(&recorded, &recipe.resolved()) {
        return Err(RunDirError::Differs { path: path.to_owned(), key, recorded, given });
    }
    let steps = |text: &str| Some(text.parse::<toml::Table>().ok()?.get("train")?.get("steps")?.as_integer()? as u64);
    match steps(&recorded) {
        Some(before) if recipe.train.steps < before => Err(RunDirError::Differs {
            path: path.to_owned(),
            key: "train.steps".to_owned(),
            recorded: before.to_string(),
            given: recipe.train.steps.to_string(),
        }),
        Some(_) => Ok(()),
        None => Err(RunDirError::Manifest { path: file, problem: "not a resolved recipe".to_owned() }),
    }
}
