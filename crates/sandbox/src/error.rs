//! Why a program was not run.

use std::{io, path::PathBuf};

use crate::Layer;

/// A program that was not run, or whose run cannot be told. What the program did is a [`Report`](crate::Report), never an error.
#[derive(Debug, thiserror::Error)]
pub enum JailError {
    #[error("jails need Linux\n  hint: run there, or with sandbox = \"none\" where the programs can be trusted")]
    System,
    #[error(
        "this kernel does not give the layer `{layer}` ({reason})\n  hint: `cohort doctor` lists the layers; sandbox = \"none\" \
         runs generated programs without them, with your rights"
    )]
    Missing { layer: Layer, reason: String },
    #[error("the jail could not be built: {layer}: {what}: {source}")]
    Layer { layer: Layer, what: &'static str, source: io::Error },
    #[error("the program {path:?} could not be started in the jail: {source}")]
    Start { path: PathBuf, source: io::Error },
    #[error("{path:?} cannot be shown in the jail: {source}")]
    Readable { path: PathBuf, source: io::Error },
    #[error("{what} is {got:?}, and must be {expected}")]
    Usage { what: &'static str, got: String, expected: &'static str },
    #[error("{what}: {source}")]
    Io { what: &'static str, source: io::Error },
}
