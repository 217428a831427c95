//! A sampler outside this process: a vLLM or SGLang server that has the policy's weights.
//!
//! Ids go out and ids come back; no text is tokenized again. The server's log-probabilities become the row of the
//! sampler ([`Sample::behaviour`]); the ratio's denominator stays the trainer's own row, as with every sampler.

mod answer;
mod config;
mod error;
mod http;
mod plain;
mod sglang;
mod vllm;

use std::{
    path::Path,
    sync::{
        Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
};

use cohort_core::{PolicyError, Request, Sample, Sampler};
use serde_json::{Value, json};

pub use config::{Logprobs, Protocol, Push, ServerConfig, Shared};
pub use error::ServerError;
use http::Http;

/// A server that samples.
pub struct ServerSampler {
    config: ServerConfig,
    http: Http,
    /// Updates behind the weights that it has.
    version: AtomicU64,
    /// The adapter that requests name, once one was pushed.
    adapter: Mutex<Option<String>>,
    /// The model's name, once it was asked for.
    model: OnceLock<String>,
}

impl ServerSampler {
    /// A sampler that speaks to nobody yet; `key` is what the configuration's variable holds.
    ///
    /// # Errors
    /// The configuration names a variable, and there is no key.
    pub fn new(config: &ServerConfig, key: Option<String>) -> Result<Self, ServerError> {
        match &config.api_key_env {
            Some(name) if key.is_none() => Err(ServerError::NoKey { name: name.clone() }),
            _ => Ok(Self {
                http: Http::new(config, key),
                config: config.clone(),
                version: AtomicU64::new(0),
                adapter: Mutex::default(),
                model: OnceLock::new(),
            }),
        }
    }

    pub fn config(&self) -> &ServerConfig {
        &self.config
    }

    /// Updates behind the weights that the server has.
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Relaxed)
    }

    /// Makes the server load what stands in `directory`, as it knows it: the policy after `version` updates. No request may
    /// be under way.
    ///
    /// # Errors
    /// It does not, or cannot.
    pub fn load(&self, directory: &Path, version: u64) -> Result<(), ServerError> {
        let path = directory.to_string_lossy();
        match (&self.config.push, self.config.protocol) {
            (Push::None, _) => return Ok(()),
            (Push::Weights(_), Protocol::Vllm) => {
                let body = json!({ "method": "reload_weights", "kwargs": { "weights_path": path } });
                self.http.tell("/collective_rpc", &body)?;
                // What it remembers of prompts was computed with the weights before.
                self.http.tell("/reset_prefix_cache", &json!({}))?;
            }
            (Push::Weights(_), Protocol::Sglang) => {
                self.agreed("/update_weights_from_disk", &json!({ "model_path": path, "flush_cache": true }))?;
            }
            (Push::Adapter(_), protocol) => {
                let name = format!("cohort-{version}");
                let mut current = self.adapter.lock().unwrap_or_else(PoisonError::into_inner);
                if current.as_ref() != Some(&name) {
                    let load = json!({ "lora_name": name, "lora_path": path });
                    match protocol {
                        Protocol::Vllm => self.http.tell("/v1/load_lora_adapter", &load)?,
                        Protocol::Sglang => self.agreed("/load_lora_adapter", &load)?,
                    }
                    let before = current.replace(name);
                    if let Some(before) = before {
                        let unload = json!({ "lora_name": before });
                        match protocol {
                            Protocol::Vllm => self.http.tell("/v1/unload_lora_adapter", &unload)?,
                            Protocol::Sglang => self.agreed("/unload_lora_adapter", &unload)?,
                        }
                    }
                }
            }
        }
        self.version.store(version, Ordering::Relaxed);
        Ok(())
    }

    /// SGLang says in its answer's text whether it did as it was told.
    fn agreed(&self, path: &str, body: &Value) -> Result<(), ServerError> {
        let answer = self.http.post(path, body)?;
        if answer["success"].as_bool().unwrap_or(true) {
            return Ok(());
        }
        let reason = answer["message"].as_str().or_else(|| answer["error_message"].as_str());
        Err(ServerError::Refused { url: self.http.url(path), reason: reason.unwrap_or("no reason given").to_owned() })
    }

    fn one(&self, request: &Request) -> Result<Sample, ServerError> {
        let hint = "a server takes contexts of tokens alone";
        let Some(prompt) = request.context.as_tokens() else {
            return Err(ServerError::Unsupported { protocol: "a server", control: "read this context", hint });
        };
        let controls = &request.controls;
        if !controls.truncation.is_off() || !controls.stop_texts.is_empty() || !controls.bad_words.is_empty() {
            let control = "truncate, stop at texts or ban words";
            let hint = "what they leave is not recorded by a server; sample in this process";
            return Err(ServerError::Unsupported { protocol: "a server", control, hint });
        }
        if controls.soft.is_some() {
            let hint = "leave rollout.thinking away, or sample in this process";
            return Err(ServerError::Unsupported { protocol: "a server", control: "draw soft tokens", hint });
        }
        let version = self.version();
        let adapter = self.adapter.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (path, answer) = match self.config.protocol {
            Protocol::Vllm => {
                let model = match &adapter {
                    Some(adapter) => adapter,
                    None => self.model()?,
                };
                // A server that honours a seed draws the same again from the same weights in the same batches.
                let seed = request.dice.below(0, 1 << 31);
                let body = vllm::request(request, prompt, model, seed);
                let answer = self.http.post(vllm::COMPLETIONS, &body)?;
                (vllm::COMPLETIONS, vllm::answer(&self.http.url(vllm::COMPLETIONS), prompt, answer)?)
            }
            Protocol::Sglang => {
                let body = sglang::request(request, prompt, adapter.as_deref())?;
                let answer = self.http.post(sglang::GENERATE, &body)?;
                (sglang::GENERATE, sglang::answer(&self.http.url(sglang::GENERATE), prompt, answer)?)
            }
        };
        answer.into_sample(&self.http.url(path), request, version)
    }

    fn model(&self) -> Result<&str, ServerError> {
        if let Some(name) = self.model.get() {
            return Ok(name);
        }
        let name = match &self.config.model {
            Some(name) => name.clone(),
            None => vllm::first_model(&self.http.url("/v1/models"), &self.http.get("/v1/models")?)?,
        };
        Ok(self.model.get_or_init(|| name))
    }
}

impl Sampler for ServerSampler {
    /// `concurrency` requests are under way at a time; the first that fails, by its place, fails them all.
    fn sample(&self, requests: &[Request]) -> Result<Vec<Sample>, PolicyError> {
        let (next, has_failed) = (AtomicUsize::new(0), AtomicBool::new(false));
        let done: Mutex<Vec<(usize, Result<Sample, ServerError>)>> = Mutex::default();
        std::thread::scope(|scope| {
            for _ in 0..self.config.concurrency.min(requests.len()) {
                scope.spawn(|| {
                    while !has_failed.load(Ordering::Relaxed) {
                        let place = next.fetch_add(1, Ordering::Relaxed);
                        let Some(request) = requests.get(place) else { break };
                        let result = self.one(request);
                        has_failed.fetch_or(result.is_err(), Ordering::Relaxed);
                        done.lock().unwrap_or_else(PoisonError::into_inner).push((place, result));
                    }
                });
            }
        });
        let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
        done.sort_by_key(|(place, _)| *place);
        let samples: Result<Vec<Sample>, ServerError> = done.into_iter().map(|(_, result)| result).collect();
        samples.map_err(|source| PolicyError::Outside { source: Box::new(source) })
    }

    fn position_limit(&self) -> Option<usize> {
        None
    }
}
