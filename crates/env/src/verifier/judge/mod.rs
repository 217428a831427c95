//! `judge`: a language model behind an OpenAI-compatible chat endpoint scores, by a template, a rubric or comparison.

mod cache;
mod chat;
mod config;
mod mode;
mod prompt;
mod reading;
mod scorer;

pub use config::{Cached, Judge, Price};
pub use mode::{Calls, Criterion, Mode, Pairwise, Rubric};
pub use reading::Reading;

#[cfg(all(test, feature = "http"))]
mod tests;
