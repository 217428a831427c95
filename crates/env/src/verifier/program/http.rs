//! `http`: a service of the user's own scores, by the protocol of `command` in bodies.

use std::{path::PathBuf, time::Duration};

use cohort_core::Outcome;
use serde::{Deserialize, Serialize};

use super::{
    Scope,
    protocol::{self, excerpt},
    together,
};
use crate::verifier::{
    Asked, Configured, Described, Means, Reach, Verdict, Verifier, VerifierError, View, limits,
    service::{Address, Manners, Service, Told},
};

/// Asks a service: a JSON object posted, a JSON object as the answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Http {
    /// Its address, `http://` or `https://`.
    pub url: String,
    /// Whether it is asked about one completion or about all of a prompt.
    #[serde(default)]
    pub scope: Scope,
    /// The least and the greatest score that it gives, both included.
    #[serde(default = "limits::pass_or_fail")]
    pub range: [f64; 2],
    /// Requests that are under way at once.
    #[serde(default = "concurrency")]
    pub concurrency: usize,
    /// Seconds that an answer may take.
    #[serde(default = "timeout_s")]
    pub timeout_s: f64,
    /// Times that it is asked again after no answer, 408, 425, 429 and 5xx.
    #[serde(default = "retries")]
    pub retries: usize,
    /// Seconds before the first of them; they double. `Retry-After` wins, up to a minute.
    #[serde(default = "backoff_s")]
    pub backoff_s: f64,
    /// The variable of the environment that holds a key, which is sent as `Authorization: Bearer`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_key_env: Option<String>,
}

fn concurrency() -> usize {
    8
}

fn timeout_s() -> f64 {
    10.0
}

fn retries() -> usize {
    2
}

fn backoff_s() -> f64 {
    0.5
}

impl Configured for Http {
    const DESCRIBED: Described = Described {
        name: "http",
        summary: "a service of your own: JSON posted, JSON answered, as `command` has it in lines",
        range: "`range`, 0 to 1 unless told",
        reads: &["completion", "prompt", "step", "the run's directory", "every column"],
        parameters: &[
            ("url", "its address, http:// or https://"),
            ("scope", "\"sample\" (default): one completion a request; \"group\": all completions of a prompt"),
            ("range", "the least and the greatest score, [0.0, 1.0] unless told"),
            ("concurrency", "requests that are under way at once, 8 unless told"),
            ("timeout_s", "seconds an answer may take, 10 unless told"),
            ("retries", "times it is asked again after no answer, 408, 425, 429 and 5xx, 2 unless told"),
            ("backoff_s", "seconds before the first of them, doubling, 0.5 unless told; Retry-After wins, up to 60 s"),
            ("api_key_env", "the environment variable that holds a key"),
        ],
        source: "ours",
    };

    fn check(&self) -> Result<(), VerifierError> {
        Address::of("url", &self.url)?;
        limits::range(self.range)?;
        limits::count("concurrency", self.concurrency, 4096)?;
        limits::seconds("timeout_s", self.timeout_s)?;
        limits::seconds("backoff_s", self.backoff_s)?;
        limits::retries(self.retries)
    }

    fn build(&self, means: &Means) -> Result<Box<dyn Verifier>, VerifierError> {
        self.check()?;
        let manners = Manners {
            timeout: Duration::from_secs_f64(self.timeout_s),
            retries: self.retries,
            backoff: Duration::from_secs_f64(self.backoff_s),
            longest_pause: Duration::from_secs(60),
            concurrency: self.concurrency,
            requests_per_minute: None,
            key: self.api_key_env.clone(),
        };
        let service = Service::new(Address::of("url", &self.url)?, manners, means)?;
        Ok(Box::new(Scorer { service, scope: self.scope, range: self.range, run_dir: means.run_dir.clone() }))
    }
}

struct Scorer {
    service: Service,
    scope: Scope,
    range: [f64; 2],
    run_dir: Option<PathBuf>,
}

impl Scorer {
    fn ask(&self, views: &[View]) -> Vec<Verdict> {
        let question = protocol::question(0, self.scope, views, self.run_dir.as_deref());
        let Told { answer, asked } = self.service.ask(&question.into());
        let verdicts = match answer.and_then(|text| self.read(&text)) {
            Ok(answer) => protocol::verdicts(self.scope, &answer, views.len()),
            Err(outcome) => vec![outcome.into(); views.len()],
        };
        // One request was made for all.
        let rest = Asked { seconds: asked.seconds, ..Asked::default() };
        let of = |at: usize| if at == 0 { asked } else { rest };
        verdicts.into_iter().enumerate().map(|(at, verdict)| verdict.asked(of(at))).collect()
    }

    fn read(&self, text: &str) -> Result<serde_json::Value, Outcome> {
        serde_json::from_str(text).map_err(|e| {
            let said = excerpt(self.service.hidden(text).trim(), 200);
            Outcome::error(format!("{}: the answer is no JSON ({e}): {said:?}", self.service.address()))
        })
    }
}

impl Verifier for Scorer {
    fn name(&self) -> &str {
        "http"
    }

    fn range(&self) -> (f64, f64) {
        self.range.into()
    }

    /// The whole group either way: its completions are asked about at once.
    fn reach(&self) -> Reach {
        Reach::Group
    }

    fn at_once(&self) -> usize {
        self.service.concurrency()
    }

    fn score(&self, view: &View) -> Verdict {
        self.ask(std::slice::from_ref(view)).pop().unwrap_or_else(|| Outcome::error("no verdict").into())
    }

    fn score_group(&self, views: &[View]) -> Vec<Verdict> {
        match self.scope {
            Scope::Sample => together(views.len(), self.service.concurrency(), |at| self.score(&views[at])),
            Scope::Group => self.ask(views),
        }
    }
}

#[cfg(all(test, feature = "http"))]
#[path = "http_tests.rs"]
mod tests;
