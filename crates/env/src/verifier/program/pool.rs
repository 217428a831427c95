//! Workers that share the questions; one that is over is replaced.

use std::{
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use serde_json::{Map, Value};

use super::worker::{Unanswered, Worker};

pub(super) struct Pool {
    pub command: Vec<String>,
    /// How long an answer may take.
    pub timeout: Duration,
    /// How much longer the first answer of a program may take.
    pub start: Duration,
    /// The most questions that a program has in hand.
    pub in_hand: usize,
    seats: Mutex<Vec<Seat>>,
    freed: Condvar,
}

#[derive(Default)]
struct Seat {
    worker: Option<Arc<Worker>>,
    in_hand: usize,
}

impl Pool {
    /// A pool of `workers`, the first of which is started at once.
    ///
    /// # Errors
    /// The program cannot be started.
    pub fn new(
        command: Vec<String>,
        workers: usize,
        in_hand: usize,
        timeout: Duration,
        start: Duration,
    ) -> std::io::Result<Self> {
        let mut seats: Vec<Seat> = (0..workers).map(|_| Seat::default()).collect();
        if let Some(first) = seats.first_mut() {
            first.worker = Some(Arc::new(Worker::start(&command)?));
        }
        Ok(Self { command, timeout, start, in_hand, seats: Mutex::new(seats), freed: Condvar::new() })
    }

    /// The most questions that are under way at once.
    pub fn at_once(&self) -> usize {
        self.lock().len() * self.in_hand
    }

    /// Asks the worker that has least in hand, once one has a hand free. How long it took is told without the time until then.
    ///
    /// A program that has answered before and ended in good order may have ended before it saw the question: one that answers
    /// once and ends is as good as one that stays. The question is then for the next one.
    pub fn ask(&self, question: &Map<String, Value>) -> (Result<Value, Unanswered>, Duration) {
        loop {
            let (at, worker) = self.take();
            let begun = Instant::now();
            let mut had_answered = false;
            let answer = match &worker {
                Ok(worker) => {
                    had_answered = worker.has_answered();
                    let start = if had_answered { Duration::ZERO } else { self.start };
                    worker.ask(question.clone(), self.timeout + start)
                }
                Err(error) => {
                    let reason = format!("`{}` cannot be started: {error}", self.command[0]);
                    Err(Unanswered::Broken { reason, stderr: String::new() })
                }
            };
            drop(worker);
            self.lock()[at].in_hand -= 1;
            self.freed.notify_one();
            if !(had_answered && matches!(answer, Err(Unanswered::Left { .. }))) {
                return (answer, begun.elapsed());
            }
        }
    }

    fn take(&self) -> (usize, std::io::Result<Arc<Worker>>) {
        let mut seats = self.lock();
        let at = loop {
            let free = (0..seats.len()).filter(|&at| seats[at].in_hand < self.in_hand);
            // Of equals the first, so that few questions need few programs.
            match free.min_by_key(|&at| seats[at].in_hand) {
                Some(at) => break at,
                None => seats = self.freed.wait(seats).unwrap_or_else(PoisonError::into_inner),
            }
        };
        let seat = &mut seats[at];
        seat.in_hand += 1;
        if let Some(worker) = seat.worker.as_ref().filter(|worker| !worker.is_over()) {
            return (at, Ok(worker.clone()));
        }
        let before = seat.worker.take();
        let worker = Worker::start(&self.command).map(Arc::new);
        seat.worker = worker.as_ref().ok().cloned();
        drop(seats);
        // Its end may take a moment.
        drop(before);
        (at, worker)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Seat>> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
