//! `cohort doctor`

use std::path::PathBuf;

use clap::Args;

use super::{print_json, print_line};
use crate::exit::Failure;

/// Look at this machine, or at what a run's curve shows.
#[derive(Args)]
#[command(after_help = "Examples:\n  cohort doctor\n  cohort doctor runs/quickstart-seed0")]
pub struct Doctor {
    /// A run directory
    run: Option<PathBuf>,
    #[arg(long)]
    json: bool,
}

impl Doctor {
    pub fn run(self) -> Result<(), Failure> {
        match self.run {
            None => {
                let machine = cohort::doctor::machine();
                if self.json { print_json(&machine) } else { print_line(&machine.text()) }
            }
            Some(run) => {
                let diagnosis = cohort::doctor::run(&run).map_err(Failure::data)?;
                if self.json { print_json(&diagnosis) } else { print_line(&diagnosis.text()) }
            }
        }
    }
}
