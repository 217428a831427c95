//! The phrases of rollout strategies: a recipe's templates over the rows of the train split, in the policy's ids.

use cohort_env::{Codec, Item, RowFault, TaskError, task::template::Template};
use cohort_rollout::{Fill, Phrase};

use crate::error::Error;

/// What fills phrases in.
pub(crate) struct Phrases<'a> {
    pub codec: &'a dyn Codec,
    /// The rows that may be asked.
    pub items: &'a [Item],
    /// The model's positions.
    pub positions: usize,
}

impl Phrases<'_> {
    fn ids(&self, key: &'static str, item: &Item, text: &str, room: usize) -> Result<Vec<u32>, Error> {
        let at = |fault| Error::from(TaskError::Row { origin: item.origin.clone(), fault });
        let ids = match text {
            "" => Vec::new(),
            text => self.codec.encode(text).map_err(|source| at(RowFault::Unencodable { key, source }))?,
        };
        let tokens = item.context.token_count() + ids.len() + room;
        if tokens > self.positions {
            return Err(at(RowFault::PhraseTooLong { key, tokens, limit: self.positions }));
        }
        Ok(ids)
    }
}

impl Fill for Phrases<'_> {
    type Error = Error;

    fn fill(&self, key: &'static str, source: &str, room: usize) -> Result<Phrase, Error> {
        let template = Template::new(key, source)?;
        let rendered = |item: &Item| {
            let text = template
                .render(&item.columns)
                .map_err(|fault| TaskError::Row { origin: item.origin.clone(), fault })?;
            self.ids(key, item, &text, room)
        };
        if !template.is_constant() {
            return Ok(Phrase::Each(self.items.iter().map(rendered).collect::<Result<_, _>>()?));
        }
        let longest = self.items.iter().max_by_key(|item| item.context.token_count());
        Ok(Phrase::Same(longest.map(rendered).transpose()?.unwrap_or_default()))
    }
}
