//! `cohort sample`

use std::{path::PathBuf, sync::Arc};

use clap::{Args, ValueEnum};
use cohort_core::{Context, Controls, Decoding, Request, Sampler, StopReason, Stream, Truncation};
use cohort_model::TextPolicy;
use cohort_train::{Error, Workers, bad_words, build::load_policy, recipe::low::BadWord};
use serde::{Deserialize, Serialize};

use super::{drawing::Drawing, places, print_line};
use crate::{
    exit::Failure,
    rows::{self, Row},
};

/// Completions that are drawn together, where there are so many.
const TOGETHER: usize = 512;

/// Sample completions from a model.
///
/// Rows have a `prompt` (text) or `prompt_ids`, and may have a `seed`: the completions of such a row are a function of it
/// and of the prompt, wherever the row stands. With --json each row's completions come as one line with ids and
/// log-probabilities, at the temperature and before top-k, top-p and min-p; where these are on, `truncated_logp` holds those
/// after them.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  cohort sample --model DIR --prompt '47+85=' -n 4\n  cohort sample --model DIR --prompt 'Dear' --temperature 0.7 --top-p 0.95 --stop '\n\n'\n  cohort sample --model DIR --input rows.jsonl --json"
)]
pub struct Sample {
    /// A model directory, data:NAME below COHORT_DATA, or hf:org/name[@revision]
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
    /// Take the most probable token every time
    #[arg(long, conflicts_with_all = ["temperature", "top_k", "top_p", "min_p"])]
    greedy: bool,
    /// Of --temperature 1 and at most 128 tokens, or what the model has room for, unless told
    #[command(flatten)]
    drawing: Drawing,
    /// Whether a completion's text has the stop string that ended it; its ids have it either way
    #[arg(long, value_enum, default_value = "exclude")]
    stop_in_text: StopInText,
    /// Seeds the rows that have no seed
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum StopInText {
    Exclude,
    Include,
}

#[derive(Deserialize)]
struct Prompt {
    prompt: Option<String>,
    prompt_ids: Option<Vec<u32>>,
    seed: Option<u64>,
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
    #[serde(skip_serializing_if = "Option::is_none")]
    truncated_logp: Option<Vec<f32>>,
    stop: StopReason,
}

/// A row whose completions are to be drawn.
struct Asked {
    place: String,
    prompt: Option<String>,
    requests: Vec<Request>,
}

impl Sample {
    pub fn run(self) -> Result<(), Failure> {
        let controls = self.controls()?;
        let policy = load_policy("--model", &self.model, &places())?;
        let words: Vec<BadWord> = self.drawing.bad_word.iter().cloned().map(BadWord::Text).collect();
        let bad_words = bad_words(&policy, &words).map_err(|problem| {
            Failure::usage(format!("--bad-word must be a text that the model has tokens for: got {problem}"))
        })?;
        let controls = Controls { bad_words, stop: policy.architecture().end_ids.clone(), ..controls };
        if let Some(text) = &self.prompt {
            let row = Prompt { prompt: Some(text.clone()), prompt_ids: None, seed: None };
            let asked = self.ask(&policy, &controls, 0, Row { place: "--prompt".to_owned(), line: 1, row })?;
            return self.answer(&policy, &[asked]);
        }
        let mut waiting: Vec<Asked> = Vec::new();
        for (index, row) in rows::read(self.input.as_deref())?.enumerate() {
            match row.and_then(|row| self.ask(&policy, &controls, index as u32, row)) {
                Ok(asked) => waiting.push(asked),
                Err(failure) => {
                    // What stands before a broken row is answered.
                    self.answer(&policy, &waiting)?;
                    return Err(failure);
                }
            }
            if waiting.len() * self.n as usize >= TOGETHER {
                self.answer(&policy, &waiting)?;
                waiting.clear();
            }
        }
        self.answer(&policy, &waiting)
    }

    /// What the flags say, without what depends on the model.
    fn controls(&self) -> Result<Controls, Failure> {
        let drawing = &self.drawing;
        let decoding = match self.greedy {
            true => Decoding::Greedy,
            false => Decoding::Temperature(drawing.temperature.unwrap_or(1.0)),
        };
        if let Decoding::Temperature(t) = decoding
            && !(t.is_finite() && t > 0.0)
        {
            let hint = "--greedy takes the most probable token";
            return Err(Failure::usage(format!("--temperature must be a number above 0: got {t}\n  hint: {hint}")));
        }
        let truncation = Truncation {
            top_k: drawing.top_k,
            top_p: drawing.top_p.unwrap_or(Truncation::OFF.top_p),
            min_p: drawing.min_p.unwrap_or(Truncation::OFF.min_p),
        };
        if let Err((name, problem)) = truncation.check() {
            let hint = "for example --top-k 50, --top-p 0.95, --min-p 0.05";
            return Err(Failure::usage(format!("--{} {problem}\n  hint: {hint}", name.replace('_', "-"))));
        }
        if drawing.stop.iter().any(String::is_empty) {
            return Err(Failure::usage(
                "--stop must be a text: every text contains the empty one\n  hint: leave it away",
            ));
        }
        let cap = drawing.max_new_tokens.map_or(128, |n| n as usize);
        Ok(Controls { truncation, stop_texts: drawing.stop.clone(), ..Controls::new(decoding, cap) })
    }

    fn ask(&self, policy: &TextPolicy, controls: &Controls, index: u32, row: Row<Prompt>) -> Result<Asked, Failure> {
        let Row { place, row, .. } = row;
        let failed = |reason: &str| Failure::data(format!("{place}: {reason}"));
        let ids = match (row.prompt_ids, &row.prompt) {
            (Some(ids), _) => ids,
            (None, Some(text)) => {
                let none = "the model has no tokenizer.json\n  hint: give prompt_ids";
                let tokenizer = policy.tokenizer().ok_or_else(|| failed(none))?;
                tokenizer.encode(text).map_err(|e| failed(&e.to_string()))?
            }
            (None, None) => return Err(failed("expected `prompt` or `prompt_ids`")),
        };
        let mut controls = controls.clone();
        if self.drawing.max_new_tokens.is_none() {
            let room = policy.position_limit().map_or(usize::MAX, |limit| limit.saturating_sub(ids.len()));
            controls.max_actions = room.clamp(1, controls.max_actions);
        }
        let controls = Arc::new(controls);
        // A row with a seed is drawn by it alone; the others by their place too, so that equal prompts differ.
        let (seed, index) = row.seed.map_or((self.seed, index), |seed| (seed, 0));
        let stream = Stream::new(seed, "sample");
        let context = Context::of_tokens(ids);
        let request =
            |k| Request { context: context.clone(), controls: controls.clone(), dice: stream.dice(0, index, k) };
        let requests = (0..self.n).map(request).collect();
        Ok(Asked { place, prompt: row.prompt, requests })
    }

    fn answer(&self, policy: &TextPolicy, rows: &[Asked]) -> Result<(), Failure> {
        let requests: Vec<Request> = rows.iter().flat_map(|row| row.requests.iter().cloned()).collect();
        let workers = Workers::new(None);
        let blocks: Vec<&[Request]> = requests.chunks(requests.len().div_ceil(workers.count()).max(1)).collect();
        let drawn = workers.map("sampling", blocks.len(), |block| {
            policy.sample(blocks[block]).map_err(|source| Error::Policy { step: 0, source })
        });
        match drawn {
            Ok(samples) => {
                let mut samples = samples.into_iter().flatten();
                rows.iter().try_for_each(|row| self.write(policy, row, samples.by_ref().take(row.requests.len())))
            }
            // One by one: the rows before the broken one are answered, and it is named.
            Err(Error::Policy { .. }) => rows.iter().try_for_each(|row| {
                let samples = policy.sample(&row.requests);
                let samples = samples.map_err(|e| Failure::data(format!("{}: {e}", row.place)))?;
                self.write(policy, row, samples.into_iter())
            }),
            Err(other) => Err(other.into()),
        }
    }

    fn write(
        &self,
        policy: &TextPolicy,
        row: &Asked,
        samples: impl Iterator<Item = cohort_core::Sample>,
    ) -> Result<(), Failure> {
        let short = |column: &[f64]| column.iter().map(|&x| x as f32).collect();
        let controls = row.requests.first().map(|request| &request.controls);
        let completion = |sample: cohort_core::Sample| {
            let ids: Vec<u32> = sample.tokens().collect();
            let text = policy.tokenizer().map(|t| t.decode(&ids)).map(|text| match (self.stop_in_text, controls) {
                (StopInText::Exclude, Some(controls)) => controls.without_stop(text, sample.stop),
                _ => text,
            });
            let truncated_logp = sample.truncated_logp.as_deref().map(short);
            Completion { text, ids, logp: short(&sample.behaviour.logp), truncated_logp, stop: sample.stop }
        };
        let completions: Vec<Completion> = samples.map(completion).collect();
        if self.json {
            let line = serde_json::to_string(&Completions { prompt: row.prompt.clone(), completions });
            return print_line(&line.map_err(Failure::other)?);
        }
        for completion in completions {
            print_line(&completion.text.unwrap_or_else(|| format!("{:?}", completion.ids)))?;
        }
        Ok(())
    }
}
