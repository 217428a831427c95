//! What verifiers may use that no recipe names: folders and the environment's variables, given by the caller.

use std::{fmt, path::PathBuf, sync::Arc};

/// Looks a variable of the environment up.
pub type Variables = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// The surroundings of a verifier. This crate reads no environment variable itself.
#[derive(Clone)]
pub struct Means {
    /// What `data:NAME` is below.
    pub data: Option<PathBuf>,
    /// Where verdicts and built databases may be kept between runs; nothing is kept without one.
    pub cache: Option<PathBuf>,
    /// The directory of the run, where there is one.
    pub run_dir: Option<PathBuf>,
    /// Keys of services are read through it, by the names that a recipe gives.
    pub variables: Variables,
}

impl Default for Means {
    /// No folders, no variables.
    fn default() -> Self {
        Self { data: None, cache: None, run_dir: None, variables: Arc::new(|_| None) }
    }
}

impl fmt::Debug for Means {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { data, cache, run_dir, variables: _ } = self;
        f.debug_struct("Means")
            .field("data", data)
            .field("cache", cache)
            .field("run_dir", run_dir)
            .finish_non_exhaustive()
    }
}
