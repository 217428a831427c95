//! `cohort train`

use std::{
    io::IsTerminal,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use clap::Args;
use cohort_train::{
    Error, Options, Recipe,
    build::{Places, setup},
    cold_start::cache_folder,
    run_dir::{RunDir, RunDirError, Start},
    train,
};

use super::{places, print_json, print_line, recipe_text};
use crate::{
    console::{self, Console},
    exit::Failure,
};

/// Train a policy by a recipe, and say how much better it got.
///
/// The run directory holds metrics, rollouts, checkpoints (Hugging Face layout), summary.json and report.html.
/// A run that was killed goes on with --resume as if nothing had happened.
#[derive(Args)]
#[command(after_help = "Examples:\n  cohort train recipes/quickstart.toml\n  \
                        cohort train recipes/gsm8k.toml --set policy.model=DIR --set train.steps=20 --run-dir runs/gsm8k\n  \
                        cohort train recipes/gsm8k.toml --set policy.model=DIR --run-dir runs/gsm8k --resume")]
pub struct Train {
    /// A recipe file, or the name of a recipe of the zoo
    recipe: String,
    /// Where the run is written; it must be empty unless --resume is given [default: runs/NAME-seedN]
    #[arg(long, value_name = "DIR")]
    run_dir: Option<PathBuf>,
    /// Seeds the rl stage, its evaluations and the order of prompts
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Set a key of the recipe, for example --set train.lr=1e-4
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
    /// Go on with what the run directory holds
    #[arg(long)]
    resume: bool,
    /// Workers, one a core unless told; their number changes no result
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    workers: Option<u16>,
    /// End at once when standard input closes: for whoever starts runs and may be killed
    #[arg(long, hide = true)]
    ends_with_stdin: bool,
    /// Print the summary as JSON
    #[arg(long)]
    json: bool,
}

impl Train {
    pub fn run(self) -> Result<(), Failure> {
        let recipe = {
            let source = recipe_text(&self.recipe)?;
            Recipe::of_text(&source.file, &source.text, &self.overrides, self.seed)?
        };
        let start = if self.resume { Start::Resume } else { Start::Fresh };
        let run_dir = self.run_dir.unwrap_or_else(|| default_run_dir(&recipe, start));
        // Before anything is loaded: what was asked for comes first.
        RunDir::admit(&run_dir, start, &recipe).map_err(cohort_train::Error::from)?;
        let setup = setup(&recipe, &Places { run_dir: Some(run_dir.clone()), ..places() })?;
        let interrupt = Arc::new(AtomicBool::new(false));
        catch_interrupts(&interrupt)?;
        if self.ends_with_stdin {
            end_with_stdin();
        }
        let options = Options {
            run_dir: run_dir.clone(),
            start,
            workers: self.workers.map(usize::from),
            cache: cache_folder(|name| std::env::var(name).ok()),
            interrupt,
        };
        let mut console = Console::new(std::io::stderr().is_terminal());
        console.head(&recipe, &setup, &run_dir);
        let result = match train(&recipe, setup, &options, &mut console) {
            // Its report is another process's to write.
            Err(e @ Error::RunDir(RunDirError::Busy { .. })) => return Err(e.into()),
            result => result,
        };
        console.finish();
        // A failed run has a report too: it shows how far it came.
        let report = cohort::report::write(&run_dir);
        let summary = result?;
        let report = report
            .map_err(|e| Failure::other(format!("the run is complete, and its report could not be written: {e}")))?;
        if self.json {
            return print_json(&summary);
        }
        print_line(&console::table(&summary))?;
        print_line(&format!("report: {}", report.display()))
    }
}

/// The first interrupt lets the step end and saves it; the second ends the process at once, which loses no more
/// than a kill does.
fn catch_interrupts(interrupt: &Arc<AtomicBool>) -> Result<(), Failure> {
    let flag = interrupt.clone();
    let handler = move || {
        if flag.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
        eprintln!("\ninterrupted: the step under way is finished and saved (again to leave at once)");
    };
    ctrlc::set_handler(handler).map_err(|e| Failure::other(format!("cannot catch interrupts: {e}")))
}

/// Watches standard input, and ends the process when it closes; that loses no more than a kill does.
fn end_with_stdin() {
    std::thread::spawn(|| {
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        std::process::exit(130);
    });
}

/// `runs/NAME-seedN`, numbered on where that is taken and the run starts anew.
fn default_run_dir(recipe: &Recipe, start: Start) -> PathBuf {
    let name = if recipe.name.is_empty() { "run" } else { &recipe.name };
    let base = format!("runs/{name}-seed{}", recipe.seed);
    let taken = |path: &Path| std::fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_some());
    let numbered = (2..).map(|n| PathBuf::from(format!("{base}-{n}")));
    let mut candidates = std::iter::once(PathBuf::from(&base)).chain(numbered);
    match start {
        Start::Resume => PathBuf::from(base),
        Start::Fresh => candidates.find(|path| !taken(path)).unwrap_or_else(|| PathBuf::from(base)),
    }
}
