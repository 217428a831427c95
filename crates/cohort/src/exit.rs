//! How a command fails: its words, and its exit status.

use std::{fmt::Display, process::ExitCode};

use cohort_train::Error;

/// A failure on its way out of the process.
pub struct Failure {
    message: String,
    status: u8,
}

impl Failure {
    /// A usage error.
    pub fn usage(message: impl Display) -> Self {
        Self { message: message.to_string(), status: 2 }
    }

    /// Data or a model that cannot be used.
    pub fn data(message: impl Display) -> Self {
        Self { message: message.to_string(), status: 3 }
    }

    /// Anything else.
    pub fn other(message: impl Display) -> Self {
        Self { message: message.to_string(), status: 1 }
    }

    /// No recipe was made.
    pub fn from_init(error: cohort::init::InitError) -> Self {
        Self { message: error.to_string(), status: error.exit_status() }
    }

    /// A claim that was not tested.
    pub fn from_zoo(error: cohort::zoo::ZooError) -> Self {
        Self { message: error.to_string(), status: error.exit_status() }
    }

    /// Says what happened on stderr, and gives the status.
    pub fn report(&self) -> ExitCode {
        eprintln!("cohort: {}", self.message);
        ExitCode::from(self.status)
    }
}

impl<E: Into<Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        let error = error.into();
        Self { message: error.to_string(), status: error.exit_status() }
    }
}
