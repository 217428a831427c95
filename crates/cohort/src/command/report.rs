//! `cohort report`

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::{print_json, print_line};
use crate::exit::Failure;

/// Write a run's report.html again, from what its directory holds.
#[derive(Args)]
#[command(after_help = "Example:\n  cohort report runs/quickstart-seed0")]
pub struct Report {
    /// A run directory
    run: PathBuf,
    /// Also write the reward curve alone, as an SVG picture
    #[arg(long, value_name = "FILE")]
    curve: Option<PathBuf>,
    #[arg(long)]
    json: bool,
}

impl Report {
    pub fn run(self) -> Result<(), Failure> {
        if let Some(file) = &self.curve {
            let svg = cohort::report::curve_svg(&self.run).map_err(Failure::data)?;
            std::fs::write(file, svg).map_err(|e| Failure::other(format!("{}: {e}", file.display())))?;
        }
        let path = cohort::report::write(&self.run).map_err(Failure::data)?;
        if self.json { print_json(&json!({ "report": path })) } else { print_line(&path.display().to_string()) }
    }
}
