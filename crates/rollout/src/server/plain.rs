//! HTTP/1.1 over a socket: one request a connection, and a deadline for all of it.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{TcpStream, ToSocketAddrs},
    time::{Duration, Instant},
};

use super::http::{Exchange, LARGEST_ANSWER, Reached};

/// Sends a request and reads the answer's head and text.
pub(super) fn exchange(asked: &Exchange) -> io::Result<Reached> {
    let rest = asked.url.strip_prefix("http://").ok_or_else(|| invalid("the address is not http://"))?;
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let address = if has_port(host) { host.to_owned() } else { format!("{host}:80") };
    let deadline = Instant::now() + asked.timeout;
    let mut stream = connected(&address, deadline)?;
    let body = asked.body.as_deref().unwrap_or_default();
    let method = if asked.body.is_some() { "POST" } else { "GET" };
    let mut head =
        format!("{method} /{path} HTTP/1.1\r\nhost: {host}\r\naccept: application/json\r\nconnection: close\r\n");
    if let Some(key) = asked.key {
        head += &format!("authorization: Bearer {key}\r\n");
    }
    if asked.body.is_some() {
        head += &format!("content-type: application/json\r\ncontent-length: {}\r\n", body.len());
    }
    stream.set_write_timeout(Some(left(deadline)?))?;
    // A server may answer, and close, before it has read all: what it says counts.
    let sent = stream.write_all(format!("{head}\r\n{body}").as_bytes());
    let mut reader = BufReader::new(Timed { stream, deadline });
    let answer = read(&mut reader);
    match (sent, answer) {
        (_, Ok(reached)) => Ok(reached),
        (Err(error), Err(_)) | (Ok(()), Err(error)) => Err(error),
    }
}

fn has_port(host: &str) -> bool {
    host.rsplit_once(':').is_some_and(|(_, port)| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()))
}

fn connected(address: &str, deadline: Instant) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    for address in address.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, left(deadline)?) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// What is left until the deadline; a socket takes no timeout of 0.
fn left(deadline: Instant) -> io::Result<Duration> {
    match deadline.saturating_duration_since(Instant::now()) {
        Duration::ZERO => Err(io::Error::new(io::ErrorKind::TimedOut, "the time is over")),
        left => Ok(left),
    }
}

struct Timed {
    stream: TcpStream,
    deadline: Instant,
}

impl Read for Timed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(Some(left(self.deadline)?))?;
        self.stream.read(buffer)
    }
}

fn read(reader: &mut impl BufRead) -> io::Result<Reached> {
    let status = line(reader)?;
    let code = status.strip_prefix("HTTP/1.").and_then(|rest| rest.split_whitespace().nth(1)?.parse().ok());
    let status: u16 = code.ok_or_else(|| invalid("the answer is not HTTP"))?;
    let (mut length, mut is_chunked, mut retry_after) = (None, false, None);
    loop {
        let header = line(reader)?;
        let Some((name, value)) = header.split_once(':') else { break };
        let value = value.trim();
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.parse().ok(),
            "transfer-encoding" => is_chunked = value.eq_ignore_ascii_case("chunked"),
            "retry-after" => retry_after = value.parse().ok().map(Duration::from_secs),
            _ => {}
        }
    }
    let text = match (is_chunked, length) {
        (true, _) => chunks(reader),
        (false, Some(length)) => exactly(reader, length),
        (false, None) => {
            let mut bytes = Vec::new();
            reader.take(LARGEST_ANSWER).read_to_end(&mut bytes).map(|_| bytes)
        }
    };
    Ok(Reached { status, retry_after, text: text.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()) })
}

/// A line without its end; an error where the connection ends first.
fn line(reader: &mut impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    reader.take(LARGEST_ANSWER).read_line(&mut line)?;
    match line.strip_suffix('\n') {
        Some(line) => Ok(line.trim_end_matches('\r').to_owned()),
        None => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

fn exactly(reader: &mut impl BufRead, length: u64) -> io::Result<Vec<u8>> {
    if length > LARGEST_ANSWER {
        return Err(invalid("the answer is too long"));
    }
    let mut bytes = Vec::new();
    reader.take(length).read_to_end(&mut bytes)?;
    if (bytes.len() as u64) < length { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(bytes) }
}

fn chunks(reader: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    loop {
        let size = line(reader)?;
        let size = u64::from_str_radix(size.split(';').next().unwrap_or_default().trim(), 16)
            .map_err(|_| invalid("a chunk of the answer has no length"))?;
        if size == 0 {
            return Ok(bytes);
        }
        if bytes.len() as u64 + size.min(LARGEST_ANSWER + 1) > LARGEST_ANSWER {
            return Err(invalid("the answer is too long"));
        }
        bytes.extend(exactly(reader, size)?);
        line(reader)?;
    }
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(answer: &str) -> io::Result<Reached> {
        read(&mut answer.as_bytes())
    }

    #[test]
    fn a_text_ends_where_its_length_its_chunks_or_the_connection_say() {
        for answer in [
            "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ntext and more",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n3;x=y\r\ntex\r\n1\r\nt\r\n0\r\n\r\n",
            "HTTP/1.0 200 OK\n\ntext",
        ] {
            let reached = of(answer).unwrap();
            assert_eq!((reached.status, reached.text.unwrap().as_str()), (200, "text"), "{answer}");
        }
        let busy = of("HTTP/1.1 429 Busy\r\nretry-after: 7\r\ncontent-length: 0\r\n\r\n").unwrap();
        assert_eq!((busy.status, busy.retry_after), (429, Some(Duration::from_secs(7))));
    }

    #[test]
    fn an_answer_that_breaks_off_is_no_answer() {
        assert_eq!(of("").err().map(|e| e.kind()), Some(io::ErrorKind::UnexpectedEof));
        assert_eq!(of("SSH-2.0\r\n\r\n").err().map(|e| e.kind()), Some(io::ErrorKind::InvalidData));
        for answer in [
            "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\ntext",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\ntext\r\n",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nffffffffffffffff\r\n",
        ] {
            assert!(of(answer).unwrap().text.is_err(), "{answer}");
        }
    }
}
