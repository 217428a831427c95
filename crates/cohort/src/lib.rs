//! GRPO-family reinforcement-learning post-training.
//!
//! A [`Recipe`] makes one choice on each axis; [`Trainer`] runs it. Rewards can be closures and policies
//! your own:
//!
//! ```no_run
//! use cohort::{Trainer, View};
//!
//! let summary = Trainer::from_recipe("recipes/quickstart.toml")?
//!     .set("train.steps=5")?
//!     .reward("short", (0.0, 1.0), |view: &View<'_>| 1.0 / (1.0 + view.tokens.len() as f64))
//!     .run("runs/short")?;
//! println!("{:?}", summary.eval.after);
//! # Ok::<(), cohort::Error>(())
//! ```

pub mod calc;
pub mod compare;
pub mod doctor;
pub mod explain;
pub mod init;
pub mod inspect;
pub mod inspect_scores;
pub mod keys;
pub mod report;
mod trainer;
pub mod zoo;

pub use cohort_core as core;
pub use cohort_core::{Outcome, Policy, Sampler};
pub use cohort_env::{self as env, Item, Split, Task, Verifier, View, from_fn};
pub use cohort_model as model;
pub use cohort_train::{self as train, Error, Recipe, RecipeError, Setup, Summary};
pub use trainer::Trainer;
