//! Stages, the training loop, optimizer, checkpoints, evaluation and the run directory.
//!
//! [`run::train`] takes a validated [`Recipe`] and a [`Setup`] (a policy and the world it meets) to a
//! [`Summary`]. Nothing here knows a method: the recipe's choices are pure functions of `cohort-core`,
//! a policy is anything that implements [`cohort_core::Policy`].

pub mod bench;
pub mod build;
mod chat_templates;
pub mod checkpoint;
mod error;
pub mod evaluate;
pub mod export;
mod memory;
pub mod merge;
mod phrases;
pub mod recipe;
pub mod run;
mod sampling;
pub mod stage;
mod update;

pub use error::Error;
pub use evaluate::preflight;
pub use memory::MemoryPlan;
pub use recipe::{Recipe, RecipeError};
pub use run::{Options, Seconds, Setup, Summary, cold_start, observe, run_dir, session, train};
use run::{ledger, lock, origin, timing};
pub use sampling::{account, bad_words::bad_words, latency, world};
use sampling::{outside, segments};
pub use update::{Division, MaskSource, Masks, Parallel, Workers, ema};
use update::{mask, optimizer, relay, worker};
