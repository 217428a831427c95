//! Why a name of the Hub gives no file.

use std::{io, path::PathBuf};

/// What is wrong, where, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum HubError {
    #[error(
        "`{text}` is no name of the Hub: {reason}\n  hint: hf:org/name, hf:org/name@revision, or hf:datasets/org/name/path/to/file"
    )]
    BadReference { text: String, reason: &'static str },
    #[error("`{name}` is a data set, and a model is expected\n  hint: hf:org/name")]
    NotAModel { name: String },
    #[error("`{name}` names no file, and a data file is expected\n  hint: hf:datasets/org/name/path/to/file.parquet")]
    NotAFile { name: String },
    #[error("{name}: no variable says where the cache is\n  hint: set HF_HOME to a folder")]
    NoCache { name: String },
    #[error(
        "{name} is not, or not wholly, in {}, and HF_HUB_OFFLINE forbids to ask for it\n  hint: unset HF_HUB_OFFLINE, or give a plain \
         path", folder.display()
    )]
    Offline { name: String, folder: PathBuf },
    #[error(
        "{name} is not, or not wholly, in {}, and this build downloads nothing\n  hint: build with --features hub, or fetch it with another \
         tool, such as `hf download`", folder.display()
    )]
    CannotDownload { name: String, folder: PathBuf },
    #[error(
        "{name}: {endpoint} has no such repository{}\n  hint: look at the spelling; a private one wants a token (HF_TOKEN, or `hf auth login`)",
        if *with_token { " that your token may see" } else { "" }
    )]
    NoRepository { name: String, endpoint: String, with_token: bool },
    #[error("{name}: the repository has no revision `{revision}`\n  hint: a branch, a tag or a whole commit")]
    NoRevision { name: String, revision: String },
    #[error("{name}: the repository has no file `{file}`{}", hint(has))]
    NoFile { name: String, file: String, has: Vec<String> },
    #[error("{name}: the repository has no weights in safetensors{}", hint(has))]
    NoWeights { name: String, has: Vec<String> },
    #[error(
        "{name}: {endpoint} asks for a token (status 401)\n  hint: set HF_TOKEN, or log in with `hf auth login`; a token may be outdated"
    )]
    Unauthorised { name: String, endpoint: String },
    #[error("{name}: access is refused (status 403{})\n  hint: accept the repository's terms on its page, and use a token that may read it", said.as_ref().map(|s| format!(": {s}")).unwrap_or_default())]
    Forbidden { name: String, said: Option<String> },
    #[error("{name}: {url} answered with status {status}\n  hint: try again later, or give a plain path")]
    Status { name: String, url: String, status: u16 },
    #[error(
        "{name}: {endpoint} cannot be reached: {reason}\n  hint: a model that is cached or on disk needs no network; HF_ENDPOINT names another server"
    )]
    Unreachable { name: String, endpoint: String, reason: String },
    #[error("{name}: `{file}` ended after {got} bytes{}: {reason}\n  hint: run it again: it goes on from there", of(*expected))]
    CutShort { name: String, file: String, got: u64, expected: Option<u64>, reason: String },
    #[error(
        "{name}: `{file}` is not what its checksum says (expected {expected}, got {got})\n  hint: it was removed; run it again"
    )]
    Corrupt { name: String, file: String, expected: String, got: String },
    #[error("{name}: {endpoint} does not answer as the Hub does: {reason}\n  hint: look at HF_ENDPOINT")]
    NotTheHub { name: String, endpoint: String, reason: String },
    #[error("{name}: {}: {source}", path.display())]
    Io { name: String, path: PathBuf, source: io::Error },
}

impl HubError {
    /// Whether the name is wrong as it is written: a fault of the recipe.
    pub fn is_of_the_name(&self) -> bool {
        matches!(self, HubError::BadReference { .. } | HubError::NotAModel { .. } | HubError::NotAFile { .. })
    }
}

fn hint(has: &[String]) -> String {
    match has {
        [] => "\n  hint: it is empty".to_owned(),
        has => {
            let more = if has.len() > 8 { ", .." } else { "" };
            format!("\n  hint: it has {}{more}", has[..has.len().min(8)].join(", "))
        }
    }
}

fn of(expected: Option<u64>) -> String {
    expected.map(|e| format!(" of {e}")).unwrap_or_default()
}
