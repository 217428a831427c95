//! The cache of cold starts: what a supervised stage made, by the hash of all that determines it.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use cohort_core::Policy;
use cohort_env::text_model::TextModels;
use sha2::{Digest, Sha256};

use crate::{
    checkpoint::{self, CheckpointError, Parts, Provenance, SHARD_BYTES},
    lock::Lock,
    recipe::{Recipe, hex},
    session::StageState,
};

/// Version of everything in the code that decides a cold start's bits besides the recipe; raised when that changes.
const FORMAT: u32 = 2;

/// Where a recipe's cold start is cached.
pub struct ColdStart {
    path: PathBuf,
}

impl ColdStart {
    /// The entry of `recipe` below `cache`, for a policy that starts from `origin` (the sum of its weights, frozen ones
    /// too) and a task that `task` sums up. `None` without a supervised stage.
    pub fn entry(recipe: &Recipe, cache: &Path, origin: &str, task: &str) -> Option<Self> {
        let text = recipe.cold_start_text()?;
        let level = cohort_kernels::level().name();
        let all = format!("{FORMAT}\n{}\n{level}\n{origin}\n{task}\n{text}", env!("CARGO_PKG_VERSION"));
        let hash = hex(&Sha256::digest(all));
        Some(Self { path: cache.join("cold-start").join(&hash[..24]) })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Loads the entry into `policy`. `None` where there is none; a broken one is removed, and said.
    pub fn load(&self, policy: &mut dyn Policy) -> Option<Result<StageState, CheckpointError>> {
        if !self.path.is_dir() {
            return None;
        }
        let state = checkpoint::read(&self.path, policy, None);
        if state.is_err() {
            let _ = fs::remove_dir_all(&self.path);
        }
        Some(state)
    }

    /// Writes the entry, whole or not at all. What processes left that were killed meanwhile is removed: whoever writes
    /// here holds the folder's lock, so nobody else is writing.
    pub fn store(
        &self,
        policy: &dyn Policy,
        state: &StageState,
        provenance: &Provenance,
    ) -> Result<(), CheckpointError> {
        let failed = |source: io::Error| CheckpointError::Write { path: self.path.clone(), source };
        let folder = self.path.parent().unwrap_or(Path::new("."));
        let _lock = Lock::wait(folder).map_err(failed)?;
        remove_hidden(folder).map_err(failed)?;
        if self.path.is_dir() {
            // Another process was first; the entry is a function of its name.
            return Ok(());
        }
        checkpoint::write(
            &self.path,
            state.step,
            &Parts {
                policy,
                optimizer: None,
                ema: None,
                models: &TextModels::new(),
                state,
                provenance,
                shard_bytes: SHARD_BYTES,
            },
        )
    }
}

/// Entries are written under hidden names.
fn remove_hidden(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}

/// The folder that caches live in: `$COHORT_CACHE`, else `$XDG_CACHE_HOME/cohort`, else `~/.cache/cohort`.
pub fn cache_folder(variable: impl Fn(&str) -> Option<String>) -> Option<PathBuf> {
    let set = |name: &str| variable(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    set("COHORT_CACHE")
        .or_else(|| set("XDG_CACHE_HOME").map(|p| p.join("cohort")))
        .or_else(|| set("HOME").map(|p| p.join(".cache/cohort")))
}
