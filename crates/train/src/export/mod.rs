//! The metrics of a run for other tools: TensorBoard's event files, and a table.
//!
//! Both are functions of what the manifest has committed of `metrics.jsonl`, `supervised.jsonl`, `reward_model.jsonl`, `score.jsonl` and `timings.jsonl`, and
//! read no clock: equal logs give equal bytes, and what is not committed is in neither.

mod csv;
mod point;
pub(crate) mod tensorboard;
mod tfrecord;

use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

pub use tensorboard::FILE_NAME;

use crate::run_dir::{LogName, Manifest, RunDirError};
use point::{Point, points};

/// The committed text of the logs that metrics are made from.
#[derive(Default)]
pub(crate) struct Logs {
    pub supervised: String,
    pub reward_model: String,
    pub metrics: String,
    pub score: String,
    pub timings: String,
}

impl Logs {
    /// Those of the run directory `run`, as far as `manifest` commits them.
    fn committed(run: &Path, manifest: &Manifest) -> Result<Self, RunDirError> {
        let lengths = &manifest.committed;
        let read = |log: LogName, bytes: u64| committed(&run.join(log.file()), bytes);
        Ok(Self {
            supervised: read(LogName::Supervised, lengths.supervised)?,
            reward_model: read(LogName::RewardModel, lengths.reward_model)?,
            metrics: read(LogName::Metrics, lengths.metrics)?,
            score: read(LogName::Score, lengths.score)?,
            timings: read(LogName::Timings, lengths.timings)?,
        })
    }

    fn points(&self, elapsed: &mut f64) -> Result<Vec<Point>, String> {
        points(&[&self.supervised, &self.reward_model, &self.metrics, &self.score], &self.timings, elapsed)
    }
}

/// The first `bytes` bytes of a log.
pub(crate) fn committed(path: &Path, bytes: u64) -> Result<String, RunDirError> {
    if bytes == 0 {
        return Ok(String::new());
    }
    let failed = |source| RunDirError::Io { path: path.to_owned(), source };
    let mut text = String::new();
    File::open(path).map_err(failed)?.take(bytes).read_to_string(&mut text).map_err(failed)?;
    if (text.len() as u64) < bytes {
        let problem = format!("expected at least the {bytes} bytes that the manifest committed, got {}", text.len());
        return Err(RunDirError::Manifest { path: path.to_owned(), problem });
    }
    Ok(text)
}

/// The metrics of the run directory `run`, whose manifest this is.
pub struct Export {
    run: PathBuf,
    points: Vec<Point>,
}

impl Export {
    /// # Errors
    /// A log cannot be read, is shorter than what is committed, or has a committed line that is no metric.
    pub fn of(run: &Path, manifest: &Manifest) -> Result<Self, RunDirError> {
        let points = Logs::committed(run, manifest)?.points(&mut 0.0);
        let points = points.map_err(|problem| RunDirError::Manifest { path: run.join("metrics.jsonl"), problem })?;
        Ok(Self { run: run.to_owned(), points })
    }

    /// An event file of TensorBoard with every number as a scalar.
    pub fn tensorboard(&self) -> Vec<u8> {
        tensorboard::file(&self.points)
    }

    /// A table with a line for each step of a stage and a column for each metric, sorted by name.
    pub fn csv(&self) -> String {
        csv::table(&self.points)
    }

    /// Lines of the table.
    pub fn steps(&self) -> usize {
        csv::rows(&self.points).len()
    }

    pub fn run(&self) -> &Path {
        &self.run
    }
}
