//! The zoo at work: a claim's runs as processes, what is held against the rules before and after them, and what is written.
//!
//! The rules themselves are pure and stand in `cohort_zoo`.

mod case;
mod check;
mod documents;
mod error;
mod jobs;
mod journal;
mod outcome;
mod recipes;
mod round;
mod tune;
mod verify;

pub use case::Case;
pub use documents::{Written, stale, write_documents};
pub use error::ZooError;
pub use journal::{Listing, Results, list};
pub use recipes::{RecipeText, Shelf};
pub use round::Round;
pub use tune::tune;
pub use verify::{Options, Verified, verify};
