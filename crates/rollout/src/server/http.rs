//! JSON requests that are made again where a failure may pass.

use std::{io, time::Duration};

use serde_json::Value;

use super::{config::ServerConfig, error::ServerError, plain};

/// The longest pause, whatever a server wishes (`Retry-After`).
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// In bytes.
pub(super) const LARGEST_ANSWER: u64 = 1 << 30;

/// One request.
pub(super) struct Exchange<'a> {
    pub url: &'a str,
    pub key: Option<&'a str>,
    /// With one it is a POST, else a GET.
    pub body: Option<String>,
    pub timeout: Duration,
}

/// A server's answer. Its text may be cut where its status is not.
#[derive(Debug)]
pub(super) struct Reached {
    pub status: u16,
    pub retry_after: Option<Duration>,
    pub text: io::Result<String>,
}

pub(super) struct Http {
    base: String,
    key: Option<String>,
    timeout: Duration,
    retries: u32,
    backoff: Duration,
}

impl Http {
    pub fn new(config: &ServerConfig, key: Option<String>) -> Self {
        let base = config.base_url.trim_end_matches('/').trim_end_matches("/v1").to_owned();
        let (timeout, backoff) = (Duration::from_secs_f64(config.timeout_s), Duration::from_secs_f64(config.backoff_s));
        Self { base, key, timeout, retries: config.retries, backoff }
    }

    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// The JSON that `path` answers to `body`.
    ///
    /// # Errors
    /// [`ServerError::GaveUp`] where it failed `retries + 1` times in ways that may pass; at once in other ways.
    pub fn post(&self, path: &str, body: &Value) -> Result<Value, ServerError> {
        self.again(path, |url| self.answer(url, Some(body)).and_then(|text| parsed(url, &text)))
    }

    /// The same for an answer that says nothing but its status.
    pub fn tell(&self, path: &str, body: &Value) -> Result<(), ServerError> {
        self.again(path, |url| self.answer(url, Some(body)).map(|_| ()))
    }

    pub fn get(&self, path: &str) -> Result<Value, ServerError> {
        self.again(path, |url| self.answer(url, None).and_then(|text| parsed(url, &text)))
    }

    fn again<T>(&self, path: &str, attempt: impl Fn(&str) -> Result<T, ServerError>) -> Result<T, ServerError> {
        let url = self.url(path);
        let (mut pause, mut attempts) = (self.backoff, 0);
        loop {
            attempts += 1;
            match attempt(&url) {
                Err(error) if error.may_pass() && attempts <= self.retries => {
                    std::thread::sleep(error.retry_after().unwrap_or(pause).min(LONGEST_PAUSE));
                    pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
                }
                Err(error) if error.may_pass() => {
                    return Err(ServerError::GaveUp { attempts, last: Box::new(error) });
                }
                done => return done,
            }
        }
    }

    /// One request, its answer's text.
    fn answer(&self, url: &str, body: Option<&Value>) -> Result<String, ServerError> {
        let body = body.map(Value::to_string);
        let exchange = Exchange { url, key: self.key.as_deref(), body, timeout: self.timeout };
        let reached = plain::exchange(&exchange).map_err(|error| failure(url, &error))?;
        if (200..300).contains(&reached.status) {
            return reached.text.map_err(|error| failure(url, &error));
        }
        // The status says more than why its text could not be read.
        let body: String = reached.text.unwrap_or_default().trim().chars().take(400).collect();
        Err(ServerError::Status { url: url.to_owned(), status: reached.status, body, retry_after: reached.retry_after })
    }
}

fn failure(url: &str, error: &io::Error) -> ServerError {
    let (url, reason) = (url.to_owned(), error.to_string());
    match error.kind() {
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => ServerError::Timeout { url, reason },
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
            ServerError::Cut { url, reason }
        }
        io::ErrorKind::InvalidData => ServerError::Malformed { url, problem: reason },
        _ => ServerError::Unreachable { url, reason },
    }
}

/// A text that ends too early was cut on its way; any other that is no JSON is the server's own.
fn parsed(url: &str, text: &str) -> Result<Value, ServerError> {
    serde_json::from_str(text).map_err(|error| {
        let url = url.to_owned();
        match error.is_eof() {
            true => ServerError::Cut { url, reason: "its JSON ends too early".to_owned() },
            false => ServerError::Malformed { url, problem: format!("is not JSON: {error}") },
        }
    })
}
