//! `cohort logprobs`

use std::path::PathBuf;

use clap::Args;
use cohort_core::{Context, Policy, RowSpec, Sample};
use cohort_train::build::load_policy;
use serde::{Deserialize, Serialize};

use super::{places, print_line};
use crate::{exit::Failure, rows};

/// Log-probabilities and entropies of given completions, in nats, at temperature 1.
///
/// Rows are {"prompt_ids":[..],"completion_ids":[..]}; ids are taken as given, nothing is added. One line a row:
/// {"logp":[..],"entropy":[..]}, one number a completion id.
#[derive(Args)]
#[command(
    after_help = "Example:\n  echo '{\"prompt_ids\":[5,6],\"completion_ids\":[7,1]}' | cohort logprobs --model DIR"
)]
pub struct Logprobs {
    /// A model directory, data:NAME below COHORT_DATA, or hf:org/name[@revision]
    #[arg(long, value_name = "DIR")]
    model: String,
    /// Rows, one JSON object a line; stdin unless told
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,
    /// Rows are JSON either way
    #[arg(long)]
    json: bool,
}

#[derive(Deserialize)]
struct Given {
    prompt_ids: Vec<u32>,
    completion_ids: Vec<u32>,
}

#[derive(Serialize)]
struct Columns {
    logp: Vec<f32>,
    entropy: Vec<f32>,
}

impl Logprobs {
    pub fn run(self) -> Result<(), Failure> {
        let Self { model, input, json: _ } = self;
        let policy = load_policy("--model", &model, &places())?;
        for row in rows::read::<Given>(input.as_deref())? {
            let rows::Row { place, row, .. } = row?;
            let sample = Sample::given(Context::of_tokens(row.prompt_ids), &row.completion_ids);
            let rows = policy.rows(&[&sample], RowSpec::at(1.0));
            let rows = rows.map_err(|e| Failure::data(format!("{place}: {e}")))?;
            let short = |column: &[f64]| column.iter().map(|&x| x as f32).collect();
            let columns = rows.first().map_or(Columns { logp: Vec::new(), entropy: Vec::new() }, |rows| Columns {
                logp: short(&rows.logp),
                entropy: short(&rows.entropy),
            });
            print_line(&serde_json::to_string(&columns).map_err(Failure::other)?)?;
        }
        Ok(())
    }
}
