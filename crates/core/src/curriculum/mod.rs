//! Which prompts come next.

mod shuffled;

pub use shuffled::shuffled;
