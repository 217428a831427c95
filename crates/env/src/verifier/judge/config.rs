//! The parameters of `judge`.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{cache, chat::Chat, mode::Mode, prompt::Prompt, reading::Reading, scorer::Scorer};
use crate::verifier::{
    Configured, Described, Means, Verifier, VerifierError,
    cache::Folder,
    limits,
    service::{Address, Manners, Service},
};

/// Asks a language model behind an OpenAI-compatible chat endpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Judge {
    /// Where the endpoint is, as its clients take it, such as `http://127.0.0.1:8000/v1`; `/chat/completions` is added.
    pub base_url: String,
    /// The model's name there.
    pub model: String,
    /// The variable of the environment that holds the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_key_env: Option<String>,
    /// What it is asked.
    #[serde(default)]
    pub mode: Mode,
    /// The system's message in place of ours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<String>,
    /// The user's message in place of ours: a template over `prompt`, `completion`, `low`, `high` and every column; `first` and
    /// `second` where two are compared, `criterion` or `criteria` of a rubric. `{{ completion | fenced }}` puts a text between
    /// marks that it cannot close.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<String>,
    /// Where the score is in what it says.
    #[serde(default)]
    pub read: Reading,
    /// The least and the greatest score, both included; what the judge says beyond is an error.
    #[serde(default = "limits::pass_or_fail")]
    pub range: [f64; 2],
    /// The temperature that it is asked at.
    #[serde(default)]
    pub temperature: f64,
    /// The longest answer, in its tokens.
    #[serde(default = "max_tokens")]
    pub max_tokens: usize,
    /// Requests that are under way at once.
    #[serde(default = "concurrency")]
    pub concurrency: usize,
    /// The most requests a minute; as many as there are unless told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests_per_minute: Option<f64>,
    /// Seconds that an answer may take.
    #[serde(default = "timeout_s")]
    pub timeout_s: f64,
    /// Times that it is asked again after no answer, 408, 425, 429 and 5xx.
    #[serde(default = "retries")]
    pub retries: usize,
    /// Seconds before the first of them; they double.
    #[serde(default = "backoff_s")]
    pub backoff_s: f64,
    /// The longest pause in seconds, whatever `Retry-After` wishes.
    #[serde(default = "longest_pause_s")]
    pub longest_pause_s: f64,
    /// Whether what it said is kept between runs.
    #[serde(default)]
    pub cache: Cached,
    /// What tokens cost, for the sum in the report.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<Price>,
}

/// Whether a judge's words are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Cached {
    /// In the cache's folder, by the hash of the question.
    #[default]
    Disk,
    /// It is asked each time.
    None,
}

/// Prices of a million tokens.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// Of what is sent.
    pub prompt: f64,
    /// Of what is answered.
    pub completion: f64,
}

impl Price {
    pub(super) fn of(self, [prompt, completion]: [u64; 2]) -> f64 {
        (self.prompt * prompt as f64 + self.completion * completion as f64) / 1e6
    }
}

fn max_tokens() -> usize {
    512
}

fn concurrency() -> usize {
    8
}

fn timeout_s() -> f64 {
    60.0
}

fn retries() -> usize {
    4
}

fn backoff_s() -> f64 {
    1.0
}

fn longest_pause_s() -> f64 {
    60.0
}

impl Configured for Judge {
    const DESCRIBED: Described = Described {
        name: "judge",
        summary: "a language model behind an OpenAI-compatible chat endpoint scores, by rubric or by comparison too",
        range: "`range`, 0 to 1 unless told",
        reads: &["completion", "prompt", "the column `answer` where there is one", "what `template` reads"],
        parameters: &[
            ("base_url", "where the endpoint is, such as http://127.0.0.1:8000/v1"),
            ("model", "the model's name there"),
            ("api_key_env", "the environment variable that holds the key"),
            (
                "mode",
                "\"score\" (default); rubric = { criteria = [{ name, text, weight }], calls = \"each\" | \"once\" }; pairwise = { opponents }",
            ),
            ("system", "the system's message in place of ours"),
            ("template", "the user's message in place of ours, over prompt, completion, low, high and every column"),
            (
                "read",
                "where the score is: json = \"FIELD\" (json = \"score\" unless told), \"number\" (the last one), regex = \"..\"",
            ),
            ("range", "the least and the greatest score, [0.0, 1.0] unless told"),
            ("temperature", "0 unless told"),
            ("max_tokens", "the longest answer, 512 unless told"),
            ("concurrency", "requests that are under way at once, 8 unless told"),
            ("requests_per_minute", "the most requests a minute"),
            ("timeout_s", "seconds an answer may take, 60 unless told"),
            ("retries", "times it is asked again after no answer, 408, 425, 429 and 5xx, 4 unless told"),
            ("backoff_s", "seconds before the first of them, doubling, 1 unless told"),
            ("longest_pause_s", "the longest pause, whatever Retry-After wishes, 60 unless told"),
            ("cache", "\"disk\" (default) or \"none\""),
            ("price", "{ prompt, completion }: what a million tokens cost"),
        ],
        source: "ours; judging by language models and its position bias: Zheng et al. 2023, arXiv 2306.05685",
    };

    fn check(&self) -> Result<(), VerifierError> {
        Address::of("base_url", &self.base_url)?;
        if self.model.trim().is_empty() {
            let got = self.model.clone();
            return Err(VerifierError::BadText { parameter: "model", got, expected: "the model's name" });
        }
        limits::range(self.range)?;
        self.mode.check(self.range)?;
        self.read.reader()?;
        Prompt::new(&self.mode, self.system.as_deref(), self.template.as_deref())?;
        limits::count("concurrency", self.concurrency, 4096)?;
        limits::count("max_tokens", self.max_tokens, 1_000_000)?;
        limits::seconds("timeout_s", self.timeout_s)?;
        limits::seconds("backoff_s", self.backoff_s)?;
        limits::seconds("longest_pause_s", self.longest_pause_s)?;
        limits::retries(self.retries)?;
        let number = |parameter, got: f64, is_good: bool, expected| match is_good {
            true => Ok(()),
            false => Err(VerifierError::BadNumber { parameter, got, expected }),
        };
        number("temperature", self.temperature, (0.0..=10.0).contains(&self.temperature), "at least 0")?;
        let rate = self.requests_per_minute.unwrap_or(1.0);
        number("requests_per_minute", rate, (1e-3..=1e9).contains(&rate), "above 0")?;
        let Price { prompt, completion } = self.price.unwrap_or(Price { prompt: 0.0, completion: 0.0 });
        let least = prompt.min(completion);
        number("price", least, least >= 0.0 && (prompt + completion).is_finite(), "at least 0")
    }

    fn build(&self, means: &Means) -> Result<Box<dyn Verifier>, VerifierError> {
        self.check()?;
        let manners = Manners {
            timeout: Duration::from_secs_f64(self.timeout_s),
            retries: self.retries,
            backoff: Duration::from_secs_f64(self.backoff_s),
            longest_pause: Duration::from_secs_f64(self.longest_pause_s),
            concurrency: self.concurrency,
            requests_per_minute: self.requests_per_minute,
            key: self.api_key_env.clone(),
        };
        let address = Address::of("base_url", &self.base_url)?.below_v1("/chat/completions");
        let kept = means.cache.as_deref().filter(|_| self.cache == Cached::Disk);
        let chat = Chat {
            service: Service::new(address, manners, means)?,
            model: self.model.clone(),
            temperature: self.temperature,
            max_tokens: self.max_tokens,
            cache: kept.map(|folder| Folder::new(folder, cache::FOLDER)),
            price: self.price,
        };
        Ok(Box::new(Scorer {
            chat,
            prompt: Prompt::new(&self.mode, self.system.as_deref(), self.template.as_deref())?,
            reader: self.read.reader()?,
            mode: self.mode.clone(),
            range: self.range,
        }))
    }
}
