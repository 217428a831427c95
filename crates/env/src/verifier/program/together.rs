//! Questions that are under way at once.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicUsize, Ordering},
};

/// `ask(0), .., ask(count - 1)` in that order, at most `at_once` of them at a time. A panic in one of them is passed on.
pub(in crate::verifier) fn together<R: Send>(count: usize, at_once: usize, ask: impl Fn(usize) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let done: Mutex<Vec<Option<R>>> = Mutex::new((0..count).map(|_| None).collect());
    let work = || {
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            if at >= count {
                return;
            }
            let answer = ask(at);
            done.lock().unwrap_or_else(PoisonError::into_inner)[at] = Some(answer);
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..at_once.min(count) {
            scope.spawn(work);
        }
        work();
    });
    let done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn answers_come_in_the_order_of_the_questions() {
        for at_once in [1, 3, 100] {
            assert_eq!(super::together(7, at_once, |i| i * i), [0, 1, 4, 9, 16, 25, 36]);
        }
        assert!(super::together(0, 4, |i| i).is_empty());
    }
}
