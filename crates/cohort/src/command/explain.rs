//! `cohort explain`

use clap::Args;
use cohort::keys;

use super::{print_json, print_line};
use crate::exit::Failure;

/// What a key of a recipe is: its type, default, range and meaning; a section or a choice lists what is below it.
///
/// `cohort methods NAME` explains a choice by its word alone.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  cohort explain\n  cohort explain train.lr\n  cohort explain objective.surrogate.policy_gradient.gate\n  \
                  cohort explain --schema > recipe.schema.json    (an editor completes recipes that begin with \
                  `#:schema ./recipe.schema.json`)"
)]
pub struct Explain {
    /// A dotted key; the sections of a recipe without one
    #[arg(default_value = "", hide_default_value = true)]
    key: String,
    /// The JSON schema of all recipes
    #[arg(long, conflicts_with_all = ["key", "json"])]
    schema: bool,
    #[arg(long)]
    json: bool,
}

impl Explain {
    pub fn run(self) -> Result<(), Failure> {
        if self.schema {
            return print_json(keys::schema());
        }
        let key = keys::explain(&self.key).map_err(Failure::usage)?;
        if self.json { print_json(&key) } else { print_line(&key.page()) }
    }
}
