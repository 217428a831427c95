//! An HTTP server on this machine that stands in for one elsewhere, and can misbehave.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

/// A request as it came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    pub method: String,
    pub path: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Asked {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }
}

/// What a stand-in does with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// 200 with this text.
    Text(String),
    Status(u16, &'static [(&'static str, &'static str)], String),
    /// Promises a longer text than it sends, and closes.
    Cut(String),
    /// Closes without a word.
    Close,
    /// 200 with this text again and again, without end.
    Endless(String),
    /// Says nothing, until it is asked by somebody else or the server is dropped.
    Stall,
}

/// A server at a port of its own; it ends when it is dropped.
pub struct StandIn {
    url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
    is_over: Arc<AtomicBool>,
    listening: Option<JoinHandle<()>>,
}

impl StandIn {
    /// Answers every request by `reply`, each connection in a thread of its own.
    ///
    /// # Panics
    /// There is no port.
    pub fn start(reply: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let (asked, is_over) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let reply = Arc::new(reply);
        let listening = {
            let (asked, is_over) = (asked.clone(), is_over.clone());
            std::thread::spawn(move || {
                for stream in listener.incoming().flatten() {
                    if is_over.load(Ordering::Relaxed) {
                        break;
                    }
                    let (asked, is_over, reply) = (asked.clone(), is_over.clone(), reply.clone());
                    std::thread::spawn(move || serve(stream, &asked, &is_over, reply.as_ref()));
                }
            })
        };
        Self { url, asked, is_over, listening: Some(listening) }
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// All requests so far, in the order in which they came.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        // Wakes the listener, which then sees that it is over.
        let _ = TcpStream::connect(self.url.trim_start_matches("http://"));
        if let Some(listening) = self.listening.take() {
            let _ = listening.join();
        }
    }
}

/// One connection, one request, one answer.
fn serve(mut stream: TcpStream, log: &Mutex<Vec<Asked>>, is_over: &AtomicBool, reply: &dyn Fn(&Asked) -> Reply) {
    let Some(asked) = read(&stream) else { return };
    let reply = reply(&asked);
    log.lock().unwrap_or_else(PoisonError::into_inner).push(asked);
    let head = |status: u16, length: usize, more: &str| {
        format!("HTTP/1.1 {status} stand-in\r\ncontent-length: {length}\r\nconnection: close\r\n{more}\r\n")
    };
    // A client that has gone away is no fault of the stand-in.
    let _ = match reply {
        Reply::Text(text) => stream.write_all(format!("{}{text}", head(200, text.len(), "")).as_bytes()),
        Reply::Status(status, headers, text) => {
            let more: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
            stream.write_all(format!("{}{text}", head(status, text.len(), &more)).as_bytes())
        }
        Reply::Cut(text) => stream.write_all(format!("{}{text}", head(200, text.len() + 100, "")).as_bytes()),
        Reply::Close => Ok(()),
        Reply::Endless(text) => {
            let head = "HTTP/1.1 200 stand-in\r\nconnection: close\r\n\r\n";
            let mut sent = stream.write_all(head.as_bytes());
            while sent.is_ok() && !is_over.load(Ordering::Relaxed) {
                sent = stream.write_all(text.as_bytes());
            }
            sent
        }
        Reply::Stall => {
            while !is_over.load(Ordering::Relaxed) && is_open(&stream) {
                std::thread::sleep(Duration::from_millis(5));
            }
            Ok(())
        }
    };
}

/// Whether the other side still waits.
fn is_open(stream: &TcpStream) -> bool {
    let _ = stream.set_read_timeout(Some(Duration::from_millis(1)));
    !matches!(stream.peek(&mut [0]), Ok(0))
}

fn read(stream: &TcpStream) -> Option<Asked> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split_whitespace();
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.push((name.to_lowercase(), value.trim().to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length").and_then(|(_, v)| v.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body).ok()?;
    Some(Asked { method, path, headers, body: String::from_utf8_lossy(&body).into_owned() })
}
