//! One worker a core, each with single-threaded kernels.
//!
//! Work is cut into blocks by the recipe and the batch alone. Which worker takes a block changes no
//! number: results come back in the order of the blocks.

use std::{
    any::Any,
    num::NonZeroUsize,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use crate::error::Error;

/// How many workers run at once; at least 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Workers(usize);

impl Workers {
    /// `asked`, or one a core.
    pub fn new(asked: Option<usize>) -> Self {
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        Self(asked.unwrap_or_else(cores).max(1))
    }

    pub fn count(self) -> usize {
        self.0
    }

    /// The same as threads of one kernel call.
    pub fn threads(self) -> NonZeroUsize {
        NonZeroUsize::new(self.0).unwrap_or(NonZeroUsize::MIN)
    }

    /// `work(0), .., work(blocks - 1)`, in that order. Of several errors, that of the first block is
    /// given; a panic in a worker is an error that says what it was doing.
    pub fn map<R: Send>(
        self,
        what: &'static str,
        blocks: usize,
        work: impl Fn(usize) -> Result<R, Error> + Sync,
    ) -> Result<Vec<R>, Error> {
        let next = AtomicUsize::new(0);
        let results: Mutex<Vec<Option<Result<R, Error>>>> = Mutex::new((0..blocks).map(|_| None).collect());
        let run = || {
            loop {
                let block = next.fetch_add(1, Ordering::Relaxed);
                if block >= blocks {
                    return;
                }
                let result = caught(what, || work(block));
                if result.is_err() {
                    // No block after a failed one is begun; those before it are already under way.
                    next.store(blocks, Ordering::Relaxed);
                }
                results.lock().unwrap_or_else(|e| e.into_inner())[block] = Some(result);
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..self.0.min(blocks) {
                scope.spawn(run);
            }
            run();
        });
        let results = results.into_inner().unwrap_or_else(|e| e.into_inner());
        // Blocks are begun in order, so one that was not begun stands behind the error.
        results.into_iter().map_while(|r| r).collect()
    }
}

/// What work gives; a panic is an error that says what was done.
pub(super) fn caught<R>(what: &'static str, work: impl FnOnce() -> Result<R, Error>) -> Result<R, Error> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|panic| Err(Error::Panic { what, message: message_of(panic.as_ref()) }))
}

/// What a panic said.
fn message_of(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|s| (*s).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_the_order_of_the_blocks() {
        for workers in [1, 2, 7] {
            let got = Workers(workers).map("a test", 50, |i| Ok(i * i)).unwrap();
            assert!(got.into_iter().eq((0..50).map(|i| i * i)));
        }
    }

    #[test]
    fn a_panic_in_a_worker_is_an_error_with_its_message() {
        let error =
            Workers(3).map("a test", 20, |i| if i == 4 { panic!("block {i} broke") } else { Ok(()) }).unwrap_err();
        assert_eq!(error.to_string(), "a worker panicked in a test: block 4 broke");
    }
}
