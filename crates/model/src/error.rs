//! What can be wrong with a model directory, as data.
//!
//! The two halves matter to whoever started the program: a [`ConfigError`] says that the
//! directory is not a model that Cohort can run (wrong path, unsupported architecture, broken
//! tokenizer) and is found before any weight is opened; a [`WeightsError`] says that the
//! directory is fine but its weights are damaged or do not fit the configuration.

use std::path::PathBuf;

use crate::{device::DeviceError, selection::SelectionError};

/// Why a model could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Weights(#[from] WeightsError),
    #[error(transparent)]
    Selection(#[from] SelectionError),
    #[error(transparent)]
    Device(#[from] DeviceError),
}

/// The directory, its configuration or its tokenizer is missing, broken or unsupported.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("{path}: no such model directory; expected a folder with config.json and model.safetensors")]
    MissingDirectory { path: PathBuf },
    #[error("{path}: not a directory; name the folder that holds config.json, not a file in it")]
    NotADirectory { path: PathBuf },
    #[error("{path}: the model directory lacks this file, expected {expected}")]
    MissingFile { path: PathBuf, expected: &'static str },
    #[error("{path}: cannot be read: {source}")]
    Unreadable { path: PathBuf, source: std::io::Error },
    #[error("{path}: line {line}, column {column}: not valid JSON ({message}); copy the file anew")]
    Syntax { path: PathBuf, line: usize, column: usize, message: String },
    #[error("{path}: the field `{field}` is missing, expected {expected}")]
    MissingField { path: PathBuf, field: String, expected: String },
    #[error("{path}: `{field}` is {found}, expected {expected}")]
    Field { path: PathBuf, field: String, found: String, expected: String },
    #[error("{path}: `{field}` is {found}, which is not supported; supported: {supported}")]
    Unsupported { path: PathBuf, field: String, found: String, supported: String },
    #[error(
        "{path}: `base_model_name_or_path` is `{base}`, which is no directory; name the base's directory in \
         policy.model and this one in policy.adapter, or merge with `cohort merge --base DIR`"
    )]
    MissingBase { path: PathBuf, base: String },
    #[error("{path}: an adapter, not a model: it says itself what is trained; merge it first with `cohort merge`")]
    AdapterOnAdapter { path: PathBuf },
    #[error("{path}: not a tokenizer that can be loaded: {message}; expected the tokenizer.json of a fast tokenizer")]
    Tokenizer { path: PathBuf, message: String },
    #[error(
        "{path}: the tokenizer gives ids up to {largest}, the model's `vocab_size` is {vocabulary}; \
         the two files are of different models"
    )]
    TokenizerTooLarge { path: PathBuf, largest: u32, vocabulary: usize },
}

/// A weights file is truncated, broken, or holds other tensors than the configuration asks for.
#[derive(Debug, thiserror::Error)]
pub enum WeightsError {
    #[error("{file}: cannot be read: {source}")]
    Unreadable { file: PathBuf, source: std::io::Error },
    #[error("{file}: not a whole safetensors file ({reason}); it is truncated or damaged, copy it anew")]
    Broken { file: PathBuf, reason: String },
    #[error("{file}: not a shard index ({reason}); expected {{\"weight_map\": {{tensor: file}}}}")]
    BrokenIndex { file: PathBuf, reason: String },
    #[error("{index}: names the shard {shard}, which is not in the directory; copy the missing shard")]
    MissingShard { index: PathBuf, shard: String },
    #[error("{file}: the tensor `{tensor}` is missing, expected with shape {expected:?} by config.json")]
    MissingTensor { file: PathBuf, tensor: String, expected: Vec<usize> },
    #[error("{file}: the tensor `{tensor}` has shape {found:?}, config.json asks for {expected:?}")]
    Shape { file: PathBuf, tensor: String, expected: Vec<usize>, found: Vec<usize> },
    #[error("{file}: the tensor `{tensor}` has dtype {found}; supported: F32, BF16, F16")]
    Dtype { file: PathBuf, tensor: String, found: String },
    #[error("{file}: the tensor `{tensor}` has no place in the model that config.json describes")]
    UnexpectedTensor { file: PathBuf, tensor: String },
    #[error("{file}: the tensor `{tensor}` holds {value} at flat index {index}; weights must be finite")]
    NotFinite { file: PathBuf, tensor: String, index: usize, value: f32 },
}
