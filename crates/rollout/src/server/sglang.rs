//! SGLang: `/generate` with `input_ids`, which answers ids and log-probabilities side by side.
//!
//! Protocol: SGLang's `GenerateReqInput` and its endpoints for new weights, 0.4 and later. Its log-probabilities are those at
//! the sampling temperature.

use cohort_core::{Decoding, Request};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{answer::Answer, error::ServerError};

pub(super) const GENERATE: &str = "/generate";

/// Everything is said, so that no default of the model's generation configuration is left.
pub(super) fn request(request: &Request, prompt: &[u32], adapter: Option<&str>) -> Result<Value, ServerError> {
    let controls = &request.controls;
    if !controls.forbidden.is_empty() {
        let hint = "rollout.ignore_eos = false, or a vLLM server";
        return Err(ServerError::Unsupported { protocol: "SGLang", control: "forbid ids and keep its row", hint });
    }
    let temperature = match controls.decoding {
        Decoding::Greedy => 0.0,
        Decoding::Temperature(temperature) => temperature,
    };
    let mut body = json!({
        "input_ids": prompt,
        "sampling_params": {
            "max_new_tokens": controls.max_actions,
            "temperature": temperature,
            "top_p": 1.0,
            "top_k": -1,
            "min_p": 0.0,
            "repetition_penalty": 1.0,
            "presence_penalty": 0.0,
            "frequency_penalty": 0.0,
            "stop_token_ids": controls.stop,
            "skip_special_tokens": false,
            "no_stop_trim": true,
        },
        "return_logprob": true,
        "stream": false,
    });
    if controls.stop.is_empty() {
        body["sampling_params"]["ignore_eos"] = json!(true);
    }
    if let Some(adapter) = adapter {
        body["lora_path"] = json!(adapter);
    }
    Ok(body)
}

#[derive(Deserialize)]
struct Generated {
    output_ids: Option<Vec<u32>>,
    meta_info: Meta,
}

#[derive(Deserialize)]
struct Meta {
    /// Log-probability, id, text.
    output_token_logprobs: Option<Vec<(Option<f64>, u32, Value)>>,
    prompt_tokens: Option<usize>,
    #[serde(default)]
    finish_reason: Value,
}

pub(super) fn answer(url: &str, prompt: &[u32], body: Value) -> Result<Answer, ServerError> {
    let generated: Generated = serde_json::from_value(body)
        .map_err(|e| ServerError::Malformed { url: url.to_owned(), problem: format!("is no generation: {e}") })?;
    let meta = generated.meta_info;
    if let Some(got) = meta.prompt_tokens.filter(|&got| got != prompt.len()) {
        return Err(ServerError::WrongPrompt { url: url.to_owned(), sent: prompt.len(), got });
    }
    let no_logprobs = || ServerError::NoLogprobs { url: url.to_owned() };
    let rows = meta.output_token_logprobs.ok_or_else(no_logprobs)?;
    let logp = rows.iter().map(|(logp, ..)| *logp).collect::<Option<Vec<f64>>>().ok_or_else(no_logprobs)?;
    let ids: Vec<u32> = rows.iter().map(|&(_, id, _)| id).collect();
    if let Some(others) = generated.output_ids.filter(|others| others.len() == ids.len())
        && let Some(position) = ids.iter().zip(&others).position(|(a, b)| a != b)
    {
        let (first, second) = (others[position], ids[position]);
        return Err(ServerError::TwoIds { url: url.to_owned(), position, first, second });
    }
    Ok(Answer { ids, logp, finish: meta.finish_reason.to_string() })
}
