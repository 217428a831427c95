//! Which prompts come next.

mod shuffled;

pub use shuffled::shuffled;

use crate::registry::Entry;

/// The choices of this axis that a recipe can name.
pub const ENTRIES: &[&Entry] = &[];
