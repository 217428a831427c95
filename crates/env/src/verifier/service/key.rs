//! A key that is never shown.

use std::fmt;

use crate::{Means, verifier::VerifierError};

#[derive(Clone, PartialEq, Eq)]
pub(super) struct Key(String);

impl Key {
    /// What the variable `name` holds.
    ///
    /// # Errors
    /// Nothing.
    pub fn of(name: &str, means: &Means) -> Result<Self, VerifierError> {
        let held = (means.variables)(name).map(|key| key.trim().to_owned()).filter(|key| !key.is_empty());
        held.map(Self).ok_or_else(|| VerifierError::Missing {
            what: format!("the environment variable {name} is not set"),
            hint: "`api_key_env` names the variable that holds the service's key: set it, or leave the parameter out"
                .to_owned(),
        })
    }

    #[cfg_attr(not(feature = "http"), allow(dead_code, reason = "nothing is asked"))]
    pub fn header(&self) -> String {
        format!("Bearer {}", self.0)
    }

    /// A text with the key taken out.
    pub fn hidden_in(&self, text: &str) -> String {
        text.replace(&self.0, "(key)")
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}
