//! The layout of the cache, and what of it is whole.

use std::path::{Path, PathBuf};

use crate::{Reference, select};

/// A repository's folder in the cache.
pub struct Repository {
    pub folder: PathBuf,
    #[cfg_attr(not(feature = "download"), allow(dead_code, reason = "downloads alone are locked"))]
    pub locks: PathBuf,
}

impl Repository {
    pub fn new(cache: &Path, reference: &Reference) -> Self {
        let name = format!("{}--{}", reference.kind.plural(), reference.repository.replace('/', "--"));
        Self { folder: cache.join(&name), locks: cache.join(".locks").join(&name) }
    }

    /// The commit that a revision names, as far as the cache knows.
    pub fn commit(&self, revision: &str) -> Option<String> {
        let known = std::fs::read_to_string(self.folder.join("refs").join(revision)).ok();
        let commit = known.map_or_else(|| revision.to_owned(), |text| text.trim().to_owned());
        (is_plain(&commit) && self.snapshot(&commit).folder.is_dir()).then_some(commit)
    }

    pub fn snapshot(&self, commit: &str) -> Snapshot {
        Snapshot {
            folder: self.folder.join("snapshots").join(commit),
            absent: self.folder.join(".no_exist").join(commit),
        }
    }
}

/// The files of one commit.
pub struct Snapshot {
    pub folder: PathBuf,
    /// Files of this folder are known not to be in the repository.
    pub absent: PathBuf,
}

impl Snapshot {
    /// A link whose blob is gone is no file.
    pub fn has(&self, name: &str) -> bool {
        self.folder.join(name).is_file()
    }

    /// Configuration and every shard are there, or an adapter.
    pub fn has_weights(&self) -> bool {
        if self.has(select::ADAPTER_CONFIG) && self.has(select::ADAPTER) {
            return true;
        }
        let has_shards = || {
            select::shards(&self.folder.join(select::INDEX))
                .is_some_and(|shards| !shards.is_empty() && shards.iter().all(|shard| self.has(shard)))
        };
        self.has(select::CONFIG) && (self.has(select::WEIGHTS) || has_shards())
    }

    /// As [`Snapshot::has_weights`], and the tokenizer is there or known to be in no such file.
    pub fn lacks_no_model_file(&self) -> bool {
        self.has_weights() && self.is_known(select::TOKENIZER)
    }

    /// As [`Snapshot::lacks_no_model_file`], and the modules of a sentence encoder are there or known to be none: without them, it would be
    /// another one.
    pub fn lacks_no_encoder_file(&self) -> bool {
        self.lacks_no_model_file() && self.is_known(select::MODULES)
    }

    /// Whether the file is there, or known to be in no such commit.
    fn is_known(&self, name: &str) -> bool {
        self.has(name) || self.absent.join(name).is_file()
    }
}

/// What may stand as a folder or file name: no path.
pub fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
}
