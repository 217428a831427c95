//! The command line.

mod command;
mod console;
mod download;
mod exit;
mod rows;

use std::process::ExitCode;

use clap::Parser;

use command::Command;

/// GRPO-family reinforcement-learning post-training.
///
/// A recipe makes one choice on each axis; a run trains its policy and says how much better it got.
/// Results go to stdout, progress to stderr.
#[derive(Parser)]
#[command(
    name = "cohort",
    version,
    after_help = "Start here:  cohort train recipes/quickstart.toml\n\n\
                  Exit status: 0 done, 2 usage or recipe, 3 data or model, 4 no learning signal, 5 checkpoint or weights, \
                  6 reward or verifier, 130 interrupted (a checkpoint was written), 1 anything else."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

fn main() -> ExitCode {
    cohort_kernels::keep_freed_memory();
    let cli = Cli::parse();
    match cli.command.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}
