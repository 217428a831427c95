//! `cohort export`

use std::{fs, path::PathBuf};

use clap::{ArgGroup, Args};
use cohort_train::export::{Export as Metrics, FILE_NAME};
use serde_json::json;

use super::{print_json, print_line};
use crate::exit::Failure;

/// Write a run's metrics for other tools, from what its directory has committed.
///
/// A recipe's `log.also` writes the same files while the run goes on.
#[derive(Args)]
#[command(
    group = ArgGroup::new("what").args(["tensorboard", "csv"]).required(true).multiple(true),
    after_help = "Examples:\n  cohort export runs/gsm8k-seed0 --tensorboard board/gsm8k && tensorboard --logdir board\n  \
                  cohort export runs/gsm8k-seed0 --csv metrics.csv"
)]
pub struct Export {
    /// A run directory
    run: PathBuf,
    /// An event file of TensorBoard in this folder
    #[arg(long, value_name = "DIR")]
    tensorboard: Option<PathBuf>,
    /// A table with a line a step and a column a metric
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    #[arg(long)]
    json: bool,
}

impl Export {
    pub fn run(self) -> Result<(), Failure> {
        let manifest = cohort::report::manifest(&self.run).map_err(Failure::data)?;
        let metrics = Metrics::of(&self.run, &manifest).map_err(cohort_train::Error::from)?;
        let event_file = self.tensorboard.map(|folder| folder.join(FILE_NAME));
        if let Some(path) = &event_file {
            write(path, &metrics.tensorboard())?;
        }
        if let Some(path) = &self.csv {
            write(path, metrics.csv().as_bytes())?;
        }
        if self.json {
            return print_json(&json!({ "tensorboard": event_file, "csv": self.csv, "steps": metrics.steps() }));
        }
        let paths = [event_file, self.csv];
        paths.iter().flatten().try_for_each(|path| print_line(&path.display().to_string()))
    }
}

fn write(path: &PathBuf, bytes: &[u8]) -> Result<(), Failure> {
    let made = path.parent().map_or(Ok(()), fs::create_dir_all);
    made.and_then(|()| fs::write(path, bytes)).map_err(|e| Failure::other(format!("{}: {e}", path.display())))
}
