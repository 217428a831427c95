//! From a text to the ids of an item, within what the model can hold.

use cohort_core::Context;

use super::error::{PromptLimit, RowFault};
use crate::codec::Codec;

/// What the model can hold, in tokens. Given by whoever knows the model and the sampler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The longest prompt: the model's positions less `max_new_tokens`.
    pub prompt: usize,
    /// The longest prompt with a worked solution: the model's positions.
    pub total: usize,
}

impl Limits {
    /// No limit at all.
    pub const NONE: Limits = Limits { prompt: usize::MAX, total: usize::MAX };
}

/// Encodes prompts and solutions.
pub struct Encoder<'a> {
    pub codec: &'a dyn Codec,
    pub limits: Limits,
    /// The recipe's own limit on prompts.
    pub max_prompt_tokens: Option<usize>,
}

impl Encoder<'_> {
    /// The context of a prompt that `key` gave.
    ///
    /// # Errors
    /// A text that is empty, has no ids, or is too long.
    pub fn prompt(&self, key: &'static str, text: &str) -> Result<Context, RowFault> {
        let ids = self.ids(key, text)?;
        let (limit, by) = match self.max_prompt_tokens {
            Some(own) if own < self.limits.prompt => (own, PromptLimit::Recipe),
            _ => (self.limits.prompt, PromptLimit::Model),
        };
        if ids.len() > limit {
            return Err(RowFault::PromptTooLong { tokens: ids.len(), limit, by });
        }
        Ok(Context::of_tokens(ids))
    }

    /// The ids of a worked solution after a prompt, with the end of the sequence.
    ///
    /// # Errors
    /// As those of [`Encoder::prompt`].
    pub fn solution(&self, key: &'static str, text: &str, prompt: &Context) -> Result<Vec<u32>, RowFault> {
        let mut ids = self.ids(key, text)?;
        ids.extend(self.codec.end_of_sequence());
        let tokens = prompt.token_count() + ids.len();
        if tokens > self.limits.total {
            return Err(RowFault::SolutionTooLong { tokens, limit: self.limits.total });
        }
        Ok(ids)
    }

    fn ids(&self, key: &'static str, text: &str) -> Result<Vec<u32>, RowFault> {
        if text.trim().is_empty() {
            return Err(RowFault::Empty { key });
        }
        let ids = self.codec.encode(text).map_err(|source| RowFault::Unencodable { key, source })?;
        if ids.is_empty() { Err(RowFault::Empty { key }) } else { Ok(ids) }
    }
}
