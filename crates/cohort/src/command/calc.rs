//! `cohort calc`

use std::{io::Read, path::PathBuf};

use clap::Args;
use cohort::calc::{Document, calculate};
use cohort_train::Recipe;

use super::{print_line, recipe_text};
use crate::exit::Failure;

/// A recipe's advantages, loss and derivatives on given numbers.
///
/// Needs neither model nor data. One JSON document in: {"groups":[{"trajectories":[{"reward":1,"logp":[..],
/// "old_logp":[..],"ref_logp":[..],..}]}]}; one out, in its shape: {"advantage","loss","d_logp",..,"metrics"}. `loss` is what
/// is minimised, `d_*` are its derivatives. Columns that the recipe does not read are ignored; one that it reads
/// and does not find is an error (`old_logp` alone may be absent: then it is `logp`, detached). Everything is f64.
#[derive(Args)]
#[command(
    after_help = "Example:\n  echo '{\"groups\":[{\"trajectories\":[{\"reward\":1,\"logp\":[-0.5]},{\"reward\":0,\"logp\":[-1.0,-0.2]}]}]}' \\\n    | cohort calc --recipe recipes/quickstart.toml"
)]
pub struct Calc {
    /// A path to a .toml file, or a name of the zoo
    #[arg(long)]
    recipe: String,
    /// The batch, one JSON document; stdin unless told
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,
    /// Replaces a key of the recipe; repeatable
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// The answer is JSON either way
    #[arg(long)]
    json: bool,
}

impl Calc {
    pub fn run(self) -> Result<(), Failure> {
        let Self { recipe, input, set, json: _ } = self;
        let source = recipe_text(&recipe)?;
        let method = Recipe::method_of_text(&source.file, &source.text, &set)?;
        let name = input.as_ref().map_or("stdin".to_owned(), |path| path.display().to_string());
        let unreadable = |e| Failure::data(format!("{name}: {e}"));
        let text = match &input {
            Some(path) => std::fs::read_to_string(path).map_err(unreadable)?,
            None => {
                let mut text = String::new();
                std::io::stdin().read_to_string(&mut text).map_err(unreadable)?;
                text
            }
        };
        let failed = |e| Failure::data(format!("{name}: {e}"));
        let document = Document::parse(&text).map_err(failed)?;
        let answer = calculate(&method, &document).map_err(failed)?;
        print_line(&answer.to_string())
    }
}
