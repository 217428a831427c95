//! `cohort compare`

use std::path::PathBuf;

use clap::Args;

use super::{print_json, print_line};
use crate::exit::Failure;

/// Two or more runs side by side: recipes, evaluations, metrics at equal steps, what they cost. Runs of one
/// recipe that differ in their seed are one column: means over seeds, with their range.
#[derive(Args)]
#[command(after_help = "Example:\n  cohort compare runs/gsm8k-seed0 runs/gsm8k-drgrpo-seed0 --metric kl")]
pub struct Compare {
    /// Run directories
    #[arg(required = true, num_args = 2.., value_name = "RUN")]
    runs: Vec<PathBuf>,
    /// Metrics to show beside the usual ones; with --json all are there
    #[arg(long = "metric", value_name = "NAME")]
    metrics: Vec<String>,
    /// Write a page with pictures here: means over the seeds of a recipe, with bands
    #[arg(long, value_name = "FILE.html")]
    page: Option<PathBuf>,
    #[arg(long)]
    json: bool,
}

impl Compare {
    pub fn run(self) -> Result<(), Failure> {
        let comparison = cohort::compare::compare(&self.runs).map_err(Failure::data)?;
        if let Some(page) = &self.page {
            cohort::compare::page::write(&comparison, page)
                .map_err(|e| Failure::other(format!("{}: {e}", page.display())))?;
            eprintln!("written: {}", page.display());
        }
        if self.json {
            return print_json(&comparison);
        }
        match self.metrics.iter().find(|name| !comparison.metrics.contains_key(*name)) {
            Some(name) => Err(Failure::usage(format!(
                "no metric is named `{name}`\n  hint: the runs have {}",
                comparison.metrics.keys().cloned().collect::<Vec<_>>().join(", ")
            ))),
            None => print_line(comparison.text(&self.metrics).trim_end()),
        }
    }
}
