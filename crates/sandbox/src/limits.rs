//! What a program may use.

use std::time::Duration;

/// Bounds on one run. Those of memory, file size, CPU time and descriptors are of each process, the others of the whole tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// From the start of the program to the end of the tree.
    pub wall: Duration,
    /// CPU time of a process, in whole seconds, rounded up.
    pub cpu: Duration,
    /// Address space of a process, in bytes.
    pub memory: u64,
    /// Processes and threads together, the first one counted.
    pub processes: u64,
    /// Size of a file, in bytes.
    pub file_size: u64,
    /// Open descriptors of a process.
    pub descriptors: u64,
    /// All that the private folder holds, in bytes.
    pub writable: u64,
    /// Files and folders in the private folder.
    pub files: u64,
    /// Bytes on stdout, and bytes on stderr.
    pub output: usize,
    /// Bytes on the verdict's descriptor.
    pub verdict: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            wall: Duration::from_secs(10),
            cpu: Duration::from_secs(10),
            memory: 1 << 30,
            processes: 64,
            file_size: 32 << 20,
            descriptors: 256,
            writable: 64 << 20,
            files: 4096,
            output: 1 << 20,
            verdict: 1 << 16,
        }
    }
}
