//! `cohort init`

use std::{
    fs::OpenOptions,
    io::{ErrorKind, Write},
    path::PathBuf,
};

use clap::Args;
use cohort::init::{Request, recipe};
use cohort_train::Recipe;

use super::{places, print_line};
use crate::exit::Failure;

/// Write a recipe for a model and a data file, with what was found in both.
#[derive(Args)]
#[command(after_help = "Examples:\n  cohort init --model DIR --data rows.jsonl\n  \
                        cohort init --model hf:Qwen/Qwen2.5-0.5B-Instruct --data rows.parquet --answer label --out first.toml\n  \
                        cohort train first.toml")]
pub struct Init {
    /// A model directory, data:NAME below COHORT_DATA, or hf:org/name[@revision]
    #[arg(long, value_name = "DIR")]
    model: String,
    /// JSON lines or Parquet: a path, data:NAME, or hf:datasets/org/name/FILE
    #[arg(long, value_name = "FILE")]
    data: String,
    /// The recipe to write
    #[arg(long, value_name = "FILE", default_value = "recipe.toml")]
    out: PathBuf,
    /// The column of prompts, where the guess is wrong
    #[arg(long, value_name = "COLUMN")]
    prompt: Option<String>,
    /// The column of right answers, where the guess is wrong
    #[arg(long, value_name = "COLUMN")]
    answer: Option<String>,
    /// Write over a recipe that is there
    #[arg(long)]
    force: bool,
}

impl Init {
    pub fn run(self) -> Result<(), Failure> {
        if !self.force && self.out.exists() {
            return Err(self.taken());
        }
        let places = places();
        let directory = places.model("--model", &self.model)?;
        let file = places.file("--data", &self.data)?;
        let request = Request {
            model: &self.model,
            data: &self.data,
            directory: &directory,
            file: &file,
            prompt: self.prompt.as_deref(),
            answer: self.answer.as_deref(),
        };
        let text = recipe(&request).map_err(Failure::from_init)?;
        let name = self.out.display().to_string();
        Recipe::parse(&name, &text, &[])?;
        let mut options = OpenOptions::new();
        options.write(true);
        // What appeared in the meantime is not written over either.
        if self.force {
            options.create(true).truncate(true)
        } else {
            options.create_new(true)
        };
        let mut out = options.open(&self.out).map_err(|e| match e.kind() {
            ErrorKind::AlreadyExists => self.taken(),
            _ => Failure::usage(format!("--out {name} cannot be written: {e}")),
        })?;
        out.write_all(text.as_bytes()).map_err(|e| Failure::other(format!("{name}: {e}")))?;
        print_line(&format!("{name} is written: look at it, then\n  cohort train {}", path_of(&name)))
    }

    fn taken(&self) -> Failure {
        let name = self.out.display();
        Failure::usage(format!(
            "--out {name} is there already\n  hint: --force writes over it, --out FILE writes elsewhere"
        ))
    }
}

/// As RECIPE is given: a path has a slash or ends in .toml.
fn path_of(name: &str) -> String {
    if name.contains('/') || name.ends_with(".toml") { name.to_owned() } else { format!("./{name}") }
}
