//! `cohort zoo`

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use clap::{Args, Subcommand};
use cohort::zoo::{self, Options, Round, Shelf, ZooError};
use cohort_train::cold_start::cache_folder;
use cohort_zoo::ResultLine;

use super::{print_json, print_line, train::Train};
use crate::exit::Failure;

pub const EXAMPLES: &str = "Examples:\n  cohort zoo list\n  cohort zoo verify mc-grpo\n  cohort zoo verify mc-grpo --seeds 2 --json\n  \
                            cohort zoo table\n\nA verify appends its line to results/NAME.jsonl; one that was killed goes on where it was.";

#[derive(Subcommand)]
pub enum Zoo {
    /// Every published system, and what came of its claim
    List(List),
    /// Train a system's recipe once: its method arm
    Run(Train),
    /// Test a system's claim against its baseline, over seeds
    Verify(Verify),
    /// Write README's table and docs/systems from results and recipes
    Table(Table),
    /// Run the listed trials of both arms on dev
    Tune(Tune),
}

#[derive(Args)]
pub struct List {
    #[arg(long)]
    json: bool,
}

/// Runs both arms of a claim with their seeds and its control, and judges them by the claim's own rules.
#[derive(Args)]
pub struct Verify {
    /// The name of a recipe of the zoo
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    name: Option<String>,
    /// Every recipe of the zoo, one after the other; what is done of one that was killed is not run again
    #[arg(long)]
    all: bool,
    /// Seeds 0 to N-1; fewer than the claim's make a trial, which never counts
    #[arg(long, value_name = "N")]
    seeds: Option<u64>,
    /// Runs at a time, one a core unless told; changes no number
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    jobs: Option<u16>,
    /// Print the line as JSON; with --all one a line
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub struct Table {
    #[arg(long)]
    json: bool,
}

/// Tuning looks at dev alone, with seeds that no verify has.
#[derive(Args)]
pub struct Tune {
    /// The name of a recipe of the zoo
    name: String,
    /// Seeds 1000 to 999+N
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    seeds: Option<u64>,
    /// Runs at a time, one a core unless told
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    jobs: Option<u16>,
    #[arg(long)]
    json: bool,
}

impl Zoo {
    pub fn run(self) -> Result<(), Failure> {
        match self {
            Zoo::List(c) => c.run(),
            Zoo::Run(c) => c.run(),
            Zoo::Verify(c) => c.run(),
            Zoo::Table(c) => c.run(),
            Zoo::Tune(c) => c.run(),
        }
    }
}

impl List {
    fn run(self) -> Result<(), Failure> {
        let listings = zoo::list().map_err(Failure::from_zoo)?;
        if self.json {
            return print_json(&listings);
        }
        for l in &listings {
            let number = l.system.map_or("-".to_owned(), |n| n.to_string());
            let needs = l.needs.map_or(String::new(), |needs| format!("   needs {needs}"));
            print_line(
                format!("{number:>3}  {:<20} {:>3} runs  {:<15}{needs}", l.name, l.runs, l.verdict.word()).trim_end(),
            )?;
        }
        Ok(())
    }
}

impl Verify {
    fn run(self) -> Result<(), Failure> {
        let options = options(self.seeds, self.jobs)?;
        let Some(name) = &self.name else { return self.all(&options) };
        let verified = zoo::verify(name, &options).map_err(Failure::from_zoo)?;
        if self.json { print_json(&verified.line) } else { print_line(&text(&verified)) }
    }

    fn all(&self, options: &Options) -> Result<(), Failure> {
        let mut round = Round::open(options).map_err(Failure::from_zoo)?;
        let json = |line: &ResultLine| serde_json::to_string(line).map_err(Failure::other);
        let mut worst = None;
        for name in Shelf::Zoo.names() {
            if let Some(line) = round.line(&name) {
                let told = if self.json {
                    json(line)?
                } else {
                    format!("\n{name}: {}, before this round was interrupted", line.verdict)
                };
                print_line(&told)?;
                continue;
            }
            match zoo::verify(&name, options) {
                Ok(verified) => {
                    round.note(&verified.line).map_err(Failure::from_zoo)?;
                    print_line(&if self.json { json(&verified.line)? } else { text(&verified) })?;
                }
                // One that cannot be tested keeps the others from nothing; an interrupt does.
                Err(error) if !matches!(error, ZooError::Interrupted) => {
                    eprintln!("cohort: {name}: {error}");
                    worst.get_or_insert(Failure::from_zoo(error));
                }
                Err(error) => return Err(Failure::from_zoo(error)),
            }
        }
        round.end().map_err(Failure::from_zoo)?;
        worst.map_or(Ok(()), Err)
    }
}

impl Table {
    fn run(self) -> Result<(), Failure> {
        let written = zoo::write_documents(Path::new("")).map_err(Failure::from_zoo)?;
        if self.json {
            return print_json(&zoo::list().map_err(Failure::from_zoo)?);
        }
        print_line(written.table.trim_end())?;
        written.changed.iter().for_each(|path| eprintln!("written: {}", path.display()));
        Ok(())
    }
}

impl Tune {
    fn run(self) -> Result<(), Failure> {
        let options = options(self.seeds, self.jobs)?;
        let lines = zoo::tune(&self.name, &options).map_err(Failure::from_zoo)?;
        if self.json {
            return print_json(&lines);
        }
        for line in &lines {
            let trial: Vec<String> = line.trial.iter().map(|(key, value)| format!("{key} = {value}")).collect();
            let best = if line.best { "   best of its arm" } else { "" };
            print_line(&format!(
                "{:<9} {} on dev {:.4} ({:?})   {}{best}",
                line.arm,
                line.metric,
                line.mean,
                line.values,
                trial.join(", ")
            ))?;
        }
        Ok(())
    }
}

fn options(seeds: Option<u64>, jobs: Option<u16>) -> Result<Options, Failure> {
    let cache: PathBuf =
        cache_folder(|name| std::env::var(name).ok()).ok_or_else(|| Failure::from_zoo(ZooError::NoCache))?;
    // Runs are started in this folder, and named from it.
    let cache = std::path::absolute(&cache).map_err(Failure::other)?;
    let interrupt = Arc::new(AtomicBool::new(false));
    let flag = interrupt.clone();
    let handler = move || {
        if flag.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
        eprintln!("\ninterrupted: runs are ended; the same command goes on");
    };
    ctrlc::set_handler(handler).map_err(|e| Failure::other(format!("cannot catch interrupts: {e}")))?;
    Ok(Options { seeds, jobs: jobs.map(usize::from), cache, interrupt, say: |line| eprintln!("{line}") })
}

/// A verify for people.
fn text(verified: &zoo::Verified) -> String {
    let line: &ResultLine = &verified.line;
    let mut text = format!(
        "\n{}: {}{}\n",
        line.name,
        line.verdict,
        if line.trial { " (a trial: too few seeds to count)" } else { "" }
    );
    text += &format!(
        "\n{:<6}{:>12}{:>12}{:>12}{:>12}{:>12}\n",
        "seed", "cold start", "method", "baseline", "tokens", "tokens"
    );
    for (i, seed) in line.seeds.iter().enumerate() {
        text += &format!(
            "{seed:<6}{:>12.4}{:>12.4}{:>12.4}{:>12}{:>12}\n",
            line.before[i], line.method[i], line.baseline[i], line.tokens.method[i], line.tokens.baseline[i]
        );
    }
    let interval = match (line.difference.low, line.difference.high) {
        (Some(low), Some(high)) => format!(" ({low:+.4} .. {high:+.4})"),
        _ => " (one seed has no interval)".to_owned(),
    };
    text += &format!("\n{}: difference {:+.4}{interval}, d = {}\n", line.metric, line.difference.mean, line.effect);
    let control = &line.control;
    let values: Vec<String> =
        control.values.iter().zip(&control.against).map(|(v, a)| format!("{v:.4} against {a:.4}")).collect();
    text += &format!("control ({}): {}\n", control.name, values.join(", "));
    let sum = |tokens: &[u64]| tokens.iter().sum::<u64>();
    text += &format!(
        "tokens: {} of the method, {} of the baseline; {:.1} minutes\n",
        sum(&line.tokens.method),
        sum(&line.tokens.baseline),
        line.minutes
    );
    for (key, values) in &verified.differences {
        let show = |i: usize| values[i].clone().unwrap_or_else(|| "-".to_owned());
        text += &format!("  {key}: {} | {}\n", show(0), show(1));
    }
    text += &format!("appended to {}", verified.results.display());
    if let Some(page) = &verified.page {
        text += &format!("\nruns side by side: {}", page.display());
    }
    text
}
