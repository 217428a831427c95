//! Rows of the residual stream that are given and not looked up: what soft tokens are fed as.

use std::{borrow::Cow, collections::HashMap, sync::Arc};

use cohort_core::Mixture;

/// The rows of a call that a soft token's embedding takes the place of. It was drawn and stored: no derivative goes through it to the
/// table.
#[derive(Clone, Debug, Default)]
pub(crate) struct Given(Arc<Vec<(u32, Arc<Mixture>)>>);

impl Given {
    /// Takes rows in rising order; those that are fed as their id are looked up like any other.
    pub(crate) fn new(rows: impl IntoIterator<Item = (u32, Arc<Mixture>)>) -> Self {
        Self(Arc::new(rows.into_iter().filter(|(_, mixture)| mixture.embedding().is_some()).collect()))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Rows and what stands there, `[width]` each.
    pub(crate) fn rows(&self) -> impl Iterator<Item = (usize, &[f32])> {
        self.0.iter().filter_map(|(row, mixture)| Some((*row as usize, mixture.embedding()?)))
    }

    /// The same rows elsewhere: row `i` is at `places[i]`.
    pub(crate) fn at(&self, places: &[usize]) -> Self {
        let mut rows: Vec<_> =
            self.0.iter().map(|(row, mixture)| (places[*row as usize] as u32, Arc::clone(mixture))).collect();
        rows.sort_by_key(|(row, _)| *row);
        Self(Arc::new(rows))
    }

    /// Puts them into looked-up rows `[.., width]`.
    pub(crate) fn replace(&self, x: &mut [f32], width: usize) {
        for (row, embedding) in self.rows() {
            x[row * width..][..width].copy_from_slice(embedding);
        }
    }

    /// Of tokens and derivatives `[tokens, width]` those that were looked up.
    pub(crate) fn looked_up<'a>(
        &self,
        tokens: &'a [u32],
        d: &'a [f32],
        width: usize,
    ) -> (Cow<'a, [u32]>, Cow<'a, [f32]>) {
        if self.is_empty() {
            return (Cow::Borrowed(tokens), Cow::Borrowed(d));
        }
        let mut is_given = vec![false; tokens.len()];
        self.rows().for_each(|(row, _)| is_given[row] = true);
        let looked_up = || is_given.iter().enumerate().filter(|(_, is_given)| !**is_given).map(|(row, _)| row);
        let tokens = looked_up().map(|row| tokens[row]).collect();
        let d = looked_up().flat_map(|row| &d[row * width..][..width]).copied().collect();
        (Cow::Owned(tokens), Cow::Owned(d))
    }
}

/// The first symbol that is no id.
const FIRST: u32 = 1 << 31;

/// What a prefix tree compares in place of ids: two soft tokens are the same only where they are one draw, whatever ids they
/// are recorded as.
#[derive(Debug, Default)]
pub(crate) struct Symbols {
    mixtures: Vec<Arc<Mixture>>,
    /// By the address, which [`mixtures`](Self::mixtures) holds.
    known: HashMap<usize, u32>,
}

impl Symbols {
    /// The symbol of an action.
    pub(crate) fn of(&mut self, id: u32, mixture: Option<&Arc<Mixture>>) -> u32 {
        let Some(mixture) = mixture.filter(|mixture| mixture.embedding().is_some()) else { return id };
        *self.known.entry(Arc::as_ptr(mixture).addr()).or_insert_with(|| {
            self.mixtures.push(Arc::clone(mixture));
            FIRST + (self.mixtures.len() - 1) as u32
        })
    }

    /// The ids that symbols are recorded as, and the rows that are given.
    pub(crate) fn resolve(&self, symbols: &Arc<Vec<u32>>) -> (Arc<Vec<u32>>, Given) {
        if self.mixtures.is_empty() {
            return (Arc::clone(symbols), Given::default());
        }
        let mixture = |symbol: u32| symbol.checked_sub(FIRST).and_then(|index| self.mixtures.get(index as usize));
        let ids = symbols.iter().map(|&symbol| mixture(symbol).map_or(symbol, |mixture| mixture.id())).collect();
        let given = (0..).zip(symbols.iter()).filter_map(|(row, &symbol)| Some((row, Arc::clone(mixture(symbol)?))));
        (Arc::new(ids), Given::new(given))
    }
}
