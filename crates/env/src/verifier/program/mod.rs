//! Terms that ask a program or a service of the user's own.

pub mod command;
pub mod http;
mod pool;
mod protocol;
mod together;
mod worker;

use serde::{Deserialize, Serialize};

pub(super) use protocol::excerpt;
pub(super) use together::together;

/// What one question to a program or a service is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// One completion: `completion` in, `score` out.
    #[default]
    Sample,
    /// All completions of a prompt: `completions` in, `scores` out, in the same order.
    Group,
}
