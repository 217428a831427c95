//! Services that are asked over HTTP: JSON posted, asked again where a failure may pass, at a rate that is held.

mod address;
#[cfg(feature = "http")]
mod client;
mod key;
mod pause;
mod turns;

use std::time::{Duration, Instant};

use cohort_core::Outcome;
use serde_json::Value;

pub(in crate::verifier) use address::Address;
use key::Key;
use turns::Turns;

use super::{Asked, Means, VerifierError, program::excerpt};

/// The longest answer, in bytes.
#[cfg(feature = "http")]
const LONGEST_ANSWER: u64 = 4 << 20;

/// How a service is asked.
#[derive(Clone, Debug)]
pub(in crate::verifier) struct Manners {
    pub timeout: Duration,
    /// Times that a question is put again where a failure may pass.
    pub retries: usize,
    /// The pause before the first of them; it doubles.
    pub backoff: Duration,
    /// The longest pause, whatever the service wishes.
    pub longest_pause: Duration,
    /// Questions that are under way at once.
    pub concurrency: usize,
    pub requests_per_minute: Option<f64>,
    /// The variable that holds the key.
    pub key: Option<String>,
}

/// A service at an address.
pub(in crate::verifier) struct Service {
    address: Address,
    manners: Manners,
    key: Option<Key>,
    turns: Turns,
    #[cfg(feature = "http")]
    client: client::Client,
}

/// What came of a question: the text of a good answer, or why there is none.
pub(in crate::verifier) struct Told {
    pub answer: Result<String, Outcome>,
    /// Its seconds begin with the first attempt and have the pauses in them.
    pub asked: Asked,
}

/// What came of one attempt.
enum Attempt {
    Answered(String),
    /// The same question may be answered a little later.
    MayPass {
        outcome: Outcome,
        retry_after: Option<Duration>,
    },
    Refused(Outcome),
}

/// One answer of a server.
struct Reached {
    status: u16,
    retry_after: Option<Duration>,
    text: String,
}

/// Why there is none.
enum Unreached {
    Timeout,
    /// Broken off, or not begun.
    Broken(String),
    /// Whatever is asked.
    Refused(String),
}

impl Service {
    /// # Errors
    /// The recipe names a variable that holds no key; a build without the feature `http`.
    pub fn new(address: Address, manners: Manners, means: &Means) -> Result<Self, VerifierError> {
        let key = manners.key.as_deref().map(|name| Key::of(name, means)).transpose()?;
        #[cfg(not(feature = "http"))]
        {
            let _ = (address, key);
            Err(VerifierError::Missing {
                what: "this build of cohort asks no services".to_owned(),
                hint: "build it with the feature `http` (on by default): cargo build --release --features http"
                    .to_owned(),
            })
        }
        #[cfg(feature = "http")]
        {
            let client = client::Client::new(&address, means)?;
            let turns = Turns::new(manners.concurrency, manners.requests_per_minute);
            Ok(Self { address, manners, key, turns, client })
        }
    }

    pub fn address(&self) -> &Address {
        &self.address
    }

    pub fn concurrency(&self) -> usize {
        self.manners.concurrency
    }

    /// Posts `question`, and again after a pause where that may help.
    pub fn ask(&self, question: &Value) -> Told {
        let body = question.to_string();
        let mut asked = Asked::default();
        let _turn = self.turns.take();
        self.turns.pace();
        let begun = Instant::now();
        loop {
            let attempt = self.attempt(&body);
            asked.requests += 1;
            let answer = match attempt {
                Attempt::Answered(text) => Ok(text),
                Attempt::Refused(outcome) => Err(outcome),
                Attempt::MayPass { retry_after, .. } if (asked.retries as usize) < self.manners.retries => {
                    let drawn = pause::before_retry(&body, asked.retries, self.manners.backoff);
                    std::thread::sleep(retry_after.unwrap_or(drawn).min(self.manners.longest_pause));
                    asked.retries += 1;
                    self.turns.pace();
                    continue;
                }
                Attempt::MayPass { outcome: Outcome::Error { reason }, .. } if asked.retries > 0 => {
                    Err(Outcome::error(format!("after {} attempts: {reason}", asked.requests)))
                }
                Attempt::MayPass { outcome, .. } => Err(outcome),
            };
            asked.seconds = begun.elapsed().as_secs_f64();
            return Told { answer, asked };
        }
    }

    fn attempt(&self, body: &str) -> Attempt {
        let address = &self.address;
        match self.post(body) {
            Ok(Reached { status: 200..=299, text, .. }) => Attempt::Answered(text),
            Ok(Reached { status, retry_after, text }) => {
                let said = excerpt(self.hidden(text.trim()).trim(), 300);
                let outcome =
                    Outcome::error(format!("{address} answered {status}: {said}{}", hint(status, self.key.is_some())));
                match status {
                    408 | 425 | 429 | 500..=599 => Attempt::MayPass { outcome, retry_after },
                    _ => Attempt::Refused(outcome),
                }
            }
            Err(Unreached::Timeout) => Attempt::MayPass { outcome: Outcome::Timeout, retry_after: None },
            Err(Unreached::Broken(reason)) => {
                let outcome = Outcome::error(format!("{address}: {}", self.hidden(&reason)));
                Attempt::MayPass { outcome, retry_after: None }
            }
            Err(Unreached::Refused(reason)) => {
                Attempt::Refused(Outcome::error(format!("{address}: {}", self.hidden(&reason))))
            }
        }
    }

    #[cfg(feature = "http")]
    fn post(&self, body: &str) -> Result<Reached, Unreached> {
        self.client.post(&self.address, self.key.as_ref(), body, self.manners.timeout)
    }

    /// No such service is ever made.
    #[cfg(not(feature = "http"))]
    fn post(&self, _: &str) -> Result<Reached, Unreached> {
        Err(Unreached::Refused("this build asks no services".to_owned()))
    }

    /// A text of the service without the key, should it repeat that.
    pub fn hidden(&self, text: &str) -> String {
        self.key.as_ref().map_or_else(|| text.to_owned(), |key| key.hidden_in(text))
    }
}

fn hint(status: u16, has_key: bool) -> &'static str {
    match status {
        401 | 403 if !has_key => " (name the variable that holds the key: api_key_env)",
        300..=399 => " (redirects are not followed: give the address that it names)",
        _ => "",
    }
}
