//! A stand-in for the Hub on a port of this machine: the paths, redirects and headers of the real one.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
};

use sha2::{Digest, Sha256};

pub const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// What the stand-in does wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fault {
    None,
    /// Closes each connection after so many bytes of a large file.
    ClosesAfter(usize),
    /// Sends other bytes than the checksum says, of the right number.
    Corrupts,
    /// Answers everything with this status.
    Status(u16, &'static str),
    /// Answers with a page for people.
    Html,
}

#[derive(Default)]
struct State {
    /// Files by repository (`models/org/name`) and path; large ones are redirected to the "CDN".
    files: BTreeMap<(String, String), (Vec<u8>, bool)>,
    fault: Option<Fault>,
    /// Asked for by anyone without it: 401.
    token: Option<String>,
    seen: Vec<String>,
}

#[derive(Clone)]
pub struct Server {
    pub url: String,
    cdn: String,
    state: Arc<Mutex<State>>,
}

impl Server {
    pub fn start() -> Self {
        let (hub, cdn) = (TcpListener::bind("127.0.0.1:0").unwrap(), TcpListener::bind("127.0.0.1:0").unwrap());
        let url = |l: &TcpListener| format!("http://{}", l.local_addr().unwrap());
        let server = Self { url: url(&hub), cdn: url(&cdn), state: Arc::default() };
        for listener in [hub, cdn] {
            let server = server.clone();
            // Ends with the process.
            std::thread::spawn(move || {
                for stream in listener.incoming().flatten() {
                    let server = server.clone();
                    std::thread::spawn(move || drop(server.answer(stream)));
                }
            });
        }
        server
    }

    pub fn small(&self, repository: &str, path: &str, content: impl AsRef<[u8]>) {
        self.put(repository, path, content.as_ref(), false);
    }

    /// A file that is stored elsewhere, named by its SHA-256.
    pub fn large(&self, repository: &str, path: &str, content: impl AsRef<[u8]>) {
        self.put(repository, path, content.as_ref(), true);
    }

    fn put(&self, repository: &str, path: &str, content: &[u8], is_large: bool) {
        let key = (repository.to_owned(), path.to_owned());
        self.state.lock().unwrap().files.insert(key, (content.to_vec(), is_large));
    }

    pub fn fails(&self, fault: Fault) {
        self.state.lock().unwrap().fault = Some(fault);
    }

    pub fn wants(&self, token: &str) {
        self.state.lock().unwrap().token = Some(token.to_owned());
    }

    /// Requests since the last look: `METHOD path [range] [auth]`, the CDN's with `cdn` before.
    pub fn seen(&self) -> Vec<String> {
        std::mem::take(&mut self.state.lock().unwrap().seen)
    }

    fn answer(&self, mut stream: TcpStream) -> std::io::Result<()> {
        let is_cdn = format!("http://{}", stream.local_addr()?) == self.cdn;
        let mut reader = BufReader::new(stream.try_clone()?);
        let mut first = String::new();
        reader.read_line(&mut first)?;
        let (mut range, mut auth) = (None, None);
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 || line.trim().is_empty() {
                break;
            }
            let (name, value) = line.split_once(':').unwrap_or(("", ""));
            match name.to_ascii_lowercase().as_str() {
                "range" => range = Some(value.trim().to_owned()),
                "authorization" => auth = Some(value.trim().to_owned()),
                _ => {}
            }
        }
        let path = first.split(' ').nth(1).unwrap_or("").to_owned();
        let mut state = self.state.lock().unwrap();
        let mark = |name: &str, v: &Option<String>| v.as_ref().map(|v| format!(" [{name} {v}]")).unwrap_or_default();
        let place = if is_cdn { "cdn " } else { "" };
        state.seen.push(format!("{place}{path}{}{}", mark("range", &range), mark("auth", &auth)));
        let reply = if is_cdn { blob(&state, &path, range) } else { self.hub(&state, &path, auth) };
        drop(state);
        stream.write_all(&reply)?;
        stream.shutdown(std::net::Shutdown::Both)
    }

    fn hub(&self, state: &State, path: &str, auth: Option<String>) -> Vec<u8> {
        match state.fault {
            Some(Fault::Status(status, code)) => return refusal(status, code),
            Some(Fault::Html) => return reply("200 OK", &[], b"<html>Sign in to the network</html>"),
            _ => {}
        }
        if state.token.as_ref().is_some_and(|t| auth != Some(format!("Bearer {t}"))) {
            return refusal(401, if auth.is_some() { "" } else { "RepoNotFound" });
        }
        let path = path.replace("%2F", "/");
        if let Some(rest) = path.strip_prefix("/api/") {
            let (repository, revision) = rest.split_once("/revision/").unwrap_or((rest, "main"));
            if repository == "models/org/renamed" {
                return reply(
                    "307 Temporary Redirect",
                    &[&format!("Location: /api/models/org/tiny/revision/{revision}")],
                    b"",
                );
            }
            let files: Vec<_> = state.files.keys().filter(|(r, _)| r == repository).map(|(_, f)| f).collect();
            if files.is_empty() {
                return refusal(404, "RepoNotFound");
            }
            if !["main", "v1", "refs/pr/1", COMMIT].contains(&revision) {
                return refusal(404, "RevisionNotFound");
            }
            let files: Vec<_> = files.iter().map(|f| format!("{{\"rfilename\":{f:?}}}")).collect();
            let body = format!("{{\"id\":\"x\",\"sha\":\"{COMMIT}\",\"siblings\":[{}]}}", files.join(","));
            return reply("200 OK", &["Content-Type: application/json"], body.as_bytes());
        }
        let (repository, file) = path[1..].split_once(&format!("/resolve/{COMMIT}/")).unwrap_or(("", ""));
        let repository = match repository.starts_with("datasets/") {
            true => repository.to_owned(),
            false => format!("models/{repository}"),
        };
        let Some((content, is_large)) =
            state.files.get(&(repository.replace("org/renamed", "org/tiny"), file.to_owned()))
        else {
            return refusal(404, "EntryNotFound");
        };
        let commit = format!("X-Repo-Commit: {COMMIT}");
        let sum = sha256(content);
        if *is_large {
            let headers = [
                &commit,
                &format!("X-Linked-Etag: \"{sum}\""),
                &format!("X-Linked-Size: {}", content.len()),
                &format!("Location: {}/{sum}", self.cdn),
            ];
            return reply("302 Found", &headers.map(String::as_str), b"Found");
        }
        reply("200 OK", &[&commit, &format!("ETag: \"{}\"", &sum[..40])], content)
    }
}

/// A large file from its own place, with ranges.
fn blob(state: &State, path: &str, range: Option<String>) -> Vec<u8> {
    let Some((content, _)) = state.files.values().find(|(c, _)| path == format!("/{}", sha256(c))) else {
        return refusal(404, "");
    };
    let from: usize = range.and_then(|r| r.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok()).unwrap_or(0);
    let mut rest = content[from..].to_vec();
    if state.fault == Some(Fault::Corrupts) {
        rest[0] ^= 1;
    }
    let part = format!("Content-Range: bytes {from}-{}/{}", content.len() - 1, content.len());
    let mut bytes = match from {
        0 => reply("200 OK", &[], &rest),
        _ => reply("206 Partial Content", &[&part], &rest),
    };
    if let Some(Fault::ClosesAfter(n)) = state.fault {
        bytes.truncate(bytes.len() - rest.len() + n.min(rest.len()));
    }
    bytes
}

fn refusal(status: u16, code: &str) -> Vec<u8> {
    let headers = [format!("X-Error-Code: {code}"), "X-Error-Message: said so".to_owned()];
    let headers: Vec<&str> = headers.iter().map(String::as_str).filter(|_| !code.is_empty()).collect();
    reply(&format!("{status} No"), &headers, b"no")
}

fn reply(status: &str, headers: &[&str], body: &[u8]) -> Vec<u8> {
    let mut bytes =
        format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n", body.len()).into_bytes();
    headers.iter().for_each(|h| bytes.extend(format!("{h}\r\n").into_bytes()));
    bytes.extend(b"\r\n");
    bytes.extend(body);
    bytes
}

pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}
