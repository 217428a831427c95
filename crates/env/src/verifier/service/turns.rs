//! Who may ask, and when: a number of questions at once, and a number a minute.

use std::{
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

pub(super) struct Turns {
    free: Mutex<usize>,
    freed: Condvar,
    /// Between two questions.
    spacing: Option<Duration>,
    /// When the next question may be put.
    next: Mutex<Option<Instant>>,
}

/// Given back when it is dropped.
pub(super) struct Turn<'a>(&'a Turns);

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Turns {
    pub fn new(at_once: usize, per_minute: Option<f64>) -> Self {
        let spacing = per_minute.map(|rate| Duration::from_secs_f64(60.0 / rate));
        Self { free: Mutex::new(at_once), freed: Condvar::new(), spacing, next: Mutex::new(None) }
    }

    /// Waits until one of the places is free.
    pub fn take(&self) -> Turn<'_> {
        let mut free = lock(&self.free);
        while *free == 0 {
            free = self.freed.wait(free).unwrap_or_else(PoisonError::into_inner);
        }
        *free -= 1;
        Turn(self)
    }

    /// Waits until the rate allows another question.
    pub fn pace(&self) {
        let Some(spacing) = self.spacing else { return };
        let now = Instant::now();
        let at = {
            let mut next = lock(&self.next);
            let at = next.map_or(now, |next| next.max(now));
            *next = Some(at + spacing);
            at
        };
        std::thread::sleep(at.saturating_duration_since(now));
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        *lock(&self.0.free) += 1;
        self.0.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn no_more_at_once_than_are_allowed() {
        let turns = Turns::new(3, None);
        let (now, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..12 {
                scope.spawn(|| {
                    let _turn = turns.take();
                    most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    std::thread::yield_now();
                    now.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        assert!((1..=3).contains(&most.into_inner()));
        assert_eq!(*lock(&turns.free), 3);
    }

    #[test]
    fn questions_keep_their_distance() {
        let turns = Turns::new(1, Some(6000.0));
        let begun = Instant::now();
        (0..4).for_each(|_| turns.pace());
        assert!(begun.elapsed() >= Duration::from_millis(30), "the first at once, three after 10 ms each");
    }
}
