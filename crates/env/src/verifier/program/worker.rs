//! A program that answers lines with lines: one process, and what it has in hand.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, ErrorKind, Read, Write},
    process::{Child, ChildStdin, Command, Stdio},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel},
    },
    time::{Duration, Instant},
};

use serde_json::{Map, Value};

use super::protocol::excerpt;

/// The end of a program in good order.
const WELL: &str = "exit status 0";
/// The longest line of an answer, in bytes.
const LONGEST_ANSWER: u64 = 4 << 20;
/// What of stderr is kept, in bytes: its end.
const TAIL: usize = 4 << 10;
/// How long a program may take to end by itself once its input has ended.
const GRACE: Duration = Duration::from_secs(1);
/// How long after its last word a program's end is waited for, for its exit status and the rest of its stderr.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// Why a question has no answer.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Unanswered {
    /// The answer did not come in time.
    Timeout { stderr: String },
    /// The program died, said something that is no answer, or was killed for what it did to another question.
    Broken { reason: String, stderr: String },
    /// The program ended in good order, and may not have seen the question.
    Left { reason: String, stderr: String },
}

/// How a program came to its end.
#[derive(Clone, Debug)]
struct End {
    reason: String,
    manner: Manner,
}

#[derive(Clone, Copy, Debug)]
enum Manner {
    /// By itself, with exit status 0.
    Left,
    Broken,
}

impl End {
    fn broken(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), manner: Manner::Broken }
    }

    fn unanswered(&self, stderr: String) -> Unanswered {
        let reason = self.reason.clone();
        match self.manner {
            Manner::Left => Unanswered::Left { reason, stderr },
            Manner::Broken => Unanswered::Broken { reason, stderr },
        }
    }
}

pub(super) struct Worker {
    /// Lines for its stdin; none once it is to end.
    lines: Option<Sender<Vec<u8>>>,
    shared: Arc<Shared>,
    has_answered: AtomicBool,
}

struct Shared {
    hand: Mutex<Hand>,
    stderr: Mutex<Vec<u8>>,
    /// None once it was waited for.
    child: Mutex<Option<Child>>,
}

/// The questions that a program has not answered.
#[derive(Default)]
struct Hand {
    next: u64,
    waiting: BTreeMap<u64, SyncSender<Result<Value, Unanswered>>>,
    /// Why it takes no more.
    ended: Option<End>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Worker {
    /// # Errors
    /// The program cannot be started.
    pub fn start(command: &[String]) -> std::io::Result<Self> {
        let (program, arguments) = command.split_first().ok_or(ErrorKind::NotFound)?;
        let mut to_start = Command::new(program);
        to_start.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // Python would hold answers back until its buffer is full.
        to_start.env("PYTHONUNBUFFERED", "1");
        // A group of its own: it is killed with all that it started, and an interrupt from the keyboard is for the run alone.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut to_start, 0);
        let mut child = to_start.spawn()?;
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let shared =
            Arc::new(Shared { hand: Mutex::default(), stderr: Mutex::default(), child: Mutex::new(Some(child)) });
        let (lines, to_write) = channel();
        if let Some(stdin) = stdin {
            std::thread::spawn(move || write(stdin, &to_write));
        }
        let (silent, has_fallen_silent) = channel::<()>();
        if let Some(stderr) = stderr {
            let shared = shared.clone();
            std::thread::spawn(move || {
                keep_tail(stderr, &shared.stderr);
                drop(silent);
            });
        }
        if let Some(stdout) = stdout {
            let shared = shared.clone();
            std::thread::spawn(move || shared.listen(BufReader::new(stdout), &has_fallen_silent));
        }
        Ok(Self { lines: Some(lines), shared, has_answered: AtomicBool::new(false) })
    }

    /// Whether it ever answered: one that did not may still be starting.
    pub fn has_answered(&self) -> bool {
        self.has_answered.load(Ordering::Relaxed)
    }

    pub fn is_over(&self) -> bool {
        lock(&self.shared.hand).ended.is_some()
    }

    /// The answer to `question`, which is given its `id` here. A program that does not answer in time is killed.
    pub fn ask(&self, mut question: Map<String, Value>, patience: Duration) -> Result<Value, Unanswered> {
        let (answer, answered) = sync_channel(1);
        {
            let mut hand = lock(&self.shared.hand);
            if let Some(end) = hand.ended.clone() {
                drop(hand);
                return Err(end.unanswered(self.shared.stderr()));
            }
            hand.next += 1;
            let id = hand.next;
            question.insert("id".to_owned(), id.into());
            hand.waiting.insert(id, answer);
        }
        let mut line = Value::Object(question).to_string().into_bytes();
        line.push(b'\n');
        if let Some(lines) = &self.lines {
            // A writer that is gone has met a program that is gone, which the listener tells of.
            let _ = lines.send(line);
        }
        match answered.recv_timeout(patience) {
            Ok(answer) => {
                self.has_answered.fetch_or(answer.is_ok(), Ordering::Relaxed);
                answer
            }
            Err(RecvTimeoutError::Timeout) => {
                let stderr = self.shared.stderr();
                self.shared.end(End::broken("the program was killed: it did not answer another question in time"));
                Err(Unanswered::Timeout { stderr })
            }
            Err(RecvTimeoutError::Disconnected) => {
                let reason = "the program was ended".to_owned();
                Err(Unanswered::Broken { reason, stderr: self.shared.stderr() })
            }
        }
    }

    /// Ends its input, which asks it to end.
    pub fn close(&mut self) {
        self.lines = None;
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.close();
        if !self.is_over() {
            self.shared.wait(GRACE);
        }
        self.shared.end(End::broken("the program was ended"));
        self.shared.reap();
    }
}

impl Shared {
    /// Reads answers until the program ends or says something that is none.
    fn listen(&self, mut stdout: impl BufRead, has_fallen_silent: &Receiver<()>) {
        let mut line = Vec::new();
        let reason = loop {
            line.clear();
            match stdout.by_ref().take(LONGEST_ANSWER).read_until(b'\n', &mut line) {
                Ok(0) => break None,
                Err(e) => break Some(format!("its stdout cannot be read: {e}")),
                Ok(_) if line.last() != Some(&b'\n') && line.len() as u64 == LONGEST_ANSWER => {
                    break Some(format!(
                        "the program was killed: a line on its stdout has over {LONGEST_ANSWER} bytes"
                    ));
                }
                Ok(_) => {}
            }
            if let Err(problem) = self.take(&line) {
                let said = excerpt(String::from_utf8_lossy(&line).trim_end(), 200);
                let hint = "stdout is for one answer a question, in JSON; print the rest to stderr";
                break Some(format!("the program was killed: {problem}: {said:?} ({hint})"));
            }
        };
        let end = match reason {
            Some(reason) => End::broken(reason),
            None => match self.wait(LAST_WORDS).as_deref() {
                Some(WELL) => End { reason: format!("the program ended ({WELL})"), manner: Manner::Left },
                Some(end) => End::broken(format!("the program ended ({end})")),
                None => End::broken("the program closed its stdout"),
            },
        };
        self.kill();
        let _ = has_fallen_silent.recv_timeout(LAST_WORDS);
        self.end(end);
        self.reap();
    }

    /// Hands an answer to who asked.
    fn take(&self, line: &[u8]) -> Result<(), &'static str> {
        let answer: Value = serde_json::from_slice(line).map_err(|_| "a line on its stdout is no JSON")?;
        if !answer.is_object() {
            return Err("a line on its stdout is no JSON object");
        }
        let mut hand = lock(&self.hand);
        let asked = match answer.get("id") {
            // Who gives no id answers in order.
            None | Some(Value::Null) => hand.waiting.pop_first().map(|(_, asked)| asked),
            Some(id) => id.as_u64().and_then(|id| hand.waiting.remove(&id)),
        };
        let asked = asked.ok_or("it answered what was not asked")?;
        // Who asked may have lost patience just now.
        let _ = asked.send(Ok(answer));
        Ok(())
    }

    /// Kills the program, and tells all who wait.
    fn end(&self, end: End) {
        let (waiting, end) = {
            let mut hand = lock(&self.hand);
            let end = hand.ended.get_or_insert(end).clone();
            (std::mem::take(&mut hand.waiting), end)
        };
        self.kill();
        if waiting.is_empty() {
            return;
        }
        let stderr = self.stderr();
        for asked in waiting.into_values() {
            let _ = asked.send(Err(end.unanswered(stderr.clone())));
        }
    }

    /// Kills the program and what it started, unless it was waited for: its number may be another's then.
    fn kill(&self) {
        if let Some(child) = lock(&self.child).as_mut() {
            kill_all(child);
        }
    }

    fn reap(&self) {
        let mut child = lock(&self.child);
        if let Some(running) = child.as_mut() {
            kill_all(running);
            let _ = running.wait();
        }
        *child = None;
    }

    /// Waits for the end of the program, for at most `most`, and says how it ended.
    fn wait(&self, most: Duration) -> Option<String> {
        let deadline = Instant::now() + most;
        loop {
            match lock(&self.child).as_ref() {
                None => return None,
                Some(child) => {
                    if let Some(end) = has_ended(child) {
                        return Some(end);
                    }
                }
            }
            if Instant::now() >= deadline {
                return None;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn stderr(&self) -> String {
        String::from_utf8_lossy(&lock(&self.stderr)).trim().to_owned()
    }
}

/// How a program ended, if it has. It is not waited for yet, so that its number stays its own until all that it started
/// is killed.
#[cfg(target_os = "linux")]
fn has_ended(child: &Child) -> Option<String> {
    use nix::{
        sys::wait::{Id, WaitPidFlag, WaitStatus, waitid},
        unistd::Pid,
    };
    let id = Id::Pid(Pid::from_raw(i32::try_from(child.id()).ok()?));
    match waitid(id, WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT).ok()? {
        WaitStatus::Exited(_, 0) => Some(WELL.to_owned()),
        WaitStatus::Exited(_, status) => Some(format!("exit status {status}")),
        WaitStatus::Signaled(_, signal, _) => Some(format!("killed by {signal}")),
        _ => None,
    }
}

#[cfg(not(target_os = "linux"))]
fn has_ended(_: &Child) -> Option<String> {
    None
}

#[cfg(unix)]
fn kill_all(child: &mut Child) {
    use nix::{
        sys::signal::{Signal, killpg},
        unistd::Pid,
    };
    if let Ok(group) = i32::try_from(child.id()) {
        // A group that is gone needs no killing.
        let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
    }
}

#[cfg(not(unix))]
fn kill_all(child: &mut Child) {
    let _ = child.kill();
}

/// Writes lines until there are no more, or the program takes none.
fn write(mut stdin: ChildStdin, lines: &Receiver<Vec<u8>>) {
    for line in lines {
        if stdin.write_all(&line).and_then(|()| stdin.flush()).is_err() {
            return;
        }
    }
}

/// Reads to the end and keeps the last bytes.
fn keep_tail(mut stderr: impl Read, tail: &Mutex<Vec<u8>>) {
    let mut buffer = [0; 4096];
    loop {
        match stderr.read(&mut buffer) {
            Ok(0) => return,
            Ok(n) => {
                let mut tail = lock(tail);
                tail.extend_from_slice(&buffer[..n]);
                let over = tail.len().saturating_sub(TAIL);
                tail.drain(..over);
            }
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}
