//! Models and data files by name: `hf:org/name[@revision]` is a folder of the user's ordinary Hugging Face cache.
//!
//! What the cache has is used, and nothing is asked; what it lacks is downloaded into it (feature `download`), in the
//! layout that `huggingface_hub` reads and writes:
//!
//! ```text
//! models--org--name/blobs/ETAG                 contents, by name of their own
//! models--org--name/snapshots/COMMIT/FILE      a link to a blob
//! models--org--name/refs/REVISION              the commit that a branch or tag names
//! models--org--name/.no_exist/COMMIT/FILE      a file that the commit is known not to have
//! ```

mod cache;
#[cfg(feature = "download")]
mod download;
mod error;
mod progress;
mod reference;
mod select;
mod settings;

use std::{fmt, path::PathBuf, sync::Arc};

use cache::Repository;
pub use error::HubError;
pub use progress::{Progress, Silent};
pub use reference::{Kind, PREFIX, Reference};
pub use settings::Settings;

/// The cache, and the way to what it lacks.
#[derive(Clone)]
pub struct Hub {
    settings: Settings,
    progress: Arc<dyn Progress>,
}

impl Default for Hub {
    /// Knows no cache and asks nobody.
    fn default() -> Self {
        Self::new(Settings::default())
    }
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Hub {
    pub fn new(settings: Settings) -> Self {
        Self { settings, progress: Arc::new(Silent) }
    }

    /// Tells `progress` of downloads.
    pub fn watched_by(self, progress: Arc<dyn Progress>) -> Self {
        Self { progress, ..self }
    }

    /// The directory of the model that `reference` names, complete: configuration, tokenizer, and every shard.
    ///
    /// # Errors
    /// What [`HubError`] lists. No partial directory is ever given.
    pub fn model(&self, reference: &Reference) -> Result<PathBuf, HubError> {
        if reference.kind != Kind::Model || reference.file.is_some() {
            return Err(HubError::NotAModel { name: reference.to_string() });
        }
        let repository = self.repository(reference)?;
        let cached = repository.commit(reference.revision()).map(|commit| repository.snapshot(&commit));
        if let Some(snapshot) = cached.as_ref().filter(|s| s.lacks_no_model_file()) {
            return Ok(snapshot.folder.clone());
        }
        match self.fetch(&repository, reference) {
            // A model that another tool cached without its tokenizer is better than none.
            Err(HubError::Offline { .. } | HubError::Unreachable { .. } | HubError::CannotDownload { .. })
                if cached.as_ref().is_some_and(|s| s.has_weights()) =>
            {
                Ok(cached.expect("it was just there").folder)
            }
            fetched => fetched,
        }
    }

    /// The directory of the sentence encoder that `reference` names, complete: what [`Hub::model`] brings, and its modules.
    ///
    /// # Errors
    /// What [`HubError`] lists.
    pub fn encoder(&self, reference: &Reference) -> Result<PathBuf, HubError> {
        if reference.kind != Kind::Model || reference.file.is_some() {
            return Err(HubError::NotAModel { name: reference.to_string() });
        }
        let repository = self.repository(reference)?;
        let cached = repository.commit(reference.revision()).map(|commit| repository.snapshot(&commit));
        match cached.filter(|snapshot| snapshot.lacks_no_encoder_file()) {
            Some(snapshot) => Ok(snapshot.folder),
            None => self.fetch(&repository, reference),
        }
    }

    /// The data file that `reference` names.
    ///
    /// # Errors
    /// What [`HubError`] lists.
    pub fn file(&self, reference: &Reference) -> Result<PathBuf, HubError> {
        let Some(file) = &reference.file else { return Err(HubError::NotAFile { name: reference.to_string() }) };
        let repository = self.repository(reference)?;
        let cached =
            repository.commit(reference.revision()).map(|commit| repository.snapshot(&commit).folder.join(file));
        match cached.filter(|path| path.is_file()) {
            Some(path) => Ok(path),
            None => self.fetch(&repository, reference),
        }
    }

    fn repository(&self, reference: &Reference) -> Result<Repository, HubError> {
        let cache = self.settings.cache.as_deref().ok_or_else(|| HubError::NoCache { name: reference.to_string() })?;
        Ok(Repository::new(cache, reference))
    }

    fn fetch(&self, repository: &Repository, reference: &Reference) -> Result<PathBuf, HubError> {
        let name = reference.to_string();
        if self.settings.offline {
            return Err(HubError::Offline { name, folder: repository.folder.clone() });
        }
        #[cfg(feature = "download")]
        return download::Download::new(&self.settings, self.progress.as_ref(), repository, reference)?.run();
        #[cfg(not(feature = "download"))]
        return Err(HubError::CannotDownload { name, folder: repository.folder.clone() });
    }
}
