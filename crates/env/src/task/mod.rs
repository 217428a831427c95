//! What a policy is asked: items in three splits.
//!
//! Tasks here have one turn; an environment of several turns implements
//! [`cohort_core::Turns`] beside its task.

pub mod arithmetic;
pub mod chat;
pub mod chat_prompt;
pub mod dataset;
pub mod date;
pub mod encode;
pub mod error;
mod jinja;
pub mod jsonl;
mod methods;
#[cfg(feature = "parquet")]
mod parquet;
mod python;
pub mod rows;
pub mod skipped;
pub mod template;
mod value;

use std::{fmt, path::Path, sync::Arc};

use cohort_core::Context;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use self::{
    arithmetic::Arithmetic,
    chat::{Ask, ChatTemplate, ChatTemplates, Conversation, SpecialTokens},
    chat_prompt::{ChatSection, TemplateChoice},
    dataset::{Data, OnBadRow, Source},
    date::Date,
    encode::Limits,
    error::{Fault, RowFault, TaskError},
    skipped::{SkippedReason, SkippedRows},
};

/// Which items: to learn from, to choose by, or to judge with once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Split {
    Train,
    Dev,
    Test,
}

impl fmt::Display for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Split::Train => "train",
            Split::Dev => "dev",
            Split::Test => "test",
        })
    }
}

/// Where an item is from. Displayed as `FILE:LINE`, or as the generator and the item's number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// `line` counts from 1.
    File { path: Arc<Path>, line: usize },
    /// `index` counts from 0, in the order in which the generator makes items.
    Generated { generator: &'static str, index: usize },
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::File { path, line } => write!(f, "{}:{line}", path.display()),
            Origin::Generated { generator, index } => write!(f, "{generator} item {index}"),
        }
    }
}

/// One prompt with all that is known of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// The rendered prompt, for people and rewards. It is encoded once, and never again.
    pub prompt: String,
    /// The encoded prompt: what the policy sees.
    pub context: Context,
    /// Every column of the row, for rewards.
    pub columns: Map<String, Value>,
    /// The ids of a worked solution, where the task has one. They end with the codec's
    /// end-of-sequence id where it has one.
    pub solution: Option<Vec<u32>>,
    pub origin: Origin,
}

impl Item {
    /// A column's value as a word to compare by; `None` where the row has no such column.
    pub fn label(&self, column: &str) -> Option<String> {
        self.columns.get(column).map(|value| match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        })
    }
}

/// Items in three splits. An item's index in its split is its [`cohort_core::GroupKey`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Task {
    pub train: Vec<Item>,
    pub dev: Vec<Item>,
    pub test: Vec<Item>,
    /// Rows that were left out, by reason; empty unless the recipe asked to skip bad ones.
    pub skipped: SkippedRows,
}

impl Task {
    /// The items of a split; empty where the task has none.
    pub fn items(&self, split: Split) -> &[Item] {
        match split {
            Split::Train => &self.train,
            Split::Dev => &self.dev,
            Split::Test => &self.test,
        }
    }
}
