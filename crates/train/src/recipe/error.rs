//! What can be wrong with a recipe.

use std::fmt;

/// Where a key was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A line (from 1) of a file.
    Line { file: String, line: usize },
    /// The command line.
    Set,
    /// Nowhere: the key is missing, or a default.
    Absent { file: String },
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Line { file, line } => write!(f, "{file}:{line}"),
            Place::Set => write!(f, "--set"),
            Place::Absent { file } => write!(f, "{file}"),
        }
    }
}

/// A recipe that cannot be run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecipeError {
    #[error(
        "cannot read the recipe {file}: {reason}\n  hint: RECIPE is a path to a .toml file, for example recipes/quickstart.toml"
    )]
    Unreadable { file: String, reason: String },
    #[error("{place}: {reason}")]
    Syntax { place: Place, reason: String },
    /// An unknown key or a wrong type; the reason says what is allowed.
    #[error("{place}: `{key}`: {reason}")]
    Key { place: Place, key: String, reason: String },
    #[error("{place}: `{key}` {problem}, got {got}\n  hint: {hint}")]
    Value { place: Place, key: String, problem: String, got: String, hint: String },
    #[error(
        "--set {given}: {reason}\n  hint: write --set KEY=VALUE with a dotted key, for example --set train.lr=1e-4"
    )]
    Set { given: String, reason: String },
}
