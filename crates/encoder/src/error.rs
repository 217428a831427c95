//! What can be wrong with an encoder's directory, as data.

use std::path::PathBuf;

/// A directory that cannot be used as a sentence encoder.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncoderError {
    #[error("{path}: no such directory; expected a folder with config.json, tokenizer.json and model.safetensors")]
    MissingDirectory { path: PathBuf },
    #[error("{path}: the encoder's directory lacks this file, expected {expected}")]
    MissingFile { path: PathBuf, expected: &'static str },
    #[error("{path}: cannot be read: {reason}")]
    Unreadable { path: PathBuf, reason: String },
    #[error("{path}: not valid JSON ({reason}); copy the file anew")]
    Syntax { path: PathBuf, reason: String },
    #[error("{path}: `{field}` is {found}, expected {expected}")]
    Field { path: PathBuf, field: String, found: String, expected: String },
    #[error("{path}: `{field}` is {found}, which is not supported; supported: {supported}")]
    Unsupported { path: PathBuf, field: String, found: String, supported: String },
    #[error("{path}: not a tokenizer that can be used: {reason}; expected the tokenizer.json of a fast tokenizer")]
    Tokenizer { path: PathBuf, reason: String },
    #[error("{path}: {reason}")]
    Weights { path: PathBuf, reason: String },
}

impl EncoderError {
    /// Whether the directory is an encoder's, and its weights are damaged or do not fit.
    pub fn is_of_weights(&self) -> bool {
        matches!(self, EncoderError::Weights { .. })
    }
}

/// A text that the tokenizer has no ids for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the tokenizer has no ids for the text {text:?} (its beginning): {reason}")]
pub struct EncodeError {
    pub text: String,
    pub reason: String,
}
