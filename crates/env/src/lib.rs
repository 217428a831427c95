//! Tasks and verifiers: prompts in, typed reward outcomes out.
//!
//! A [`Task`] is three splits of [`Item`]s: an encoded prompt, the columns of its row for
//! the rewards, and a worked solution where there is one. A [`Verifier`] turns what a policy
//! answered ([`View`]) into an [`Outcome`](cohort_core::Outcome), which is never silently 0.
//! The tokenizer comes from outside, as a [`Codec`]; so do the data folder and the chat
//! template: this crate reads no environment variable and knows no model.

pub mod codec;
pub mod locate;
pub mod task;
pub mod text_model;
pub mod verifier;

pub use codec::{Codec, CodecError};
pub use locate::locate;
pub use task::{
    Arithmetic, Ask, ChatSection, ChatTemplate, ChatTemplates, Conversation, Data, Date, Fault, Item, Limits, OnBadRow,
    Origin, RowFault, SkippedRows, Source, SpecialTokens, Split, Task, TaskError, TemplateChoice,
};
pub use verifier::{
    Asked, IntoOutcome, Means, Sandbox, Verdict, Verifier, VerifierConfig, VerifierError, View, from_fn, judge,
    judge_one, judge_timed,
};

#[cfg(test)]
mod testing;
