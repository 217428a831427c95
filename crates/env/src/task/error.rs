//! What can be wrong with a task: its keys, its files, its rows.

use std::{io, path::PathBuf};

use super::{Origin, SkippedRows};
use crate::{codec::CodecError, locate::LocateError};

/// Who has to change something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The recipe: a usage error.
    Recipe,
    /// The data.
    Data,
}

/// How a data file holds its rows, where it is not JSON lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Parquet,
}

impl Format {
    /// The cargo feature that reads it.
    fn feature(self) -> &'static str {
        match self {
            Format::Parquet => "parquet",
        }
    }
}

impl std::fmt::Display for Format {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Format::Parquet => "Parquet",
        })
    }
}

/// A task that cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum TaskError {
    #[error(transparent)]
    Locate(#[from] LocateError),
    #[error("`{key}` is {path}, which cannot be read: {source}")]
    Unreadable { key: &'static str, path: PathBuf, source: io::Error },
    #[error("`{key}` is {path}, which is a directory: name a file with one JSON object a line")]
    Directory { key: &'static str, path: PathBuf },
    #[error("`{key}` is {path}, which is no {format} file: its first bytes are others")]
    NotTheFormat { key: &'static str, path: PathBuf, format: Format },
    #[error(
        "`{key}` is {path}, a {format} file, which this build does not read: build with `cargo build --release --features {}`, or make \
         JSON lines of it", format.feature()
    )]
    FormatNotBuilt { key: &'static str, path: PathBuf, format: Format },
    #[error("{origin}: {fault}")]
    Row { origin: Origin, fault: RowFault },
    #[error("{path} (`{key}`) has no usable row, and at least one is needed: {skipped}")]
    NothingLeft { key: &'static str, path: PathBuf, skipped: SkippedRows },
    #[error("`{first}` and `{second}` are both set: {why}")]
    Contradiction { first: &'static str, second: &'static str, why: &'static str },
    #[error("`{keys}` set aside {set_aside} of {rows} rows: at least one must be left to train on")]
    NothingToTrainOn { keys: &'static str, set_aside: usize, rows: usize },
    #[error("`{key}` {problem}, and is {got}: {hint}")]
    Refused { key: String, problem: String, got: String, hint: String },
    #[error("`{key}` is not a template{}: {reason}", line.map(|l| format!(" (its line {l})")).unwrap_or_default())]
    Template { key: &'static str, line: Option<usize>, reason: String },
    #[error(
        "the prompts are chat messages, and the model has no chat template: use a model that has one, give one \
         (`data.chat.template.path`), or make the prompt by a template of the recipe (`data.prompt`)"
    )]
    NoChatTemplate,
    #[error("`data.chat.template.named` is {name:?}, and the model has no such chat template; it has: {has}")]
    NoSuchChatTemplate { name: String, has: String },
}

impl TaskError {
    /// Who has to change something.
    pub fn fault(&self) -> Fault {
        match self {
            TaskError::Locate(_)
            | TaskError::Contradiction { .. }
            | TaskError::Template { .. }
            | TaskError::NoSuchChatTemplate { .. }
            | TaskError::Refused { .. }
            | TaskError::NothingToTrainOn { .. } => Fault::Recipe,
            TaskError::Unreadable { .. }
            | TaskError::Directory { .. }
            | TaskError::NotTheFormat { .. }
            | TaskError::FormatNotBuilt { .. }
            | TaskError::Row { .. }
            | TaskError::NothingLeft { .. }
            | TaskError::NoChatTemplate => Fault::Data,
        }
    }
}

/// Why a row makes no item. `key` is the recipe key that reads the row.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RowFault {
    #[error("the line is not UTF-8 from its byte {byte} on: one JSON object in UTF-8 is expected")]
    NotUtf8 { byte: usize },
    #[error("the line is not JSON: {reason} at column {column}; one JSON object a line is expected")]
    NotJson { column: usize, reason: String },
    #[error("the line is {found}, and must be a JSON object")]
    NotAnObject { found: &'static str },
    #[error("the field `{field}` is infinite, which no JSON number is")]
    NotFinite { field: String },
    #[error("the row lacks {}, which `{key}` reads; it has {}", names(fields), names(has))]
    MissingField { key: &'static str, fields: Vec<String>, has: Vec<String> },
    #[error("the field `{field}`, which `{key}` reads, is {found}, and must be {expected}")]
    WrongType { key: &'static str, field: String, expected: &'static str, found: &'static str },
    #[error("`{key}` gives an empty text")]
    Empty { key: &'static str },
    #[error("the prompt has {tokens} tokens, and {limit} at most are allowed ({by})")]
    PromptTooLong { tokens: usize, limit: usize, by: PromptLimit },
    #[error("the prompt and its worked solution have {tokens} tokens, and the model has {limit} positions")]
    SolutionTooLong { tokens: usize, limit: usize },
    #[error(
        "the prompt, `{key}` behind it and what is drawn then take {tokens} tokens, and the model has {limit} positions"
    )]
    PhraseTooLong { key: &'static str, tokens: usize, limit: usize },
    #[error("`{key}` cannot be rendered: {reason}")]
    Unrenderable { key: &'static str, reason: String },
    #[error("`{key}` has no usable messages: {reason}")]
    BadMessages { key: &'static str, reason: String },
    #[error("`{key}` gives a text that has no ids: {source}")]
    Unencodable { key: &'static str, source: CodecError },
}

/// What limits a prompt's length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PromptLimit {
    /// The model's positions, less the room for a completion.
    Model,
    /// `data.max_prompt_tokens`.
    Recipe,
}

impl std::fmt::Display for PromptLimit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            PromptLimit::Model => "the model's positions less `rollout.max_new_tokens`",
            PromptLimit::Recipe => "`data.max_prompt_tokens`",
        })
    }
}

impl RowFault {
    /// The reason's name, under which skipped rows are counted.
    pub fn kind(&self) -> &'static str {
        match self {
            RowFault::NotUtf8 { .. } => "not_utf8",
            RowFault::NotJson { .. } => "not_json",
            RowFault::NotAnObject { .. } => "not_an_object",
            RowFault::NotFinite { .. } => "not_finite",
            RowFault::MissingField { .. } => "missing_field",
            RowFault::WrongType { .. } => "wrong_type",
            RowFault::Empty { .. } => "empty",
            RowFault::PromptTooLong { .. } => "prompt_too_long",
            RowFault::SolutionTooLong { .. } => "solution_too_long",
            RowFault::PhraseTooLong { .. } => "phrase_too_long",
            RowFault::Unrenderable { .. } => "unrenderable",
            RowFault::BadMessages { .. } => "bad_messages",
            RowFault::Unencodable { .. } => "unencodable",
        }
    }
}

fn names(fields: &[String]) -> String {
    if fields.is_empty() {
        return "no field".into();
    }
    fields.iter().map(|f| format!("`{f}`")).collect::<Vec<_>>().join(", ")
}

/// A JSON value's type, with its article.
pub(crate) fn type_of(value: &serde_json::Value) -> &'static str {
    use serde_json::Value;
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
