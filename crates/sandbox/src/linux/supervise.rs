//! Reads what a program says and watches its limits until it ends.

use std::{
    fs::File,
    io::{self, ErrorKind, Read},
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::process::ExitStatusExt,
    },
    process::ExitStatus,
    time::{Duration, Instant},
};

use super::spawn::Child;
use crate::{Ending, Jail, JailError, Layer, Report};

/// The ends that this process reads.
pub struct Ends {
    pub stdout: OwnedFd,
    pub stderr: OwnedFd,
    pub verdict: Option<OwnedFd>,
}

/// One of them, with what came and how much may.
struct Stream {
    end: Option<File>,
    bytes: Vec<u8>,
    cap: usize,
}

/// Why the tree was killed.
#[derive(Clone, Copy)]
enum Cause {
    Deadline,
    Output,
}

pub fn supervise(jail: &Jail, child: &Child, ends: Ends, begun: Instant) -> Result<Report, JailError> {
    let limits = jail.limits_of();
    let layers = jail.layers();
    let cap = |cap: usize| if layers.has(Layer::Output) { cap } else { usize::MAX };
    let stream = |end: Option<OwnedFd>, cap| Stream { end: end.map(File::from), bytes: Vec::new(), cap };
    let mut streams = [
        stream(Some(ends.stdout), cap(limits.output)),
        stream(Some(ends.stderr), cap(limits.output)),
        stream(ends.verdict, cap(limits.verdict)),
    ];
    let mut cause = None;
    loop {
        let left = match layers.has(Layer::Deadline) && cause.is_none() {
            true => Some(limits.wall.saturating_sub(begun.elapsed())),
            false => None,
        };
        let is_over =
            wait(child, &streams, left).map_err(|source| JailError::Io { what: "waiting for a program", source });
        let is_over = match is_over {
            Ok(is_over) => is_over,
            Err(e) => {
                child.kill(layers);
                let _ = child.wait();
                return Err(e);
            }
        };
        let is_capped = streams.iter_mut().fold(false, |capped, stream| stream.read() | capped);
        if is_over {
            break;
        }
        let is_late = layers.has(Layer::Deadline) && begun.elapsed() >= limits.wall;
        if cause.is_none() && (is_capped || is_late) {
            cause = Some(if is_capped { Cause::Output } else { Cause::Deadline });
            child.kill(layers);
        }
    }
    if !layers.has(Layer::Pid) {
        // What it left behind in its group, before its number is another's.
        child.kill(layers);
    }
    let (status, used) = child.wait().map_err(|source| JailError::Io { what: "the end of a program", source })?;
    let wall = begun.elapsed();
    let time = |t: libc::timeval| Duration::new(t.tv_sec as u64, 1000 * t.tv_usec as u32);
    let cpu = time(used.ru_utime) + time(used.ru_stime);
    let [stdout, stderr, verdict] = streams.map(|stream| stream.bytes);
    let status = ExitStatus::from_raw(status);
    // The limit is held in ticks and the use told in nanoseconds, so they differ; nobody else kills a first process so.
    let is_of_cpu = matches!(status.signal(), Some(libc::SIGXCPU | libc::SIGKILL))
        && layers.has(Layer::Limits)
        && 2 * cpu >= limits.cpu;
    let ending = match (cause, status.code(), status.signal()) {
        (Some(Cause::Deadline), _, Some(libc::SIGKILL)) => Ending::TimedOut,
        // However it ended then: its stream was cut, and it may have found that out before the signal came.
        (Some(Cause::Output), ..) => Ending::OutputCapped,
        (_, _, Some(_)) if is_of_cpu => Ending::TimedOut,
        (_, _, Some(libc::SIGSYS)) => Ending::Forbidden,
        (_, _, Some(signal)) => Ending::Killed(signal),
        (_, code, None) => Ending::Exited(code.unwrap_or(-1)),
    };
    let pid = if layers.has(Layer::Pid) { 1 } else { child.pid };
    Ok(Report { ending, stdout, stderr, verdict, pid, wall, cpu, peak_memory: 1024 * used.ru_maxrss as u64 })
}

/// Waits until there is something to read, the program is over (true), or no time is left.
fn wait(child: &Child, streams: &[Stream], left: Option<Duration>) -> io::Result<bool> {
    let watch = |fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
    let mut watched = [watch(child.pidfd.as_raw_fd()), watch(-1), watch(-1), watch(-1)];
    for (slot, stream) in watched[1..].iter_mut().zip(streams) {
        slot.fd = stream.end.as_ref().map_or(-1, AsRawFd::as_raw_fd);
    }
    // Rounded up, or the last millisecond is spent asking.
    let patience = left.map_or(-1, |left| left.as_micros().div_ceil(1000).min(i32::MAX as u128) as i32);
    // SAFETY: as many entries as it is told.
    match unsafe { libc::poll(watched.as_mut_ptr(), watched.len() as libc::nfds_t, patience) } {
        -1 => {
            let error = io::Error::last_os_error();
            if error.kind() == ErrorKind::Interrupted { Ok(false) } else { Err(error) }
        }
        _ => Ok(watched[0].revents != 0),
    }
}

impl Stream {
    /// Takes what is there; true where it is more than may be.
    fn read(&mut self) -> bool {
        let mut buffer = [0; 16 << 10];
        // A program that writes faster than it is read still meets its deadline: so much at a time.
        for _ in 0..64 {
            let Some(end) = &mut self.end else { return false };
            match end.read(&mut buffer) {
                Ok(0) => self.end = None,
                Ok(n) => {
                    let room = self.cap - self.bytes.len();
                    self.bytes.extend_from_slice(&buffer[..n.min(room)]);
                    if n > room {
                        self.end = None;
                        return true;
                    }
                }
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) if e.kind() == ErrorKind::WouldBlock => return false,
                Err(_) => self.end = None,
            }
        }
        false
    }
}
