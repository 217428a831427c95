//! What can go wrong between a run and the server that samples for it.

use std::time::Duration;

/// Why a server gave no sample, or one that cannot be trained on.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ServerError {
    #[error("{url} cannot be reached ({reason})\n  hint: start the server, or mend rollout.sampler.server.base_url")]
    Unreachable { url: String, reason: String },
    #[error(
        "{url} did not answer in time ({reason})\n  hint: raise rollout.sampler.server.timeout_s, or lower its concurrency"
    )]
    Timeout { url: String, reason: String },
    #[error("{url} broke off its answer ({reason})")]
    Cut { url: String, reason: String },
    #[error("{url} answered {status}: {body}{}", hint_of(*status, url))]
    Status { url: String, status: u16, body: String, retry_after: Option<Duration> },
    #[error("{url}: the answer {problem}")]
    Malformed { url: String, problem: String },
    #[error(
        "{url} gives no token ids, and text must not be tokenized again\n  \
         hint: take a server that has them: vLLM from 0.10.2 on (`return_token_ids`), or SGLang (`/generate`)"
    )]
    NoIds { url: String },
    #[error(
        "{url} gives no log-probabilities\n  hint: without the sampler's own row there is no telling how far it is off; vLLM must not be started with --max-logprobs 0"
    )]
    NoLogprobs { url: String },
    #[error(
        "{url} sampled under another prompt: {got} tokens, and {sent} were sent\n  hint: the server cuts or extends prompts; turn that off"
    )]
    WrongPrompt { url: String, sent: usize, got: usize },
    #[error("{url} gave {ids} ids and {logprobs} log-probabilities")]
    Counts { url: String, ids: usize, logprobs: usize },
    #[error("{url} gave two different ids for token {position}: {first} and {second}")]
    TwoIds { url: String, position: usize, first: u32, second: u32 },
    #[error("{url}: the log-probability of token {position} is {value}")]
    NotALogprob { url: String, position: usize, value: f64 },
    #[error("{url} gave {got} tokens, and at most {most} were asked for")]
    TooMany { url: String, got: usize, most: usize },
    #[error(
        "{url} ended after {got} of {most} tokens, and the last one is no stop id ({reason})\n  \
         hint: the context that the server was started with (--max-model-len, --context-length) must hold a prompt and rollout.max_new_tokens"
    )]
    TooFew { url: String, got: usize, most: usize, reason: String },
    #[error("{url} went on after the stop id {id} at token {position}")]
    AfterStop { url: String, position: usize, id: u32 },
    #[error("{url} drew the forbidden id {id} at token {position}")]
    Forbidden { url: String, position: usize, id: u32 },
    #[error("{url} refused the new weights: {reason}{}", hint_of_push(url))]
    Refused { url: String, reason: String },
    #[error("{protocol} cannot {control}: {hint}")]
    Unsupported { protocol: &'static str, control: &'static str, hint: &'static str },
    #[error("the environment variable {name} (rollout.sampler.server.api_key_env) is not set")]
    NoKey { name: String },
    #[error("after {attempts} attempts: {last}")]
    GaveUp { attempts: u32, last: Box<ServerError> },
}

impl ServerError {
    /// Whether the same request may go through a little later.
    pub fn may_pass(&self) -> bool {
        match self {
            ServerError::Unreachable { .. } | ServerError::Timeout { .. } | ServerError::Cut { .. } => true,
            ServerError::Status { status, .. } => matches!(status, 408 | 425 | 429 | 500..=599),
            _ => false,
        }
    }

    /// How long the server asks to be left alone.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            ServerError::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

fn hint_of(status: u16, url: &str) -> String {
    match status {
        401 | 403 => "\n  hint: name the variable that holds the key: rollout.sampler.server.api_key_env".to_owned(),
        404 if url.contains("lora") || url.contains("rpc") => hint_of_push(url),
        404 => "\n  hint: is rollout.sampler.server.protocol the server's, and model a name that it serves?".to_owned(),
        _ => String::new(),
    }
}

fn hint_of_push(url: &str) -> String {
    let hint = if url.contains("collective_rpc") || url.contains("reset_prefix_cache") {
        "start vLLM with VLLM_SERVER_DEV_MODE=1, in a version whose reload_weights takes weights_path"
    } else if url.contains("/v1/load_lora_adapter") {
        "start vLLM with VLLM_ALLOW_RUNTIME_LORA_UPDATING=True and --enable-lora --max-lora-rank RANK"
    } else if url.contains("load_lora_adapter") {
        "start SGLang with --enable-lora --max-lora-rank RANK --lora-target-modules all"
    } else {
        "the directory must be one that the server sees too (push.server_directory)"
    };
    format!("\n  hint: {hint}")
}
