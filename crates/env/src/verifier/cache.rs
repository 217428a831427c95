//! Answers that need not be asked for twice, by a hash of everything they depend on: in memory, and in a folder that outlives the process.

mod folder;

use std::{
    collections::HashMap,
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
};

use serde::{Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};

pub use folder::{Folder, hex};

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

    /// 64 digits: a file's name.
    pub fn name(&self) -> String {
        hex(&self.0)
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

/// A memory of what a tool said before a folder of it.
pub struct Kept<T> {
    memory: Cache<T>,
    folder: Option<Folder>,
}

impl<T: Clone + Serialize + DeserializeOwned> Kept<T> {
    /// `room` answers in memory; all of them in the folder `kind` of `cache`, where there is one.
    pub fn new(room: usize, cache: Option<&Path>, kind: &str) -> Self {
        Self { memory: Cache::new(room), folder: cache.map(|cache| Folder::new(cache, kind)) }
    }

    /// The answer kept under `key`, or that of `ask`, kept where `is_kept` says so. With a folder, of all that ask at once, here and in other
    /// processes, one does, and the others wait: two terms of a recipe may put the same question at the same moment.
    pub fn get(&self, key: Key, is_kept: impl Fn(&T) -> bool, ask: impl FnOnce() -> T) -> T {
        let Some(folder) = &self.folder else { return self.memory.get(key, is_kept, ask) };
        let found = || {
            let name = key.name();
            if let Some(answer) = folder.get(&name) {
                return answer;
            }
            let _turn = folder.turn(&name);
            // Who had the turn before may have left an answer.
            folder.get(&name).unwrap_or_else(|| {
                let answer = ask();
                if is_kept(&answer) {
                    folder.put(&name, &answer);
                }
                answer
            })
        };
        self.memory.get(key, &is_kept, found)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicUsize, Ordering},
        thread,
    };

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

    #[test]
    fn a_folder_outlives_a_memory() {
        let folder = tempfile::tempdir().unwrap();
        let key = |text: &str| Key::of([text.as_bytes()]);
        let asked = |kept: &Kept<u32>, text: &str, said: u32| kept.get(key(text), |said| *said < 10, || said);
        let first = Kept::new(8, Some(folder.path()), "tool");
        assert_eq!([asked(&first, "a", 1), asked(&first, "a", 2), asked(&first, "b", 11)], [1, 1, 11]);
        let second = Kept::new(8, Some(folder.path()), "tool");
        assert_eq!(
            [asked(&second, "a", 3), asked(&second, "b", 4), asked(&second, "c", 5)],
            [1, 4, 5],
            "11 was not kept"
        );
        let (elsewhere, nowhere) = (Kept::new(8, Some(folder.path()), "other"), Kept::new(8, None, "tool"));
        assert_eq!([asked(&elsewhere, "a", 6), asked(&nowhere, "a", 7), asked(&nowhere, "a", 8)], [6, 7, 7]);
    }

    #[test]
    fn one_of_all_that_ask_at_once_does() {
        let folder = tempfile::tempdir().unwrap();
        let asked = AtomicUsize::new(0);
        let ask = || {
            let kept = Kept::new(8, Some(folder.path()), "tool");
            kept.get(Key::of([&b"a"[..]]), |_| true, || asked.fetch_add(1, Ordering::Relaxed))
        };
        thread::scope(|scope| {
            for answer in [(); 8].map(|()| scope.spawn(ask)) {
                assert_eq!(answer.join().unwrap(), 0);
            }
        });
        assert_eq!(asked.into_inner(), 1);
    }
}
