//! Samples laid end to end: ragged, without padding.

use std::sync::Arc;

use cohort_core::{Choice, PolicyError, Sample};
use cohort_kernels::Sequences;
use serde::{Deserialize, Serialize};

/// How often the context of samples that share one is run. A speed: rows have the same bits either way, and gradients differ
/// in the order of their sums.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Prompts {
    /// Once for samples that follow each other, forward and back.
    #[default]
    Shared,
    /// Once a sample.
    Repeated,
}

/// The tokens of several samples one after the other, and where rows are taken.
///
/// The row of action `i` of a sample whose context has `n` ids is a function of the hidden state at its
/// position `n - 1 + i`; the last action's own token goes through nothing. A context that several samples share stands
/// there once, as a sequence that theirs go on from, and its last position gives the first row of each.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pack {
    /// Ids of contexts and actions, without each sample's last action.
    pub tokens: Arc<Vec<u32>>,
    /// Position of each token in its own sequence.
    pub positions: Arc<Vec<u32>>,
    /// Where sequences begin, and after the last one the end.
    pub starts: Arc<Vec<usize>>,
    /// The sequence that each goes on from, where it does.
    pub after: Arc<Vec<Option<usize>>>,
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
    pub(crate) fn of(samples: &[&Sample], limits: Limits, prompts: Prompts) -> Result<Self, PolicyError> {
        let mut pack = Packing::default();
        let mut counts = Vec::with_capacity(samples.len());
        let mut acting: Vec<(&[u32], Vec<u32>)> = Vec::with_capacity(samples.len());
        for sample in samples {
            let context = context_ids(sample.scored_context())?;
            let actions = action_ids(sample)?;
            limits.check_context(context, actions.len())?;
            limits.check_ids(&actions)?;
            counts.push(actions.len());
            if !actions.is_empty() {
                acting.push((context, actions));
            }
        }
        for run in acting.chunk_by(|(a, _), (b, _)| prompts == Prompts::Shared && a == b) {
            match run {
                [(context, actions)] => pack.alone(context, actions),
                _ => pack.shared(run[0].0, run.iter().map(|(_, actions)| actions.as_slice())),
            }
        }
        Ok(Self { counts, ..pack.done() })
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
            after: Arc::default(),
            counts: vec![1; contexts.len()],
            starts: Arc::new(starts),
        }
    }

    /// One more than the largest position.
    pub(crate) fn longest(&self) -> usize {
        self.positions.iter().max().map_or(0, |&last| last as usize + 1)
    }

    pub(crate) fn sequences(&self) -> Sequences<'_> {
        Sequences::new(&self.starts, &self.after)
    }
}

/// A pack as it grows.
#[derive(Default)]
struct Packing {
    tokens: Vec<u32>,
    positions: Vec<u32>,
    /// Ends of the sequences.
    ends: Vec<usize>,
    after: Vec<Option<usize>>,
    scored: Vec<u32>,
    ids: Vec<u32>,
}

impl Packing {
    /// Appends `tokens` that have `before` others before them in their sequence.
    fn sequence(&mut self, tokens: &[&[u32]], before: usize, after: Option<usize>) {
        let start = self.tokens.len();
        tokens.iter().for_each(|part| self.tokens.extend_from_slice(part));
        self.positions.extend((before..before + self.tokens.len() - start).map(|at| at as u32));
        self.ends.push(self.tokens.len());
        self.after.push(after);
    }

    /// Rows at the last `count` places so far.
    fn score(&mut self, count: usize) {
        self.scored.extend((self.tokens.len() - count..self.tokens.len()).map(|at| at as u32));
    }

    fn alone(&mut self, context: &[u32], actions: &[u32]) {
        self.sequence(&[context, &actions[..actions.len() - 1]], 0, None);
        self.score(actions.len());
        self.ids.extend_from_slice(actions);
    }

    fn shared<'a>(&mut self, context: &[u32], all: impl Iterator<Item = &'a [u32]>) {
        let prompt = self.ends.len();
        self.sequence(&[context], 0, None);
        let last = self.tokens.len() as u32 - 1;
        for actions in all {
            let fed = &actions[..actions.len() - 1];
            self.sequence(&[fed], context.len(), Some(prompt));
            self.scored.push(last);
            self.score(fed.len());
            self.ids.extend_from_slice(actions);
        }
    }

    /// Without counts, which are of all samples.
    fn done(self) -> Pack {
        let starts = [0].into_iter().chain(self.ends);
        Pack {
            tokens: Arc::new(self.tokens),
            positions: Arc::new(self.positions),
            starts: Arc::new(starts.collect()),
            after: Arc::new(self.after),
            scored: Arc::new(self.scored),
            ids: Arc::new(self.ids),
            counts: Vec::new(),
        }
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
        let pack = Pack::of(&[&a, &none, &b], limits, Prompts::Shared).expect("packs");
        assert_eq!(*pack.tokens, [1, 2, 3, 4, 6]);
        assert_eq!(*pack.positions, [0, 1, 2, 3, 0]);
        assert_eq!(*pack.starts, [0, 4, 5]);
        assert_eq!(*pack.scored, [2, 3, 4]);
        assert_eq!(*pack.ids, [4, 5, 7]);
        assert_eq!(pack.counts, [2, 0, 1]);
        assert_eq!(pack.longest(), 4);
        assert_eq!(*pack.after, [None, None]);
    }

    #[test]
    fn a_shared_context_stands_once() {
        let limits = Limits { vocabulary: 10, positions: 8 };
        let of = |actions: &[u32]| Sample::given(Context::of_tokens([1, 2, 3]), actions);
        let (a, none, b, c) = (of(&[4, 5]), of(&[]), of(&[6]), Sample::given(Context::of_tokens([7]), &[8, 9]));
        let pack = Pack::of(&[&a, &none, &b, &c], limits, Prompts::Shared).expect("packs");
        assert_eq!(*pack.tokens, [1, 2, 3, 4, 7, 8]);
        assert_eq!(*pack.positions, [0, 1, 2, 3, 0, 1]);
        assert_eq!((&*pack.starts, &*pack.after), (&vec![0, 3, 4, 4, 6], &vec![None, Some(0), Some(0), None]));
        assert_eq!((&*pack.scored, &*pack.ids), (&vec![2, 3, 2, 4, 5], &vec![4, 5, 6, 8, 9]));
        assert_eq!((&pack.counts, pack.longest()), (&vec![2, 0, 1, 2], 4));
        let repeated = Pack::of(&[&a, &none, &b], limits, Prompts::Repeated).expect("packs");
        assert_eq!(*repeated.tokens, [1, 2, 3, 4, 1, 2, 3]);
        assert_eq!(*repeated.after, [None, None]);
    }

    #[test]
    fn what_cannot_be_scored_is_refused() {
        let limits = Limits { vocabulary: 10, positions: 4 };
        let pack = |context: &[u32], actions: &[u32]| {
            Pack::of(&[&Sample::given(Context::of_tokens(context), actions)], limits, Prompts::Shared)
        };
        assert!(matches!(pack(&[], &[1]), Err(PolicyError::EmptyContext)));
        assert!(matches!(pack(&[1], &[10]), Err(PolicyError::UnknownToken { id: 10, vocabulary: 10 })));
        assert!(matches!(pack(&[11], &[1]), Err(PolicyError::UnknownToken { id: 11, .. })));
        assert!(matches!(pack(&[1, 2, 3], &[1, 2]), Err(PolicyError::TooLong { context: 3, new: 2, limit: 4 })));
    }
}
