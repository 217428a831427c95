//! What is to be run.

use std::{
    ffi::{OsStr, OsString},
    path::PathBuf,
};

/// A program with its arguments, its input, and the files in its private folder, which is its working directory.
#[derive(Clone, Debug)]
pub struct Program {
    pub(crate) path: PathBuf,
    pub(crate) arguments: Vec<OsString>,
    pub(crate) environment: Vec<(String, String)>,
    pub(crate) stdin: Vec<u8>,
    pub(crate) files: Vec<(String, Vec<u8>)>,
    pub(crate) verdict: Verdict,
}

/// Whether the program gets a descriptor for a verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    None,
    Descriptor,
}

impl Program {
    /// The descriptor of [`Program::with_verdict`].
    pub const VERDICT: i32 = 3;

    /// A program by its absolute path.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            arguments: Vec::new(),
            environment: Vec::new(),
            stdin: Vec::new(),
            files: Vec::new(),
            verdict: Verdict::None,
        }
    }

    #[must_use]
    pub fn argument(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.arguments.push(argument.as_ref().to_owned());
        self
    }

    #[must_use]
    pub fn arguments(self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        arguments.into_iter().fold(self, Program::argument)
    }

    /// A variable of the environment, which is empty but for these.
    #[must_use]
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// What it reads on stdin: a file, at its beginning, that it cannot change.
    #[must_use]
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = bytes.into();
        self
    }

    /// A file in its working directory; `name` has no `/`.
    #[must_use]
    pub fn file(mut self, name: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        self.files.push((name.into(), bytes.into()));
        self
    }

    /// Opens [`Program::VERDICT`] for writing; what is written there comes back as
    /// [`Report::verdict`](crate::Report::verdict).
    #[must_use]
    pub fn with_verdict(mut self) -> Self {
        self.verdict = Verdict::Descriptor;
        self
    }
}
