//! Requests to the Hub: redirects by hand, because the first answer has the headers that name a blob, and because a
//! token goes to the Hub alone.

use std::{io::Read, time::Duration};

use ureq::{
    Agent,
    http::{HeaderMap, Response},
    tls::{PemItem, RootCerts, TlsConfig, parse_pem},
};

use crate::{HubError, Settings};

/// How long a connection, and each read from it, may take.
const PATIENCE: Duration = Duration::from_secs(30);
const HOPS: usize = 8;
/// A listing has some 100 bytes a file.
const MOST_OF_A_LISTING: u64 = 256 << 20;

pub struct Client<'a> {
    agent: Agent,
    settings: &'a Settings,
    name: String,
}

/// Why there is no body.
pub enum Answer {
    Status { status: u16, code: Option<String>, said: Option<String>, url: String },
    Error(HubError),
}

/// A file's content, by the name that the server gives it.
pub struct Blob {
    pub etag: String,
    /// Bytes.
    pub size: Option<u64>,
    url: String,
    /// Whether `etag` is the SHA-256 of the content, which a part of an earlier download can be checked with.
    pub resumes: bool,
}

pub struct Target {
    pub blob: Blob,
    /// The content, where it came with the first answer.
    pub open: Option<Body>,
}

pub struct Body {
    /// The byte that it begins with.
    pub from: u64,
    pub reader: Box<dyn Read>,
}

impl<'a> Client<'a> {
    pub fn new(settings: &'a Settings, name: &str) -> Result<Self, HubError> {
        let mut config = Agent::config_builder()
            .max_redirects(0)
            .max_redirects_will_error(false)
            .http_status_as_error(false)
            // Sizes and ranges are those of the file.
            .accept_encoding("identity")
            .user_agent(concat!("cohort/", env!("CARGO_PKG_VERSION")))
            .timeout_connect(Some(PATIENCE))
            .timeout_per_read(Some(PATIENCE));
        if let Some(path) = &settings.certificates {
            let io = |source| HubError::Io { name: name.to_owned(), path: path.clone(), source };
            let pem = std::fs::read(path).map_err(io)?;
            let trusted = parse_pem(&pem).filter_map(|item| match item {
                Ok(PemItem::Certificate(certificate)) => Some(certificate),
                _ => None,
            });
            let roots = RootCerts::from(trusted);
            config = config.tls_config(TlsConfig::builder().root_certs(roots).build());
        }
        Ok(Self { agent: config.build().new_agent(), settings, name: name.to_owned() })
    }

    pub fn endpoint(&self) -> &str {
        &self.settings.endpoint
    }

    pub fn has_token(&self) -> bool {
        self.settings.token.is_some()
    }

    /// The text at a path of the endpoint.
    pub fn text(&self, path: &str) -> Result<String, Answer> {
        let mut url = format!("{}{path}", self.endpoint());
        for _ in 0..HOPS {
            let response = self.get(&url, 0)?;
            if let Some(next) = redirect(&url, &response) {
                url = next;
                continue;
            }
            let mut body = success(response, &url)?.into_body();
            let text = body.with_config().limit(MOST_OF_A_LISTING).read_to_string();
            return text.map_err(|e| self.unreachable(&e));
        }
        Err(self.too_many_hops(path))
    }

    /// Where the file at a path is, and what names its content.
    pub fn file(&self, path: &str) -> Result<Target, Answer> {
        let mut url = format!("{}{path}", self.endpoint());
        for _ in 0..HOPS {
            let response = self.get(&url, 0)?;
            let linked = header(response.headers(), "x-linked-etag")
                .map(|etag| (etag, number(header(response.headers(), "x-linked-size"))));
            let next = redirect(&url, &response);
            if let Some((etag, size)) = linked {
                let etag = bare(&etag);
                let resumes = is_sha256(&etag);
                let blob = |url| Blob { etag, size, url, resumes };
                return match next {
                    Some(next) => Ok(Target { blob: blob(next), open: None }),
                    None => {
                        let reader = success(response, &url)?.into_body().into_reader();
                        Ok(Target { blob: blob(url), open: Some(Body { from: 0, reader: Box::new(reader) }) })
                    }
                };
            }
            if let Some(next) = next {
                url = next;
                continue;
            }
            let response = success(response, &url)?;
            let etag = bare(&header(response.headers(), "etag").unwrap_or_default());
            let size = response.body().content_length();
            let blob = Blob { etag, size, url, resumes: false };
            let reader = response.into_body().into_reader();
            return Ok(Target { blob, open: Some(Body { from: 0, reader: Box::new(reader) }) });
        }
        Err(self.too_many_hops(path))
    }

    /// A blob's content from byte `from` on, or from its start where the server knows no ranges.
    pub fn body(&self, blob: &Blob, from: u64) -> Result<Body, Answer> {
        let mut url = blob.url.clone();
        for _ in 0..HOPS {
            let response = self.get(&url, from)?;
            if let Some(next) = redirect(&url, &response) {
                url = next;
                continue;
            }
            let response = success(response, &url)?;
            let is_rest = response.status() == 206
                && header(response.headers(), "content-range")
                    .is_some_and(|r| r.starts_with(&format!("bytes {from}-")));
            let from = if is_rest { from } else { 0 };
            return Ok(Body { from, reader: Box::new(response.into_body().into_reader()) });
        }
        Err(self.too_many_hops(&blob.url))
    }

    fn get(&self, url: &str, from: u64) -> Result<Response<ureq::Body>, Answer> {
        let mut request = self.agent.get(url);
        if let Some(token) = self.settings.token.as_ref().filter(|_| origin(url) == origin(self.endpoint())) {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        if from > 0 {
            request = request.header("range", format!("bytes={from}-"));
        }
        request.call().map_err(|e| self.unreachable(&e))
    }

    fn unreachable(&self, error: &ureq::Error) -> Answer {
        let (name, endpoint) = (self.name.clone(), self.endpoint().to_owned());
        Answer::Error(HubError::Unreachable { name, endpoint, reason: error.to_string() })
    }

    fn too_many_hops(&self, path: &str) -> Answer {
        let (name, endpoint) = (self.name.clone(), self.endpoint().to_owned());
        Answer::Error(HubError::NotTheHub {
            name,
            endpoint,
            reason: format!("{path} leads from one place to the next"),
        })
    }
}

fn success(response: Response<ureq::Body>, url: &str) -> Result<Response<ureq::Body>, Answer> {
    if response.status().is_success() {
        return Ok(response);
    }
    let header = |name| header(response.headers(), name);
    let (code, said) = (header("x-error-code"), header("x-error-message"));
    Err(Answer::Status { status: response.status().as_u16(), code, said, url: url.to_owned() })
}

fn header(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(|v| v.trim().to_owned()).filter(|v| !v.is_empty())
}

fn number(text: Option<String>) -> Option<u64> {
    text.and_then(|t| t.parse().ok())
}

/// An ETag without its quotes and its mark of weakness.
fn bare(etag: &str) -> String {
    etag.trim_start_matches("W/").trim_matches('"').to_owned()
}

fn is_sha256(etag: &str) -> bool {
    etag.len() == 64 && etag.bytes().all(|b| b.is_ascii_hexdigit())
}

/// Where a redirect leads: another place altogether, or a path of the same server.
fn redirect(from: &str, response: &Response<ureq::Body>) -> Option<String> {
    if !response.status().is_redirection() {
        return None;
    }
    let to = header(response.headers(), "location")?;
    if to.contains("://") {
        return Some(to);
    }
    match to.strip_prefix('/') {
        Some(path) => Some(format!("{}/{path}", origin(from))),
        None => Some(format!("{}/{to}", from.rsplit_once('/').map_or(from, |(folder, _)| folder))),
    }
}

/// Scheme, host and port.
fn origin(url: &str) -> &str {
    let host = url.find("://").map_or(0, |at| at + 3);
    url[host..].find('/').map_or(url, |end| &url[..host + end])
}

/// Percent-encoded, but for what a path may hold and the characters of `keep`.
pub fn encoded(text: &str, keep: &str) -> String {
    let is_kept = |b: u8| b.is_ascii_alphanumeric() || b"-_.~".contains(&b) || keep.as_bytes().contains(&b);
    text.bytes().fold(String::new(), |mut out, b| {
        match is_kept(b) {
            true => out.push(b as char),
            false => out.push_str(&format!("%{b:02X}")),
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        assert_eq!(origin("https://a.b:1/c/d"), "https://a.b:1");
        assert_eq!(origin("https://a.b"), "https://a.b");
        assert_eq!(encoded("refs/pr/1", ""), "refs%2Fpr%2F1");
        assert_eq!(encoded("a b/ü.json", "/"), "a%20b/%C3%BC.json");
        assert_eq!(bare("W/\"abc\""), "abc");
    }
}
