//! What can go wrong with a claim and its runs.

use std::{io, path::PathBuf};

use cohort_train::RecipeError;
use cohort_zoo::arms::ArmsError;

#[derive(Debug, thiserror::Error)]
pub enum ZooError {
    #[error(
        "no recipe named `{name}` in the zoo\n  hint: `cohort zoo list` names all; those that have run are recipes/zoo/NAME.toml"
    )]
    NoRecipe { name: String },
    #[error("{file}: no base recipe named `{name}` (recipes/base/{name}.toml)\n  hint: claim.base is one of: {known}")]
    NoBase { file: String, name: String, known: String },
    #[error(transparent)]
    Recipe(#[from] RecipeError),
    #[error("{file}: {source}")]
    Arms { file: String, source: ArmsError },
    #[error("{file}: {problem}\n  hint: {hint}")]
    Refused { file: String, problem: String, hint: String },
    /// The task or the policy of an arm cannot be made.
    #[error(transparent)]
    Setup(#[from] Box<cohort_train::Error>),
    #[error("the run `{run}` ended with {status}:\n{tail}\n  hint: its whole log is {}", log.display())]
    Run { run: String, status: String, code: u8, tail: String, log: PathBuf },
    #[error("the numbers of {name} cannot be judged: {problem}")]
    Numbers { name: String, problem: String },
    #[error("another process holds {}\n  hint: the same system is verified or tuned there; wait for it or end it", path.display())]
    Busy { path: PathBuf },
    #[error("interrupted: finished runs are kept, and the same command goes on")]
    Interrupted,
    #[error("{}: line {line}: {problem}\n  hint: lines are appended by `cohort zoo verify`, and never changed", path.display())]
    Line { path: PathBuf, line: usize, problem: String },
    #[error("there is no folder for runs\n  hint: set COHORT_CACHE, or HOME")]
    NoCache,
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
}

impl ZooError {
    pub(super) fn io(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { path, source }
    }

    /// The status that the process ends with.
    pub fn exit_status(&self) -> u8 {
        match self {
            Self::NoRecipe { .. }
            | Self::NoBase { .. }
            | Self::Recipe(_)
            | Self::Arms { .. }
            | Self::Busy { .. }
            | Self::Refused { .. } => 2,
            Self::Setup(error) => error.exit_status(),
            Self::Run { code, .. } => *code,
            Self::Interrupted => 130,
            Self::Line { .. } => 3,
            Self::Numbers { .. } | Self::NoCache | Self::Io { .. } => 1,
        }
    }
}
