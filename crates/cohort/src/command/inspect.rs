//! `cohort inspect`

use std::path::PathBuf;

use clap::Args;

use super::{print_json, print_line};
use crate::exit::Failure;

/// One sample of a run, from prompt to gradient.
#[derive(Args)]
#[command(after_help = "Example:\n  cohort inspect runs/quickstart-seed0 --step 12 --sample 3")]
pub struct Inspect {
    /// A run directory
    run: PathBuf,
    /// Whose steps: samples of the rl stage, or lists of the score stage
    #[arg(long, value_enum, default_value = "rl")]
    stage: InspectedStage,
    /// The last one unless told
    #[arg(long, value_name = "N")]
    step: Option<u64>,
    /// Counts the samples of the step from 0; of a score stage its lists
    #[arg(long, value_name = "K")]
    sample: Option<usize>,
    #[arg(long)]
    json: bool,
}

/// A stage that can be looked into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum InspectedStage {
    Rl,
    Score,
}

impl Inspect {
    pub fn run(self) -> Result<(), Failure> {
        if self.stage == InspectedStage::Score {
            let list = cohort::inspect_scores::inspect(&self.run, self.step, self.sample).map_err(Failure::data)?;
            return if self.json { print_json(&list) } else { print_line(&list.text()) };
        }
        let inspection = cohort::inspect::inspect(&self.run, self.step, self.sample).map_err(Failure::data)?;
        if self.json { print_json(&inspection) } else { print_line(&inspection.text()) }
    }
}
