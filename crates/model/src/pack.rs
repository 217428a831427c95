//! Samples laid end to end: ragged, without padding.

use std::sync::Arc;

use cohort_core::{Choice, PolicyError, Sample};

/// The tokens of several samples one after the other, and where rows are taken.
///
/// The row of action `i` of a sample whose context has `n` ids is a function of the hidden state at its
/// position `n - 1 + i`; the last action's own token goes through nothing.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pack {
    /// Ids of contexts and actions, without each sample's last action.
    pub tokens: Arc<Vec<u32>>,
    /// Position of each token in its own sequence.
    pub positions: Arc<Vec<u32>>,
    /// Where sequences begin, and after the last one the end.
    pub starts: Arc<Vec<usize>>,
    /// The places, among all tokens, whose hidden state gives a row.
    pub scored: Arc<Vec<u32>>,
    /// The id that each row is of.
    pub ids: Arc<Vec<u32>>,
    /// Number of rows of each sample.
    pub counts: Vec<usize>,
}

/// What samples are checked against.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub vocabulary: usize,
    pub positions: usize,
}

impl Limits {
    pub(crate) fn check_ids(self, ids: &[u32]) -> Result<(), PolicyError> {
        match ids.iter().find(|&&id| id as usize >= self.vocabulary) {
            Some(&id) => Err(PolicyError::UnknownToken { id, vocabulary: self.vocabulary }),
            None => Ok(()),
        }
    }

    /// A context of at least one known id that leaves room for `new` more.
    pub(crate) fn check_context(self, context: &[u32], new: usize) -> Result<(), PolicyError> {
        if context.is_empty() {
            return Err(PolicyError::EmptyContext);
        }
        if context.len().saturating_add(new) > self.positions {
            return Err(PolicyError::TooLong { context: context.len(), new, limit: self.positions });
        }
        self.check_ids(context)
    }
}

/// The ids of a context that is nothing but ids.
pub(crate) fn context_ids(context: &cohort_core::Context) -> Result<&[u32], PolicyError> {
    context.as_tokens().ok_or_else(|| PolicyError::Unsupported { what: "context with a payload".to_owned() })
}

impl Pack {
    /// Packs samples under their scored contexts; a sample without actions takes no place.
    pub(crate) fn of(samples: &[&Sample], limits: Limits) -> Result<Self, PolicyError> {
        let (mut tokens, mut positions, mut starts) = (Vec::new(), Vec::new(), vec![0]);
        let (mut scored, mut ids, mut counts) = (Vec::new(), Vec::new(), Vec::with_capacity(samples.len()));
        for sample in samples {
            let context = context_ids(sample.scored_context())?;
            let actions = action_ids(sample)?;
            limits.check_context(context, actions.len())?;
            limits.check_ids(&actions)?;
            counts.push(actions.len());
            let Some((_, fed)) = actions.split_last() else { continue };
            let start = tokens.len();
            tokens.extend_from_slice(context);
            tokens.extend_from_slice(fed);
            positions.extend(0..(tokens.len() - start) as u32);
            starts.push(tokens.len());
            scored.extend((start + context.len() - 1..tokens.len()).map(|at| at as u32));
            ids.extend_from_slice(&actions);
        }
        Ok(Self {
            tokens: Arc::new(tokens),
            positions: Arc::new(positions),
            starts: Arc::new(starts),
            scored: Arc::new(scored),
            ids: Arc::new(ids),
            counts,
        })
    }

    /// Contexts alone, scored at their last position: what decoding starts from.
    pub(crate) fn of_contexts(contexts: &[&[u32]]) -> Self {
        let mut starts = vec![0];
        for context in contexts {
            starts.push(starts[starts.len() - 1] + context.len());
        }
        Self {
            tokens: Arc::new(contexts.concat()),
            positions: Arc::new(contexts.iter().flat_map(|context| 0..context.len() as u32).collect()),
            scored: Arc::new(starts[1..].iter().map(|&end| end as u32 - 1).collect()),
            ids: Arc::default(),
            counts: vec![1; contexts.len()],
            starts: Arc::new(starts),
        }
    }

    /// One more than the largest position.
    pub(crate) fn longest(&self) -> usize {
        self.starts.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or(0)
    }
}

fn action_ids(sample: &Sample) -> Result<Vec<u32>, PolicyError> {
    let unsupported = |what: &str| PolicyError::Unsupported { what: what.to_owned() };
    sample
        .actions
        .iter()
        .map(|action| match action.choice {
            Choice::Token(id) => Ok(id),
            Choice::Option(_) => Err(unsupported("choice of an option that is not a token")),
            Choice::Payload(_) => Err(unsupported("payload action")),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use cohort_core::Context;

    #[test]
    fn rows_are_taken_where_the_action_was_chosen() {
        let limits = Limits { vocabulary: 10, positions: 8 };
        let a = Sample::given(Context::of_tokens([1, 2, 3]), &[4, 5]);
        let none = Sample::given(Context::of_tokens([1]), &[]);
        let b = Sample::given(Context::of_tokens([6]), &[7]);
        let pack = Pack::of(&[&a, &none, &b], limits).expect("packs");
        assert_eq!(*pack.tokens, [1, 2, 3, 4, 6]);
        assert_eq!(*pack.positions, [0, 1, 2, 3, 0]);
        assert_eq!(*pack.starts, [0, 4, 5]);
        assert_eq!(*pack.scored, [2, 3, 4]);
        assert_eq!(*pack.ids, [4, 5, 7]);
        assert_eq!(pack.counts, [2, 0, 1]);
        assert_eq!(pack.longest(), 4);
    }

    #[test]
    fn what_cannot_be_scored_is_refused() {
        let limits = Limits { vocabulary: 10, positions: 4 };
        let pack = |context: &[u32], actions: &[u32]| {
            Pack::of(&[&Sample::given(Context::of_tokens(context), actions)], limits)
        };
        assert!(matches!(pack(&[], &[1]), Err(PolicyError::EmptyContext)));
        assert!(matches!(pack(&[1], &[10]), Err(PolicyError::UnknownToken { id: 10, vocabulary: 10 })));
        assert!(matches!(pack(&[11], &[1]), Err(PolicyError::UnknownToken { id: 11, .. })));
        assert!(matches!(pack(&[1, 2, 3], &[1, 2]), Err(PolicyError::TooLong { context: 3, new: 2, limit: 4 })));
    }
}
