//! `cohort sample`

use std::{path::PathBuf, sync::Arc};

use clap::Args;
use cohort_core::{Context, Controls, Decoding, Request, Sampler, StopReason, Stream};
use cohort_model::TextPolicy;
use cohort_train::build::{Places, load_policy};
use serde::{Deserialize, Serialize};

use super::print_line;
use crate::{
    exit::Failure,
    rows::{self, Row},
};

/// Sample completions from a model.
///
/// Rows have a `prompt` (text) or `prompt_ids`. With --json each row's completions come as one line with ids and
/// log-probabilities.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  cohort sample --model DIR --prompt '47+85=' -n 4\n  cohort sample --model DIR --input rows.jsonl --json"
)]
pub struct Sample {
    /// A model directory, or data:NAME below COHORT_DATA
    #[arg(long, value_name = "DIR")]
    model: String,
    #[arg(long, value_name = "TEXT", conflicts_with = "input")]
    prompt: Option<String>,
    /// Rows, one JSON object a line; stdin unless told
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,
    /// Completions a prompt
    #[arg(short = 'n', value_name = "K", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    n: u32,
    #[arg(long, default_value_t = 1.0)]
    temperature: f32,
    /// Take the most probable token every time
    #[arg(long, conflicts_with = "temperature")]
    greedy: bool,
    /// The cap on a completion; 128, or what the model has room for, unless told
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    max_new_tokens: Option<u32>,
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    #[arg(long)]
    json: bool,
}

#[derive(Deserialize)]
struct Prompt {
    prompt: Option<String>,
    prompt_ids: Option<Vec<u32>>,
}

#[derive(Serialize)]
struct Completions {
    #[serde(skip_serializing_if = "Option::is_none")]
    prompt: Option<String>,
    completions: Vec<Completion>,
}

#[derive(Serialize)]
struct Completion {
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    ids: Vec<u32>,
    logp: Vec<f32>,
    stop: StopReason,
}

impl Sample {
    pub fn run(self) -> Result<(), Failure> {
        let decoding = match self.greedy {
            true => Decoding::Greedy,
            false if self.temperature.is_finite() && self.temperature > 0.0 => Decoding::Temperature(self.temperature),
            false => {
                return Err(Failure::usage(
                    "--temperature must be a number above 0\n  hint: --greedy takes the most probable token",
                ));
            }
        };
        let policy = load_policy("--model", &self.model, &Places::of_environment())?;
        if let Some(text) = &self.prompt {
            let row = Prompt { prompt: Some(text.clone()), prompt_ids: None };
            return self.answer(&policy, decoding, 0, Row { place: "--prompt".to_owned(), line: 1, row });
        }
        for (index, row) in rows::read(self.input.as_deref())?.enumerate() {
            self.answer(&policy, decoding, index as u32, row?)?;
        }
        Ok(())
    }

    fn answer(&self, policy: &TextPolicy, decoding: Decoding, index: u32, row: Row<Prompt>) -> Result<(), Failure> {
        let Row { place, row, .. } = row;
        let failed = |reason: String| Failure::data(format!("{place}: {reason}"));
        let tokenizer = policy.tokenizer();
        let ids = match (row.prompt_ids, &row.prompt) {
            (Some(ids), _) => ids,
            (None, Some(text)) => {
                let tokenizer =
                    tokenizer.ok_or_else(|| failed("the model has no tokenizer.json; give prompt_ids".to_owned()))?;
                tokenizer.encode(text).map_err(|e| failed(e.to_string()))?
            }
            (None, None) => return Err(failed("expected `prompt` or `prompt_ids`".to_owned())),
        };
        let room = policy.position_limit().map_or(usize::MAX, |limit| limit.saturating_sub(ids.len()));
        let controls = Arc::new(Controls {
            decoding,
            max_actions: self.max_new_tokens.map_or(room.clamp(1, 128), |n| n as usize),
            stop: policy.architecture().end_ids.clone(),
            forbidden: Vec::new(),
            policy_version: 0,
        });
        let stream = Stream::new(self.seed, "sample");
        let request = |k| Request {
            context: Context::of_tokens(ids.clone()),
            controls: controls.clone(),
            dice: stream.dice(0, index, k),
        };
        let requests: Vec<Request> = (0..self.n).map(request).collect();
        let samples = policy.sample(&requests).map_err(|e| failed(e.to_string()))?;
        let completions: Vec<Completion> = samples
            .iter()
            .map(|sample| {
                let ids: Vec<u32> = sample.tokens().collect();
                let text = tokenizer.map(|t| t.decode(&ids));
                let logp = sample.behaviour.logp.iter().map(|&x| x as f32).collect();
                Completion { text, ids, logp, stop: sample.stop }
            })
            .collect();
        if self.json {
            let line = serde_json::to_string(&Completions { prompt: row.prompt, completions });
            return print_line(&line.map_err(Failure::other)?);
        }
        for completion in completions {
            print_line(&completion.text.unwrap_or_else(|| format!("{:?}", completion.ids)))?;
        }
        Ok(())
    }
}
