//! One POST over HTTP/1.1, with TLS where the address asks for it.

use std::time::Duration;

use ureq::{
    Agent, Error,
    http::{HeaderMap, Response},
    tls::{PemItem, RootCerts, TlsConfig, parse_pem},
};

use super::{Address, Key, LONGEST_ANSWER, Reached, Unreached};
use crate::{Means, verifier::VerifierError};

pub(super) struct Client {
    agent: Agent,
}

impl Client {
    /// # Errors
    /// The certificates that `SSL_CERT_FILE` names cannot be read.
    pub fn new(address: &Address, means: &Means) -> Result<Self, VerifierError> {
        let mut config = Agent::config_builder()
            // A key goes to the address that the recipe names, and nowhere else.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .http_status_as_error(false)
            .user_agent(concat!("cohort/", env!("CARGO_PKG_VERSION")));
        if address.is_here() {
            config = config.proxy(None);
        }
        let certificates = (means.variables)("SSL_CERT_FILE").filter(|path| !path.is_empty());
        if let Some(path) = certificates.filter(|_| address.url().starts_with("https://")) {
            let pem = std::fs::read(&path).map_err(|e| VerifierError::Missing {
                what: format!("{path}: {e}"),
                hint: "SSL_CERT_FILE names the certificates that are trusted".to_owned(),
            })?;
            let trusted = parse_pem(&pem).filter_map(|item| match item {
                Ok(PemItem::Certificate(certificate)) => Some(certificate),
                _ => None,
            });
            config = config.tls_config(TlsConfig::builder().root_certs(RootCerts::from(trusted)).build());
        }
        Ok(Self { agent: config.build().new_agent() })
    }

    /// `timeout` is for all of it: connection, question and answer.
    pub fn post(
        &self,
        address: &Address,
        key: Option<&Key>,
        body: &str,
        timeout: Duration,
    ) -> Result<Reached, Unreached> {
        let mut request = self.agent.post(address.url()).config().timeout_global(Some(timeout)).build();
        request = request.header("content-type", "application/json").header("accept", "application/json");
        if let Some(key) = key {
            request = request.header("authorization", key.header());
        }
        let mut response = request.send(body).map_err(unreached)?;
        let status = response.status().as_u16();
        let retry_after = retry_after(response.headers());
        match read(&mut response) {
            Ok(text) => Ok(Reached { status, retry_after, text }),
            // A status that is no good says more than why its text could not be read.
            Err(_) if !(200..300).contains(&status) => Ok(Reached { status, retry_after, text: String::new() }),
            Err(error) => Err(unreached(error)),
        }
    }
}

fn read(response: &mut Response<ureq::Body>) -> Result<String, Error> {
    let bytes = response.body_mut().with_config().limit(LONGEST_ANSWER).read_to_vec()?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Seconds; a date is passed over.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds: f64 = headers.get("retry-after")?.to_str().ok()?.trim().parse().ok()?;
    (0.0..1e6).contains(&seconds).then(|| Duration::from_secs_f64(seconds))
}

fn unreached(error: Error) -> Unreached {
    match error {
        Error::Timeout(_) => Unreached::Timeout,
        Error::Io(error) if matches!(error.kind(), std::io::ErrorKind::TimedOut | std::io::ErrorKind::WouldBlock) => {
            Unreached::Timeout
        }
        Error::BodyExceedsLimit(most) => Unreached::Refused(format!("the answer has over {most} bytes")),
        Error::BadUri(_) | Error::InvalidProxyUrl | Error::Tls(_) | Error::Rustls(_) => {
            Unreached::Refused(error.to_string())
        }
        other => Unreached::Broken(other.to_string()),
    }
}
