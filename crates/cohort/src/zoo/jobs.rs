//! Runs as processes of this binary, several at a time.
//!
//! A run that is complete is not started again, and one that was killed goes on. A child ends when this process does: it
//! watches its standard input, which closes then.

use std::{
    collections::VecDeque,
    fs::{self, File, TryLockError},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use cohort_train::{
    Summary,
    run_dir::{RunState, read_manifest},
};
use toml::Table;

use super::error::ZooError;

/// The file that a run's process holds.
const LOCK: &str = "lock";
/// Last lines of a failed run's log that are shown.
const TAIL: usize = 12;

/// A run that is wanted.
#[derive(Clone, Debug)]
pub struct Job {
    /// For people: `method, seed 3`.
    pub label: String,
    pub arm: Table,
    pub seed: u64,
    /// Keys over the arm's.
    pub set: Vec<String>,
    pub folder: PathBuf,
    /// The job that must be done before, where this one reads what it made.
    pub after: Option<usize>,
}

/// How jobs are run.
pub struct Pool<'a> {
    /// Processes at a time.
    pub jobs: usize,
    pub workers: usize,
    pub interrupt: Arc<AtomicBool>,
    /// Told of each finished run.
    pub progress: &'a (dyn Fn(&str, &Summary) + Sync),
}

struct State {
    waiting: VecDeque<usize>,
    done: Vec<Option<Summary>>,
    failure: Option<ZooError>,
}

impl Pool<'_> {
    /// Runs all jobs, and gives their summaries in their order.
    ///
    /// # Errors
    /// The first run that fails, with its last words; the others are ended. An interrupt ends all.
    pub fn run(&self, jobs: &[Job]) -> Result<Vec<Summary>, ZooError> {
        let state =
            Mutex::new(State { waiting: (0..jobs.len()).collect(), done: vec![None; jobs.len()], failure: None });
        let changed = Condvar::new();
        thread::scope(|scope| {
            for _ in 0..self.jobs.clamp(1, jobs.len().max(1)) {
                scope.spawn(|| self.work(jobs, &state, &changed));
            }
        });
        let state = state.into_inner().unwrap_or_else(PoisonError::into_inner);
        if self.interrupt.load(Ordering::Relaxed) {
            return Err(ZooError::Interrupted);
        }
        match state.failure {
            Some(failure) => Err(failure),
            None => Ok(state.done.into_iter().flatten().collect()),
        }
    }

    fn work(&self, jobs: &[Job], state: &Mutex<State>, changed: &Condvar) {
        while let Some(index) = self.next(jobs, state, changed) {
            let is_over = || self.interrupt.load(Ordering::Relaxed) || lock(state).failure.is_some();
            let result = self.one(&jobs[index], &is_over);
            let mut state = lock(state);
            match result {
                Ok(Some(summary)) => {
                    (self.progress)(&jobs[index].label, &summary);
                    state.done[index] = Some(summary);
                }
                Ok(None) => {}
                Err(error) => drop(state.failure.get_or_insert(error)),
            }
            changed.notify_all();
        }
    }

    /// The first job that may start; waits where all that is left waits for another.
    fn next(&self, jobs: &[Job], state: &Mutex<State>, changed: &Condvar) -> Option<usize> {
        let mut state = lock(state);
        loop {
            if state.failure.is_some() || self.interrupt.load(Ordering::Relaxed) || state.waiting.is_empty() {
                return None;
            }
            let is_free = |&index: &usize| jobs[index].after.is_none_or(|before| state.done[before].is_some());
            if let Some(place) = state.waiting.iter().position(is_free) {
                return state.waiting.remove(place);
            }
            let waited = changed.wait_timeout(state, Duration::from_millis(200));
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Runs a job to its end; `None` where it was ended.
    fn one(&self, job: &Job, is_over: &dyn Fn() -> bool) -> Result<Option<Summary>, ZooError> {
        wait_for_owner(&job.folder, is_over);
        if let Some(summary) = finished(&job.folder) {
            return Ok(Some(summary));
        }
        let recipe = job.folder.with_extension("toml");
        let log = job.folder.with_extension("log");
        fs::create_dir_all(&job.folder).map_err(ZooError::io(&job.folder))?;
        fs::write(&recipe, job.arm.to_string()).map_err(ZooError::io(&recipe))?;
        let binary = std::env::current_exe().map_err(ZooError::io("this program"))?;
        let mut command = Command::new(&binary);
        command.arg("train").arg(&recipe).arg("--run-dir").arg(&job.folder);
        command.args(["--seed", &job.seed.to_string(), "--workers", &self.workers.to_string()]);
        command.args(["--resume", "--ends-with-stdin"]);
        command.args(job.set.iter().flat_map(|key| ["--set", key]));
        command.stdin(Stdio::piped()).stdout(Stdio::null());
        command.stderr(File::create(&log).map_err(ZooError::io(&log))?);
        let child = command.spawn().map_err(ZooError::io(&binary))?;
        let Some(status) = wait(child, is_over).map_err(ZooError::io(&binary))? else { return Ok(None) };
        if self.interrupt.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let failed = |tail: String| ZooError::Run {
            run: job.label.clone(),
            status: status.to_string(),
            code: status.code().and_then(|code| u8::try_from(code).ok()).filter(|code| *code > 0).unwrap_or(1),
            tail,
            log: log.clone(),
        };
        if !status.success() {
            return Err(failed(tail(&log)));
        }
        finished(&job.folder).map(Some).ok_or_else(|| failed("  it left no summary".to_owned()))
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One verify, or one tune, of a system at a time: a lock that the system lets go when its holder dies.
///
/// # Errors
/// Another process has it.
pub fn hold(path: &Path) -> Result<File, ZooError> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(ZooError::io(folder))?;
    }
    let file = File::create(path).map_err(ZooError::io(path))?;
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => Err(ZooError::Busy { path: path.to_owned() }),
        // Where the file system knows no locks, it holds nobody off.
        Ok(()) | Err(TryLockError::Error(_)) => Ok(file),
    }
}

/// Waits until no process works in a run's folder: the child of a verify that was killed ends a moment later, and that of
/// another verify leaves a run that is finished.
fn wait_for_owner(folder: &Path, is_over: &dyn Fn() -> bool) {
    let Ok(file) = File::open(folder.join(LOCK)) else { return };
    while matches!(file.try_lock(), Err(TryLockError::WouldBlock)) && !is_over() {
        thread::sleep(Duration::from_millis(20));
    }
}

/// Waits for a child; it is killed as soon as `is_over`, and then there is no status.
fn wait(mut child: Child, is_over: &dyn Fn() -> bool) -> std::io::Result<Option<ExitStatus>> {
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if is_over() {
            // One that has just ended cannot be killed.
            let _ = child.kill();
            child.wait()?;
            return Ok(None);
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// The summary of a run that is complete.
fn finished(folder: &Path) -> Option<Summary> {
    let manifest = read_manifest(folder).ok().flatten().filter(|manifest| manifest.state == RunState::Complete);
    manifest.and_then(|_| serde_json::from_slice(&fs::read(folder.join("summary.json")).ok()?).ok())
}

/// The last lines of a log.
fn tail(log: &Path) -> String {
    let text = String::from_utf8_lossy(&fs::read(log).unwrap_or_default()).into_owned();
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let last = &lines[lines.len().saturating_sub(TAIL)..];
    last.iter().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}
