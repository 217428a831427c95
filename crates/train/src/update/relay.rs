//! Two kinds of work in a row: what a block makes is taken up while other blocks are still being made.

use std::{
    collections::VecDeque,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
};

use super::worker::{Workers, caught};
use crate::error::Error;

/// The two kinds of work of [`Workers::relay`]. Neither may depend on what other blocks or items gave.
pub struct Relay<M, F> {
    /// What a block is made of, for the words of a panic.
    pub making: &'static str,
    pub make: M,
    pub finishing: &'static str,
    pub finish: F,
}

impl Workers {
    /// Makes the items of `blocks` blocks and finishes each: items with their results, in the order of the blocks.
    ///
    /// A worker that finds no block left finishes items. `helpers` more threads do nothing else, from the first item on: as many
    /// as can wait for others without using a core. Of several errors that of the first block is given, and
    /// nothing is begun after one.
    ///
    /// # Errors
    /// Those of `make` and `finish`; a panic of either.
    pub fn relay<I: Send, R: Send>(
        self,
        blocks: usize,
        helpers: usize,
        relay: &Relay<impl Fn(usize) -> Result<Vec<I>, Error> + Sync, impl Fn(&mut I) -> Result<R, Error> + Sync>,
    ) -> Result<Vec<(I, R)>, Error> {
        let Relay { making, make, finishing, finish } = relay;
        let makers = self.count().min(blocks);
        let shelf = Shelf {
            state: Mutex::new(State { next: 0, makers, waiting: VecDeque::new(), done: Vec::new(), failed: None }),
            changed: Condvar::new(),
        };
        let finish_items = || {
            while let Some((place, mut item)) = shelf.take() {
                let result = caught(finishing, || finish(&mut item));
                shelf.put_back(place, item, result);
            }
        };
        let make_blocks = || {
            while let Some(block) = shelf.block(blocks) {
                shelf.put(block, caught(making, || make(block)));
            }
            finish_items();
        };
        std::thread::scope(|scope| {
            // Without a block there is nothing to help with.
            (0..if blocks > 0 { helpers } else { 0 }).for_each(|_| _ = scope.spawn(finish_items));
            (1..makers).for_each(|_| _ = scope.spawn(make_blocks));
            make_blocks();
        });
        let State { mut done, failed, .. } = shelf.state.into_inner().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, error)) = failed {
            return Err(error);
        }
        done.sort_by_key(|(place, ..)| *place);
        Ok(done.into_iter().map(|(_, item, result)| (item, result)).collect())
    }
}

/// Block, and item within it.
type Place = (usize, usize);

/// What was made and waits to be finished.
struct Shelf<I, R> {
    state: Mutex<State<I, R>>,
    changed: Condvar,
}

struct State<I, R> {
    /// The first block that nobody has begun.
    next: usize,
    /// Workers that still make.
    makers: usize,
    waiting: VecDeque<(Place, I)>,
    done: Vec<(Place, I, R)>,
    failed: Option<(Place, Error)>,
}

impl<I, R> Shelf<I, R> {
    fn lock(&self) -> MutexGuard<'_, State<I, R>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next block, or the end of the making of the one who asks.
    fn block(&self, blocks: usize) -> Option<usize> {
        let mut state = self.lock();
        if state.next < blocks && state.failed.is_none() {
            state.next += 1;
            return Some(state.next - 1);
        }
        state.makers = state.makers.saturating_sub(1);
        self.changed.notify_all();
        None
    }

    fn put(&self, block: usize, made: Result<Vec<I>, Error>) {
        let mut state = self.lock();
        match made {
            Ok(items) => state.waiting.extend(items.into_iter().enumerate().map(|(at, item)| ((block, at), item))),
            Err(error) => state.fail((block, 0), error),
        }
        self.changed.notify_all();
    }

    /// The next item; `None` when there is none and will be none.
    fn take(&self) -> Option<(Place, I)> {
        let mut state = self.lock();
        loop {
            if state.failed.is_some() {
                return None;
            }
            match state.waiting.pop_front() {
                Some(item) => return Some(item),
                None if state.makers == 0 => return None,
                None => state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }

    fn put_back(&self, place: Place, item: I, result: Result<R, Error>) {
        let mut state = self.lock();
        match result {
            Ok(result) => state.done.push((place, item, result)),
            Err(error) => {
                state.fail(place, error);
                self.changed.notify_all();
            }
        }
    }
}

impl<I, R> State<I, R> {
    fn fail(&mut self, place: Place, error: Error) {
        if self.failed.as_ref().is_none_or(|(first, _)| place < *first) {
            self.failed = Some((place, error));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Barrier,
        atomic::{AtomicUsize, Ordering},
    };

    use super::*;

    fn relay<M, F, R>(make: M, finish: F) -> Relay<M, F>
    where
        M: Fn(usize) -> Result<Vec<usize>, Error>,
        F: Fn(&mut usize) -> Result<R, Error>,
    {
        Relay { making: "making", make, finishing: "finishing", finish }
    }

    #[test]
    fn items_come_in_the_order_of_their_blocks() {
        for (workers, helpers) in [(1, 0), (1, 1), (2, 0), (3, 4)] {
            let make = |block: usize| Ok((0..block % 4).map(|at| 10 * block + at).collect());
            let got = Workers::new(Some(workers)).relay(30, helpers, &relay(make, |item| Ok(*item * 2))).unwrap();
            let expected = (0..30).flat_map(|block| (0..block % 4).map(move |at| 10 * block + at));
            assert!(got.into_iter().eq(expected.map(|item| (item, item * 2))), "{workers} workers, {helpers} helpers");
        }
        let none = Workers::new(Some(2)).relay(0, 2, &relay(|_| Ok(vec![0]), |_| Ok(())));
        assert_eq!(none.unwrap(), []);
    }

    #[test]
    fn an_item_is_finished_while_another_block_is_made() {
        // The second block is not made before the first item is being finished, by one worker and one helper: without
        // overlap they would wait for ever.
        let meeting = Barrier::new(2);
        let make = |block: usize| {
            if block == 1 {
                meeting.wait();
            }
            Ok(vec![block])
        };
        let finish = |item: &mut usize| {
            if *item == 0 {
                meeting.wait();
            }
            Ok(())
        };
        assert_eq!(Workers::new(Some(1)).relay(2, 1, &relay(make, finish)).unwrap().len(), 2);
    }

    #[test]
    fn the_first_error_ends_it() {
        let begun = AtomicUsize::new(0);
        let make = |block: usize| {
            begun.fetch_add(1, Ordering::SeqCst);
            match block {
                2 => Err(Error::Panic { what: "a test", message: "two".to_owned() }),
                _ => Ok(vec![block]),
            }
        };
        for helpers in [0, 1] {
            begun.store(0, Ordering::SeqCst);
            let error = Workers::new(Some(1)).relay(100, helpers, &relay(make, |_| Ok(()))).unwrap_err();
            assert_eq!(
                (error.to_string(), begun.load(Ordering::SeqCst)),
                ("a worker panicked in a test: two".into(), 3)
            );
        }
    }

    #[test]
    fn a_panic_says_what_was_done() {
        let broke = |item: &mut usize| if *item == 5 { panic!("item {item} broke") } else { Ok(()) };
        for helpers in [0, 2] {
            let error = Workers::new(Some(2)).relay(8, helpers, &relay(|block| Ok(vec![block]), broke)).unwrap_err();
            assert_eq!(error.to_string(), "a worker panicked in finishing: item 5 broke");
        }
    }
}
