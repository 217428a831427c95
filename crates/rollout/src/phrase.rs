//! Texts of a recipe that a strategy puts before the policy, as ids.

use cohort_core::GroupKey;

/// A text in ids: one for all prompts, or filled in from each prompt's row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Phrase {
    Same(Vec<u32>),
    /// By the prompt's number in its split.
    Each(Vec<Vec<u32>>),
}

impl Phrase {
    /// Its ids for a prompt; none for a prompt that it was not filled in for.
    pub fn of(&self, key: GroupKey) -> &[u32] {
        match self {
            Phrase::Same(ids) => ids,
            Phrase::Each(all) => all.get(key.0 as usize).map_or(&[], Vec::as_slice),
        }
    }
}

/// Makes phrases of the recipe's templates: what knows the rows and the tokenizer.
pub trait Fill {
    type Error;

    /// The phrase of template `source`, which stands in the recipe under `key`. `room` is the number of tokens that must have
    /// their place behind it.
    ///
    /// # Errors
    /// A column that a row lacks, a text without ids, a prompt that has no room for it.
    fn fill(&self, key: &'static str, source: &str, room: usize) -> Result<Phrase, Self::Error>;
}
