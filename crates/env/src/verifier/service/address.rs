//! Where a service is.

use std::fmt;

use crate::verifier::VerifierError;

/// An address that may be shown: without a query, and with no user in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::verifier) struct Address {
    url: String,
}

impl Address {
    /// # Errors
    /// Something else than `http://HOST..` or `https://HOST..`; one with a user or a password, which is no place for a key.
    pub fn of(parameter: &'static str, url: &str) -> Result<Self, VerifierError> {
        let wrong = |expected| Err(VerifierError::BadText { parameter, got: before_query(url).to_owned(), expected });
        let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
        let Some(host) = rest.map(|rest| rest.split(['/', '?', '#']).next().unwrap_or_default()) else {
            return wrong("an address that begins with http:// or https://");
        };
        if host.contains('@') {
            let expected = "an address without a user; api_key_env names the variable that holds a key";
            return Err(VerifierError::BadText { parameter, got: "..@..".to_owned(), expected });
        }
        if host.is_empty() || url.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return wrong("an address with a host and without blanks");
        }
        Ok(Self { url: url.to_owned() })
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// The same with a path after its own; an address without any has `/v1` first, as the clients of such services have it.
    pub fn below_v1(&self, path: &str) -> Self {
        let base = self.url.trim_end_matches('/');
        let host = base.split_once("://").map_or(base, |(_, rest)| rest);
        let version = if host.contains('/') { "" } else { "/v1" };
        Self { url: format!("{base}{version}{path}") }
    }

    /// Whether it is this machine.
    #[cfg(feature = "http")]
    pub fn is_here(&self) -> bool {
        let host = self.url.split("://").nth(1).unwrap_or_default();
        ["127.", "localhost:", "localhost/", "[::1]"].iter().any(|here| host.starts_with(here)) || host == "localhost"
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(before_query(&self.url))
    }
}

/// A query may hold a key.
fn before_query(url: &str) -> &str {
    url.split(['?', '#']).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let of = |url| Address::of("url", url);
        for good in ["http://127.0.0.1:8000/score", "https://a.b", "http://a?key=secret"] {
            assert_eq!(of(good).unwrap().url(), good);
        }
        assert_eq!(of("http://a/b?key=secret").unwrap().to_string(), "http://a/b");
        for bad in ["a.b", "ftp://a", "http://", "http:///x", "http://a b", "https://user:secret@a", "file:///etc"] {
            let error = of(bad).unwrap_err().to_string();
            assert!(!error.contains("secret"), "{error}");
        }
        let chat = |url| of(url).unwrap().below_v1("/chat/completions").url().to_owned();
        assert_eq!(chat("http://a:1"), "http://a:1/v1/chat/completions");
        assert_eq!(chat("http://a:1/v1/"), "http://a:1/v1/chat/completions");
        assert_eq!(chat("https://a/openai"), "https://a/openai/chat/completions");
    }
}
