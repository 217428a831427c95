//! What a recipe says of a server that samples.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// A server that has the policy's weights and draws in its place.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ServerConfig {
    /// `http://HOST:PORT`, without a path.
    pub base_url: String,
    pub protocol: Protocol,
    /// What vLLM was started with (`--logprobs-mode`); SGLang has one way alone.
    #[serde(default)]
    pub logprobs: Logprobs,
    /// The name that the server knows the model by; unless told, the first of vLLM's `/v1/models`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The environment variable that holds the server's key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_key_env: Option<String>,
    /// Requests under way at a time.
    #[serde(default = "default_concurrency")]
    pub concurrency: usize,
    /// Seconds until an answer that has not come counts as none.
    #[serde(default = "default_timeout")]
    pub timeout_s: f64,
    /// Times that a request is made again after a failure that may pass.
    #[serde(default = "default_retries")]
    pub retries: u32,
    /// Seconds before the first of these; doubled each time.
    #[serde(default = "default_backoff")]
    pub backoff_s: f64,
    pub push: Push,
    /// Updates between pushes: samples are at most this many updates less one behind.
    #[serde(default = "default_every")]
    pub every: u64,
}

/// Whose requests and answers are spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// `/v1/completions` with ids in and out, as vLLM extends the OpenAI API.
    Vllm,
    /// SGLang's `/generate`.
    Sglang,
}

/// Which distribution vLLM's log-probabilities are of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Logprobs {
    /// The model's, before temperature and truncation.
    #[default]
    Raw,
    /// The one that is drawn from.
    Processed,
}

/// How the server comes by new weights.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Push {
    /// Not at all: it keeps those that it was started with.
    None,
    /// The whole policy is written to a directory, and the server loads it.
    Weights(Shared),
    /// The adapter is written to a directory, and the server loads it beside its base model.
    Adapter(Shared),
}

/// A directory that this process and the server see.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Shared {
    /// As this process knows it.
    pub directory: PathBuf,
    /// As the server knows it, where that differs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_directory: Option<PathBuf>,
}

impl Shared {
    /// The path by which the server knows `name` in the directory.
    pub fn seen_by_server(&self, name: &str) -> PathBuf {
        self.server_directory.as_ref().unwrap_or(&self.directory).join(name)
    }
}

impl Push {
    pub fn shared(&self) -> Option<&Shared> {
        match self {
            Push::None => None,
            Push::Weights(shared) | Push::Adapter(shared) => Some(shared),
        }
    }
}

fn default_concurrency() -> usize {
    64
}

fn default_timeout() -> f64 {
    600.0
}

fn default_retries() -> u32 {
    5
}

fn default_backoff() -> f64 {
    1.0
}

fn default_every() -> u64 {
    1
}

impl ServerConfig {
    /// With the defaults, and no address yet.
    pub fn new(protocol: Protocol, push: Push) -> Self {
        Self {
            base_url: String::new(),
            protocol,
            logprobs: Logprobs::default(),
            model: None,
            api_key_env: None,
            concurrency: default_concurrency(),
            timeout_s: default_timeout(),
            retries: default_retries(),
            backoff_s: default_backoff(),
            push,
            every: default_every(),
        }
    }

    /// What is out of range: the key, what it must be, what stands there, and a hint.
    pub fn check(&self, temperature: f32) -> Result<(), (&'static str, &'static str, String, &'static str)> {
        let is_url = self.base_url.strip_prefix("http://").is_some_and(|host| !host.is_empty());
        let seconds = |x: f64| x > 0.0 && x <= 1e6;
        let relative = self.push.shared().is_some_and(|s| s.seen_by_server("").is_relative());
        if !is_url {
            let hint =
                "for example http://localhost:8000; put a tunnel or a proxy before a server that speaks https alone";
            return Err(("base_url", "must be the address of a server, by http", self.base_url.clone(), hint));
        }
        for (key, got) in [("concurrency", self.concurrency as u64), ("every", self.every)] {
            if got == 0 {
                return Err((key, "must be at least 1", got.to_string(), "for example 1"));
            }
        }
        for (key, got) in [("timeout_s", self.timeout_s), ("backoff_s", self.backoff_s)] {
            if !seconds(got) {
                return Err((key, "must be a number of seconds above 0", got.to_string(), "for example 60"));
            }
        }
        if relative {
            let hint = "the server has another working directory: write the whole path";
            return Err(("push", "must name a directory by its whole path", "a relative one".to_owned(), hint));
        }
        if self.protocol == Protocol::Sglang && self.logprobs == Logprobs::Processed {
            let hint = "leave it out: SGLang's log-probabilities are those at the sampling temperature";
            return Err(("logprobs", "is a choice of vLLM", "processed".to_owned(), hint));
        }
        if self.protocol == Protocol::Vllm && self.logprobs == Logprobs::Raw && temperature != 1.0 {
            return Err((
                "logprobs",
                "must be \"processed\" at another temperature than 1: vLLM's raw log-probabilities are those before it",
                "raw".to_owned(),
                "start vLLM with --logprobs-mode processed_logprobs and say logprobs = \"processed\"",
            ));
        }
        Ok(())
    }
}
