//! Stages, the training loop, optimizer, checkpoints, evaluation and the run directory.
//!
//! [`run::train`] takes a validated [`Recipe`] and a [`Setup`] (a policy and the world it meets) to a
//! [`Summary`]. Nothing here knows a method: the recipe's choices are pure functions of `cohort-core`,
//! a policy is anything that implements [`cohort_core::Policy`].

pub mod build;
pub mod checkpoint;
pub mod cold_start;
mod error;
pub mod evaluate;
mod gradient_sum;
mod ledger;
pub mod observe;
mod optimizer;
pub mod preflight;
pub mod recipe;
pub mod run;
pub mod run_dir;
mod sampling;
pub mod session;
pub mod stage;
mod timing;
mod update;
mod worker;
pub mod world;

pub use error::Error;
pub use recipe::{Recipe, RecipeError};
pub use run::{Options, Setup, Summary, train};
pub use timing::Seconds;
pub use worker::Workers;
