//! `cohort merge`

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use cohort_core::NumberType;
use cohort_train::merge::{Merge, merge};
use serde_json::json;

use super::{places, print_json, print_line};
use crate::exit::Failure;

#[derive(Clone, Copy, ValueEnum)]
enum Type {
    F32,
    Bf16,
}

/// Merge an adapter into its base: a model of its own.
///
/// W + scale * B A is computed in f32 and rounded once. The directory is Hugging Face's layout, with a card and checksums.
#[derive(Args)]
#[command(after_help = "Example:\n  cohort merge --model runs/gsm8k-seed0/checkpoints/last --out merged")]
pub struct MergeCommand {
    /// The directory of an adapter (PEFT's layout, or a checkpoint of a run)
    #[arg(long, value_name = "DIR")]
    model: String,
    /// Where the model is written; absent or empty
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// The adapter's base, where it is not where the adapter says
    #[arg(long, value_name = "DIR")]
    base: Option<String>,
    /// What matrices are stored in; the base's own type unless told (f16 becomes f32)
    #[arg(long, value_enum)]
    dtype: Option<Type>,
    #[arg(long)]
    json: bool,
}

impl MergeCommand {
    pub fn run(self) -> Result<(), Failure> {
        let numbers = self.dtype.map(|dtype| match dtype {
            Type::F32 => NumberType::F32,
            Type::Bf16 => NumberType::Bf16,
        });
        let plan = Merge { adapter: &self.model, base: self.base.as_deref(), numbers, out: &self.out };
        let merged = merge(&plan, &places())?;
        let (modules, out) = (merged.modules, self.out.display().to_string());
        let dtype = match merged.numbers {
            NumberType::F32 => "f32",
            NumberType::Bf16 => "bf16",
        };
        if self.json {
            print_json(&json!({ "out": out, "base": merged.base, "modules": modules, "dtype": dtype }))
        } else {
            print_line(&format!("{modules} adapters merged into {out} ({dtype})"))
        }
    }
}
