//! TensorBoard's event file of a run under way: it grows with each commit, and is cut with the logs.

use std::path::Path;

use super::run_dir::{Committed, Log, LogName, RunDirError};
use crate::export::{FILE_NAME, Logs, committed, tensorboard::Stream};

/// The folder in a run directory that `tensorboard --logdir` is given.
const FOLDER: &str = "tensorboard";

pub(super) struct Live {
    pub log: Log,
    stream: Stream,
    /// Lines that are not committed.
    pending: Logs,
}

impl Live {
    /// Goes on where the manifest left the file.
    pub fn open(run: &Path, lengths: &Committed) -> Result<Self, RunDirError> {
        let folder = run.join(FOLDER);
        std::fs::create_dir_all(&folder).map_err(|source| RunDirError::Write { path: folder.clone(), source })?;
        let log = Log::open(folder.join(FILE_NAME), lengths.tensorboard)?;
        let timings = run.join(LogName::Timings.file());
        let stream = Stream::after(&committed(&timings, lengths.timings)?, lengths.tensorboard)
            .map_err(|problem| RunDirError::Manifest { path: timings, problem })?;
        Ok(Self { log, stream, pending: Logs::default() })
    }

    pub fn note(&mut self, log: LogName, text: &str) {
        match log {
            LogName::Metrics => self.pending.metrics.push_str(text),
            LogName::Supervised => self.pending.supervised.push_str(text),
            LogName::RewardModel => self.pending.reward_model.push_str(text),
            LogName::Score => self.pending.score.push_str(text),
            LogName::Timings => self.pending.timings.push_str(text),
            LogName::Rollouts => {}
        }
    }

    /// Writes what is to be committed now.
    pub fn flush(&mut self) -> Result<(), RunDirError> {
        let more = self.stream.take(&std::mem::take(&mut self.pending));
        let more = more.map_err(|problem| RunDirError::Manifest { path: self.log.path().to_owned(), problem })?;
        self.log.append(&more)?;
        self.log.sync()
    }
}
