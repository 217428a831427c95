//! What a program did.

use std::time::Duration;

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The first process ended by itself, with this status; what it left running was killed.
    Exited(i32),
    /// A signal ended it: a crash, or its own doing.
    Killed(i32),
    /// It was killed for a system call that no honest program makes.
    Forbidden,
    /// It outlived its wall or CPU time and was killed.
    TimedOut,
    /// It wrote more than it may and was killed.
    OutputCapped,
}

/// What a program did.
#[derive(Clone, Debug)]
pub struct Report {
    pub ending: Ending,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
    /// What was written on the verdict's descriptor, by whichever process of the tree.
    pub verdict: Vec<u8>,
    /// The first process's id as it sees it itself: 1 where it has a namespace of its own.
    pub pid: i32,
    pub wall: Duration,
    /// CPU time of the whole tree.
    pub cpu: Duration,
    /// The largest resident size of a process of the tree, in bytes.
    pub peak_memory: u64,
}

impl Report {
    /// Whether it ended with status 0.
    pub fn is_success(&self) -> bool {
        self.ending == Ending::Exited(0)
    }
}
