//! vLLM: the OpenAI completions API with ids in (`prompt`) and out (`return_token_ids`).
//!
//! Protocol: vLLM's `CompletionRequest`, its LoRA endpoints (`VLLM_ALLOW_RUNTIME_LORA_UPDATING`) and its development
//! endpoints (`VLLM_SERVER_DEV_MODE`), 0.10 and later.

use cohort_core::{Decoding, Request};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{answer::Answer, error::ServerError};

pub(super) const COMPLETIONS: &str = "/v1/completions";

/// Everything is said, so that no default of the model's generation configuration is left.
pub(super) fn request(request: &Request, prompt: &[u32], model: &str, seed: u64) -> Value {
    let controls = &request.controls;
    let temperature = match controls.decoding {
        Decoding::Greedy => 0.0,
        Decoding::Temperature(temperature) => temperature,
    };
    let mut body = json!({
        "model": model,
        "prompt": prompt,
        "max_tokens": controls.max_actions,
        "temperature": temperature,
        "top_p": 1.0,
        "top_k": -1,
        "min_p": 0.0,
        "repetition_penalty": 1.0,
        "presence_penalty": 0.0,
        "frequency_penalty": 0.0,
        "seed": seed,
        "stop_token_ids": controls.stop,
        // The ids that end a sample are the recipe's, whatever the server takes for the end.
        "ignore_eos": true,
        "add_special_tokens": false,
        "skip_special_tokens": false,
        "logprobs": 1,
        "return_token_ids": true,
        "return_tokens_as_token_ids": true,
    });
    if !controls.forbidden.is_empty() {
        let bias: Map<String, Value> = controls.forbidden.iter().map(|id| (id.to_string(), json!(-100.0))).collect();
        body["logit_bias"] = Value::Object(bias);
    }
    body
}

#[derive(Deserialize)]
struct Completion {
    choices: Vec<Choice>,
}

#[derive(Deserialize)]
struct Choice {
    token_ids: Option<Vec<u32>>,
    prompt_token_ids: Option<Vec<u32>>,
    logprobs: Option<Logprobs>,
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Logprobs {
    #[serde(default)]
    tokens: Vec<String>,
    #[serde(default)]
    token_logprobs: Vec<Option<f64>>,
}

pub(super) fn answer(url: &str, prompt: &[u32], body: Value) -> Result<Answer, ServerError> {
    let malformed = |problem: String| ServerError::Malformed { url: url.to_owned(), problem };
    let completion: Completion =
        serde_json::from_value(body).map_err(|e| malformed(format!("is no completion: {e}")))?;
    let [choice] = <[Choice; 1]>::try_from(completion.choices)
        .map_err(|choices| malformed(format!("has {} choices, and one was asked for", choices.len())))?;
    if let Some(seen) = choice.prompt_token_ids.filter(|seen| seen != prompt) {
        return Err(ServerError::WrongPrompt { url: url.to_owned(), sent: prompt.len(), got: seen.len() });
    }
    let Some(logprobs) = choice.logprobs else { return Err(ServerError::NoLogprobs { url: url.to_owned() }) };
    let Some(logp) = logprobs.token_logprobs.into_iter().collect::<Option<Vec<f64>>>() else {
        return Err(ServerError::NoLogprobs { url: url.to_owned() });
    };
    let named = || -> Option<Vec<u32>> {
        logprobs.tokens.iter().map(|token| token.strip_prefix("token_id:")?.parse().ok()).collect()
    };
    let ids = match (choice.token_ids, named()) {
        (Some(ids), Some(named)) if ids.len() == named.len() => {
            if let Some(position) = ids.iter().zip(&named).position(|(a, b)| a != b) {
                let (first, second) = (ids[position], named[position]);
                return Err(ServerError::TwoIds { url: url.to_owned(), position, first, second });
            }
            ids
        }
        (Some(ids), _) => ids,
        (None, Some(named)) if !named.is_empty() => named,
        (None, _) => return Err(ServerError::NoIds { url: url.to_owned() }),
    };
    if logp.is_empty() && !ids.is_empty() {
        return Err(ServerError::NoLogprobs { url: url.to_owned() });
    }
    Ok(Answer { ids, logp, finish: choice.finish_reason.unwrap_or_else(|| "no reason given".to_owned()) })
}

/// The first model that the server lists.
pub(super) fn first_model(url: &str, body: &Value) -> Result<String, ServerError> {
    body["data"][0]["id"].as_str().map(str::to_owned).ok_or_else(|| ServerError::Malformed {
        url: url.to_owned(),
        problem: "lists no model: give rollout.sampler.server.model".to_owned(),
    })
}
