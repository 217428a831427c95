//! Values against what they may be; what is wrong is said of its key.

use std::fmt::Display;

use crate::recipe::{RecipeError, Source};

/// Names what is wrong with a key.
pub(super) struct Check<'a> {
    pub source: &'a Source,
}

impl Check<'_> {
    pub(super) fn fail<T>(&self, key: &str, problem: &str, got: impl Display, hint: &str) -> Result<T, RecipeError> {
        Err(RecipeError::Value {
            place: self.source.place(key),
            key: key.to_owned(),
            problem: problem.to_owned(),
            got: got.to_string(),
            hint: hint.to_owned(),
        })
    }

    pub(super) fn at_least(&self, key: &str, got: usize, least: usize, hint: &str) -> Result<(), RecipeError> {
        if got < least { self.fail(key, &format!("must be at least {least}"), got, hint) } else { Ok(()) }
    }

    pub(super) fn finite_from(&self, key: &str, got: f64, least: f64) -> Result<(), RecipeError> {
        if got.is_finite() && got >= least {
            return Ok(());
        }
        self.fail(key, &format!("must be a finite number of at least {least}"), got, "give a number in that range")
    }

    pub(super) fn above_zero(&self, key: &str, got: f64) -> Result<(), RecipeError> {
        if got.is_finite() && got > 0.0 {
            return Ok(());
        }
        self.fail(key, "must be a finite number above 0", got, "give a number in that range")
    }

    pub(super) fn share(&self, key: &str, got: f64) -> Result<(), RecipeError> {
        if (0.0..=1.0).contains(&got) {
            return Ok(());
        }
        self.fail(key, "must be between 0 and 1", got, "give a share, for example 0.05")
    }
}
