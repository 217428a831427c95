//! What was taken: the peak of the process's own pages, apart from those of mapped files.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use super::machine::kibibytes;

const STATUS: &str = "/proc/self/status";

/// Between two looks. A peak that stands shorter than this can be missed.
const PAUSE: Duration = Duration::from_millis(20);

/// Watches the anonymous resident memory of the process from a thread of its own, until it is dropped.
pub(crate) struct Peak {
    largest: Arc<AtomicU64>,
    is_over: Arc<AtomicBool>,
    watcher: Option<JoinHandle<()>>,
}

impl Peak {
    pub(crate) fn watch() -> Self {
        let (largest, is_over) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (seen, over) = (Arc::clone(&largest), Arc::clone(&is_over));
        let look = move || {
            while !over.load(Ordering::Relaxed) {
                let Some(bytes) = anonymous_bytes() else { return };
                seen.fetch_max(bytes, Ordering::Relaxed);
                thread::park_timeout(PAUSE);
            }
        };
        // Without a thread nothing is measured, and the run goes on.
        let watcher = thread::Builder::new().name("memory".to_owned()).spawn(look).ok();
        Self { largest, is_over, watcher }
    }

    /// The largest that was seen, now included; absent where the system does not say.
    pub(crate) fn bytes(&self) -> Option<u64> {
        let now = anonymous_bytes()?;
        Some(self.largest.fetch_max(now, Ordering::Relaxed).max(now))
    }
}

impl Drop for Peak {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        if let Some(watcher) = self.watcher.take() {
            watcher.thread().unpark();
            // It holds nothing that could be broken.
            let _ = watcher.join();
        }
    }
}

/// Resident pages of the process that stand for no file.
pub(super) fn anonymous_bytes() -> Option<u64> {
    kibibytes(&fs::read_to_string(STATUS).ok()?, "RssAnon:")
}

/// Peak resident memory of the process, pages of mapped files included; absent where the system does not say.
pub(crate) fn peak_rss_bytes() -> Option<u64> {
    kibibytes(&fs::read_to_string(STATUS).ok()?, "VmHWM:")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn memory_that_was_freed_is_in_the_peak() {
        let peak = Peak::watch();
        let before = peak.bytes().expect("linux says");
        let size = 256 << 20;
        let held = vec![1_u8; size];
        let during = peak.bytes().expect("linux says");
        assert!(held.iter().all(|&byte| byte == 1));
        drop(held);
        let after = peak.bytes().expect("linux says");
        assert!(during >= before.max(size as u64 / 2) && after >= during, "{before} {during} {after}");
    }
}
