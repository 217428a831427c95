//! Samples laid end to end: ragged, without padding.

use std::{ops::Range, sync::Arc};

use cohort_core::{Choice, PolicyError, Sample};
use cohort_kernels::Sequences;
use serde::{Deserialize, Serialize};

use crate::prefix_tree::{Part, PrefixTree, Stretch};

/// How often what samples begin with alike is run. A speed: rows have the same bits either way, and gradients differ
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
/// position `n - 1 + i`; the last action's own token goes through nothing. What several samples begin with stands there once, as a
/// sequence that theirs go on from ([`PrefixTree`]): a context's last position gives the first row of each answer to it.
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
        let mut counts = Vec::with_capacity(samples.len());
        let mut acting: Vec<Acting> = Vec::with_capacity(samples.len());
        for sample in samples {
            let context = context_ids(sample.scored_context())?;
            let actions = action_ids(sample)?;
            limits.check_context(context, actions.len())?;
            limits.check_ids(&actions)?;
            counts.push(actions.len());
            if let Some((_, fed)) = actions.split_last() {
                acting.push(Acting { fed: [context, fed].concat(), context: context.len(), actions });
            }
        }
        let sequences = acting.iter().map(|acting| (acting.fed.as_slice(), acting.context));
        let mut pack = match prompts {
            Prompts::Shared => {
                let (stretches, parts) = PrefixTree::new(sequences).stretches();
                Self::of_stretches(
                    &stretches,
                    acting.iter().zip(&parts).map(|(acting, parts)| (acting.context, parts.as_slice())),
                )
            }
            Prompts::Repeated => {
                let apart = |(tokens, _): (_, usize)| Stretch { tokens, position: 0, after: None };
                let stretches: Vec<Stretch> = sequences.map(apart).collect();
                let whole =
                    |(stretch, acting): (usize, &Acting)| vec![Part { stretch, positions: 0..acting.fed.len() }];
                let parts: Vec<Vec<Part>> = acting.iter().enumerate().map(whole).collect();
                Self::of_stretches(
                    &stretches,
                    acting.iter().zip(&parts).map(|(acting, parts)| (acting.context, parts.as_slice())),
                )
            }
        };
        pack.ids = Arc::new(acting.into_iter().flat_map(|acting| acting.actions).collect());
        Ok(Self { counts, ..pack })
    }

    /// Contexts alone, scored at their last position: what decoding starts from. With each the places of its tokens.
    pub(crate) fn of_contexts(contexts: &[&[u32]]) -> (Self, Vec<Vec<Range<usize>>>) {
        let (stretches, parts) = PrefixTree::new(contexts.iter().map(|context| (*context, context.len()))).stretches();
        let pack =
            Self::of_stretches(&stretches, contexts.iter().zip(&parts).map(|(c, parts)| (c.len(), parts.as_slice())));
        let place = |part: &Part| {
            let first = pack.starts[part.stretch] + part.positions.start - stretches[part.stretch].position;
            first..first + part.positions.len()
        };
        let places = parts.iter().map(|parts| parts.iter().map(place).collect()).collect();
        (Self { counts: vec![1; contexts.len()], ..pack }, places)
    }

    /// Stretches end to end, and the rows of sequences that are made of them: of each, from the last token of its context on.
    fn of_stretches<'p>(stretches: &[Stretch], sequences: impl Iterator<Item = (usize, &'p [Part])>) -> Self {
        let mut starts = vec![0];
        starts.extend(stretches.iter().scan(0, |end, stretch| {
            *end += stretch.tokens.len();
            Some(*end)
        }));
        let positions = |stretch: &Stretch| stretch.position as u32..(stretch.position + stretch.tokens.len()) as u32;
        let mut scored = Vec::new();
        for (context, parts) in sequences {
            for Part { stretch, positions } in parts {
                let first = starts[*stretch] - stretches[*stretch].position;
                scored.extend((positions.start.max(context - 1)..positions.end).map(|at| (first + at) as u32));
            }
        }
        Self {
            tokens: Arc::new(stretches.iter().flat_map(|stretch| stretch.tokens).copied().collect()),
            positions: Arc::new(stretches.iter().flat_map(positions).collect()),
            starts: Arc::new(starts),
            after: Arc::new(stretches.iter().map(|stretch| stretch.after).collect()),
            scored: Arc::new(scored),
            ids: Arc::default(),
            counts: Vec::new(),
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

/// A sample that has actions.
struct Acting {
    /// Context and actions, without the last one.
    fed: Vec<u32>,
    /// Tokens of the context.
    context: usize,
    actions: Vec<u32>,
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
#[expect(clippy::single_range_in_vec_init, reason = "one range is a way of one")]
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
        assert_eq!((&*pack.starts, &*pack.after), (&vec![0, 4, 6], &vec![None, None]));
        assert_eq!((&*pack.scored, &*pack.ids), (&vec![2, 3, 2, 4, 5], &vec![4, 5, 6, 8, 9]));
        assert_eq!((&pack.counts, pack.longest()), (&vec![2, 0, 1, 2], 4));
        let repeated = Pack::of(&[&a, &none, &b], limits, Prompts::Repeated).expect("packs");
        assert_eq!(*repeated.tokens, [1, 2, 3, 4, 1, 2, 3]);
        assert_eq!(*repeated.after, [None, None]);
    }

    #[test]
    fn rows_of_a_later_round_stand_behind_those_of_the_round_before() {
        let limits = Limits { vocabulary: 10, positions: 8 };
        let first = Sample::given(Context::of_tokens([1, 2]), &[3, 4, 5]);
        let second = Sample::given(Context::of_tokens([1, 2, 3, 4, 5, 6]), &[7, 8]);
        let pack = Pack::of(&[&first, &second, &first], limits, Prompts::Shared).expect("packs");
        assert_eq!((&*pack.tokens, &*pack.after), (&vec![1, 2, 3, 4, 5, 6, 7], &vec![None, Some(0)]));
        assert_eq!((&*pack.scored, &*pack.ids), (&vec![1, 2, 3, 5, 6, 1, 2, 3], &vec![3, 4, 5, 7, 8, 3, 4, 5]));
        let (contexts, places) = Pack::of_contexts(&[&[1, 2, 3], &[1, 2, 3, 4]]);
        assert_eq!((&*contexts.tokens, &*contexts.scored), (&vec![1, 2, 3, 4], &vec![2, 3]));
        assert_eq!(places, [vec![0..3], vec![0..3, 3..4]]);
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
