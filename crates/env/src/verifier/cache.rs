//! Answers that need not be asked for twice, by a hash of everything they depend on.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use sha2::{Digest, Sha256};

/// What an answer depends on.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key([u8; 32]);

impl Key {
    /// Texts are told apart from their joins.
    pub fn of<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        Self(hash.finalize().into())
    }
}

/// A bounded memory of answers; threads share it. When it is full it forgets everything.
pub struct Cache<T> {
    answers: Mutex<HashMap<Key, T>>,
    room: usize,
}

impl<T: Clone> Cache<T> {
    pub fn new(room: usize) -> Self {
        Self { answers: Mutex::default(), room }
    }

    /// The answer kept under `key`, or that of `ask`, kept where `is_kept` says so. Threads that ask at once all ask.
    pub fn get(&self, key: Key, is_kept: impl Fn(&T) -> bool, ask: impl FnOnce() -> T) -> T {
        if let Some(kept) = self.look(&key) {
            return kept;
        }
        let answer = ask();
        if is_kept(&answer) {
            self.keep(key, answer.clone());
        }
        answer
    }

    /// The answer kept under `key`.
    pub fn look(&self, key: &Key) -> Option<T> {
        self.answers().get(key).cloned()
    }

    pub fn keep(&self, key: Key, answer: T) {
        let mut answers = self.answers();
        if answers.len() >= self.room {
            answers.clear();
        }
        answers.insert(key, answer);
    }

    fn answers(&self) -> MutexGuard<'_, HashMap<Key, T>> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_asked_for_once_if_it_is_to_be_kept() {
        let cache = Cache::new(2);
        let key = |text: &str| Key::of([text.as_bytes()]);
        assert_eq!(cache.get(key("a"), |_| true, || 1), 1);
        assert_eq!(cache.get(key("a"), |_| true, || 2), 1);
        assert_eq!(cache.get(key("b"), |_| false, || 3), 3);
        assert_eq!(cache.get(key("b"), |_| true, || 4), 4);
        assert_eq!(cache.get(key("c"), |_| true, || 5), 5);
        assert_eq!(cache.get(key("a"), |_| true, || 6), 6, "a full cache forgets");
        assert!(Key::of([&b"ab"[..], b"c"]) != Key::of([&b"a"[..], b"bc"]));
    }
}
