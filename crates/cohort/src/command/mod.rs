//! The subcommands, one a file.

mod bench;
mod calc;
mod compare;
mod doctor;
mod drawing;
mod eval;
mod explain;
mod export;
mod init;
mod inspect;
mod logprobs;
mod merge;
mod methods;
mod report;
mod rewards;
mod sample;
mod score;
mod train;
mod zoo;

use std::{fs, io::IsTerminal, path::Path, sync::Arc};

use clap::Subcommand;
use cohort::zoo::{RecipeText, Shelf};
use cohort_train::{RecipeError, build::Places};
use serde::Serialize;

use crate::{download::Download, exit::Failure};

#[derive(Subcommand)]
pub enum Command {
    /// Train a policy by a recipe, and say how much better it got
    Train(train::Train),
    /// Write a first recipe for a model and a data file
    Init(init::Init),
    /// Advantages, loss and derivatives of a recipe on given numbers
    Calc(calc::Calc),
    /// Evaluate a model on a recipe's task
    Eval(eval::Eval),
    /// What a key of a recipe is
    Explain(explain::Explain),
    /// Every choice that a recipe can name, or one explained
    Methods(methods::Methods),
    /// Every reward term that a recipe can name, or one explained
    Rewards(rewards::Rewards),
    /// Score completions by one reward term, without training
    Score(score::Score),
    /// Sample completions from a model
    Sample(sample::Sample),
    /// Log-probabilities and entropies of given completions
    Logprobs(logprobs::Logprobs),
    /// Merge an adapter into its base: a model of its own
    Merge(merge::MergeCommand),
    /// One sample of a run, from prompt to gradient
    Inspect(inspect::Inspect),
    /// Two or more runs side by side
    Compare(compare::Compare),
    /// Write a run's metrics for TensorBoard, or as a table
    Export(export::Export),
    /// Write a run's report.html again
    Report(report::Report),
    /// Measure how fast this machine trains
    #[command(subcommand, after_help = bench::EXAMPLES)]
    Bench(bench::Bench),
    /// Published systems, their claims, and what came of them
    #[command(subcommand, after_help = zoo::EXAMPLES)]
    Zoo(zoo::Zoo),
    /// Look at this machine, or at what a run's curve shows
    Doctor(doctor::Doctor),
}

impl Command {
    pub fn run(self) -> Result<(), Failure> {
        match self {
            Command::Train(c) => c.run(),
            Command::Calc(c) => c.run(),
            Command::Eval(c) => c.run(),
            Command::Explain(c) => c.run(),
            Command::Methods(c) => c.run(),
            Command::Rewards(c) => c.run(),
            Command::Score(c) => c.run(),
            Command::Sample(c) => c.run(),
            Command::Logprobs(c) => c.run(),
            Command::Init(c) => c.run(),
            Command::Merge(c) => c.run(),
            Command::Inspect(c) => c.run(),
            Command::Compare(c) => c.run(),
            Command::Export(c) => c.run(),
            Command::Report(c) => c.run(),
            Command::Bench(c) => c.run(),
            Command::Zoo(c) => c.run(),
            Command::Doctor(c) => c.run(),
        }
    }
}

/// Where things outside the recipe are, by the environment; a download shows its bar.
fn places() -> Places {
    let places = Places::of_environment();
    Places { hub: places.hub.watched_by(Arc::new(Download::new(std::io::stderr().is_terminal()))), ..places }
}

/// The text behind RECIPE: a path where it has a slash or ends in `.toml`, else a name of the zoo, of the working directory
/// or of this binary.
fn recipe_text(recipe: &str) -> Result<RecipeText, Failure> {
    if recipe.contains('/') || recipe.ends_with(".toml") {
        let unreadable = |e: std::io::Error| RecipeError::Unreadable { file: recipe.to_owned(), reason: e.to_string() };
        let text = fs::read_to_string(Path::new(recipe)).map_err(unreadable)?;
        return Ok(RecipeText { file: recipe.to_owned(), text });
    }
    let found = Shelf::Zoo.find(recipe).map_err(|e| Failure::usage(format!("recipes/zoo/{recipe}.toml: {e}")))?;
    found.ok_or_else(|| {
        Failure::usage(format!(
            "no recipe named `{recipe}` in the zoo (`cohort zoo list` names all; recipes/zoo/{recipe}.toml is not there)\n  \
             hint: a path has a slash or ends in .toml, for example recipes/quickstart.toml"
        ))
    })
}

/// Prints a value as one JSON document.
fn print_json(value: &impl Serialize) -> Result<(), Failure> {
    print_line(&serde_json::to_string_pretty(value).map_err(Failure::other)?)
}

/// Prints a line; a reader that went away is no failure.
fn print_line(text: &str) -> Result<(), Failure> {
    use std::io::Write;
    match writeln!(std::io::stdout(), "{text}") {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => Err(Failure::other(format!("stdout: {e}"))),
        _ => Ok(()),
    }
}
