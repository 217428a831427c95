//! Answers on disk: a file each, named by the hash of the question.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process,
    sync::atomic::{AtomicU64, Ordering},
};

use serde::{Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};

/// A folder of answers. An entry is a checksum in a line of its own, then JSON; one that does not fit its checksum is none.
pub struct Folder {
    path: PathBuf,
}

/// While it lives, nobody else asks the same.
pub struct Turn {
    path: PathBuf,
    _lock: File,
}

impl Drop for Turn {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

impl Folder {
    /// `kind` keeps askers apart.
    pub fn new(cache: &Path, kind: &str) -> Self {
        Self { path: cache.join(kind) }
    }

    pub fn get<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        let text = fs::read_to_string(self.file(name)).ok()?;
        let (sum, answer) = text.split_once('\n')?;
        if sum != hex(&Sha256::digest(answer)) {
            return None;
        }
        serde_json::from_str(answer).ok()
    }

    /// Keeps an answer whole or not at all. What cannot be kept is asked again another time.
    pub fn put<T: Serialize>(&self, name: &str, answer: &T) {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let file = self.file(name);
        let aside = file.with_extension(format!("{}-{}", process::id(), COUNT.fetch_add(1, Ordering::Relaxed)));
        let Ok(answer) = serde_json::to_string(answer) else { return };
        let entry = format!("{}\n{answer}", hex(&Sha256::digest(&answer)));
        let written = file.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(&aside, entry));
        if written.and_then(|()| fs::rename(&aside, &file)).is_err() {
            let _ = fs::remove_file(&aside);
        }
    }

    /// Waits until nobody else has the turn to ask under this name; it is let go when its holder dies. Where the file system knows no locks or
    /// cannot be written to, it holds nobody off.
    pub fn turn(&self, name: &str) -> Option<Turn> {
        let path = self.file(name).with_extension("turn");
        fs::create_dir_all(path.parent()?).ok()?;
        let lock = File::create(&path).ok()?;
        lock.lock().ok()?;
        Some(Turn { path, _lock: lock })
    }

    fn file(&self, name: &str) -> PathBuf {
        self.path.join(name.get(..2).unwrap_or_default()).join(name)
    }
}

/// Two digits a byte.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |text, byte| format!("{text}{byte:02x}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_whole_or_none() {
        let folder = tempfile::tempdir().unwrap();
        let kept = Folder::new(folder.path(), "tool");
        let name = hex(&Sha256::digest("question"));
        assert_eq!(name.len(), 64);
        let get = || kept.get::<(String, f64)>(&name);
        assert_eq!(get(), None);
        let said = ("{\"score\": 1}\n".to_owned(), 0.1 + 0.2);
        kept.put(&name, &said);
        assert_eq!(get(), Some(said.clone()));
        assert_eq!(kept.get::<u32>(&name), None, "of another form");
        let path = kept.file(&name);
        let whole = fs::read(&path).unwrap();
        for cut in [0, 10, 64, 65, whole.len() - 1] {
            fs::write(&path, &whole[..cut]).unwrap();
            assert_eq!(get(), None, "{cut} bytes");
        }
        let mut other = whole.clone();
        *other.last_mut().unwrap() = b'}';
        fs::write(&path, &other).unwrap();
        assert_eq!(get(), None);
        let turn = kept.turn(&name);
        assert!(turn.is_some());
        kept.put(&name, &said);
        drop(turn);
        assert_eq!(get(), Some(said.clone()), "written again");
        let left = fs::read_dir(path.parent().unwrap()).unwrap().count();
        assert_eq!(left, 1, "nothing is left aside");
        // A folder that cannot be written to changes no answer.
        let unwritable = Folder::new(&path, "tool");
        unwritable.put(&name, &said);
        assert!(unwritable.turn(&name).is_none());
        assert_eq!(unwritable.get::<(String, f64)>(&name), None);
    }
}
