//! From the verdicts of several terms to one number an episode.

mod kl_penalty;
mod weighted_sum;

pub use kl_penalty::kl_penalty;
pub use weighted_sum::weighted_sum;
