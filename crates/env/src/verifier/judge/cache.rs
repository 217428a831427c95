//! Answers that were paid for once: a file each, named by the hash of the question.

use std::{
    fs,
    path::{Path, PathBuf},
    process,
    sync::atomic::{AtomicU64, Ordering},
};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// What a judge said, and what that took.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Said {
    pub content: String,
    #[serde(default)]
    pub prompt_tokens: u64,
    #[serde(default)]
    pub completion_tokens: u64,
}

/// A folder of answers. An entry is a checksum in a line of its own, then JSON; one that does not fit its checksum is none.
pub(super) struct Cache {
    folder: PathBuf,
}

impl Cache {
    pub fn new(folder: &Path) -> Self {
        Self { folder: folder.join("judge") }
    }

    /// The name of a question: of the address that it goes to and all of its body, and of no key.
    pub fn name(url: &str, body: &Value) -> String {
        hex(Sha256::new().chain_update("1\n").chain_update(url).chain_update("\n").chain_update(body.to_string()))
    }

    pub fn get(&self, name: &str) -> Option<Said> {
        let text = fs::read_to_string(self.path(name)).ok()?;
        let (sum, said) = text.split_once('\n')?;
        if sum != hex(Sha256::new().chain_update(said)) {
            return None;
        }
        serde_json::from_str(said).ok()
    }

    /// Keeps an answer whole or not at all. What cannot be kept is asked again another time.
    pub fn put(&self, name: &str, said: &Said) {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let path = self.path(name);
        let aside = path.with_extension(format!("{}-{}", process::id(), COUNT.fetch_add(1, Ordering::Relaxed)));
        let Ok(said) = serde_json::to_string(said) else { return };
        let entry = format!("{}\n{said}", hex(Sha256::new().chain_update(&said)));
        let written = path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(&aside, entry));
        if written.and_then(|()| fs::rename(&aside, &path)).is_err() {
            let _ = fs::remove_file(&aside);
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name.get(..2).unwrap_or_default()).join(name)
    }
}

fn hex(digest: Sha256) -> String {
    digest.finalize().iter().fold(String::with_capacity(64), |text, byte| format!("{text}{byte:02x}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_entry_is_whole_or_none() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::new(folder.path());
        let name = Cache::name("http://a", &json!({"model": "m"}));
        assert_ne!(name, Cache::name("http://a", &json!({"model": "n"})));
        assert_ne!(name, Cache::name("http://b", &json!({"model": "m"})));
        assert_eq!(cache.get(&name), None);
        let said = Said { content: "{\"score\": 1}\n".into(), prompt_tokens: 3, completion_tokens: 4 };
        cache.put(&name, &said);
        assert_eq!(cache.get(&name), Some(said.clone()));
        let path = cache.path(&name);
        let whole = fs::read(&path).unwrap();
        for cut in [0, 10, 64, 65, whole.len() - 1] {
            fs::write(&path, &whole[..cut]).unwrap();
            assert_eq!(cache.get(&name), None, "{cut} bytes");
        }
        let mut other = whole.clone();
        *other.last_mut().unwrap() = b']';
        fs::write(&path, &other).unwrap();
        assert_eq!(cache.get(&name), None);
        cache.put(&name, &said);
        assert_eq!(cache.get(&name), Some(said), "written again");
        let left = fs::read_dir(path.parent().unwrap()).unwrap().count();
        assert_eq!(left, 1, "nothing is left aside");
        // A folder that cannot be written to changes no answer.
        Cache::new(&path).put(&name, &Said::default());
    }
}
