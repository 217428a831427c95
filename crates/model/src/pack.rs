//! Samples laid end to end: ragged, without padding.

use std::{ops::Range, sync::Arc};

use cohort_core::{Choice, Mixture, PolicyError, Sample};
use cohort_kernels::Sequences;
use serde::{Deserialize, Serialize};

use crate::{
    chosen::Chosen,
    given::{Given, Symbols},
    prefix_tree::{Part, PrefixTree, Stretch},
};

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
    /// The tokens whose embedding is given: soft ones.
    pub given: Given,
    /// Position of each token in its own sequence.
    pub positions: Arc<Vec<u32>>,
    /// Where sequences begin, and after the last one the end.
    pub starts: Arc<Vec<usize>>,
    /// The sequence that each goes on from, where it does.
    pub after: Arc<Vec<Option<usize>>>,
    /// The places, among all tokens, whose hidden state gives a row.
    pub scored: Arc<Vec<u32>>,
    /// What each row is of.
    pub chosen: Chosen,
    /// Number of rows of each sample.
    pub counts: Vec<usize>,
}

/// What samples are checked against.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub vocabulary: usize,
    pub positions: usize,
    /// Of an embedding.
    pub width: usize,
}

impl Limits {
    pub(crate) fn check_ids(self, ids: &[u32]) -> Result<(), PolicyError> {
        match ids.iter().find(|&&id| id as usize >= self.vocabulary) {
            Some(&id) => Err(PolicyError::UnknownToken { id, vocabulary: self.vocabulary }),
            None => Ok(()),
        }
    }

    /// A soft token of known ids that this model can be fed.
    fn check_mixture(self, mixture: &Mixture) -> Result<(), PolicyError> {
        self.check_ids(mixture.ids())?;
        match mixture.embedding() {
            Some(embedding) if embedding.len() != self.width => {
                let what = format!("soft token: an embedding of {} numbers for one of {}", embedding.len(), self.width);
                Err(PolicyError::Unsupported { what })
            }
            Some(_) | None => Ok(()),
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
        let mut symbols = Symbols::default();
        let mut soft: Vec<(u32, Arc<Mixture>)> = Vec::new();
        let mut rows = 0;
        for sample in samples {
            let context = context_ids(sample.scored_context())?;
            let actions = action_ids(sample)?;
            limits.check_context(context, actions.len())?;
            limits.check_ids(&actions)?;
            counts.push(actions.len());
            for (row, mixture) in (rows..).zip(mixtures(sample)?) {
                if let Some(mixture) = mixture {
                    limits.check_mixture(mixture)?;
                    soft.push((row, Arc::clone(mixture)));
                }
            }
            rows += actions.len() as u32;
            if let Some((_, fed)) = actions.split_last() {
                let fed = fed.iter().enumerate().map(|(i, &id)| symbols.of(id, sample.mixture(i)));
                let fed = context.iter().copied().chain(fed).collect();
                acting.push(Acting { fed, context: context.len(), actions });
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
        (pack.tokens, pack.given) = symbols.resolve(&pack.tokens);
        let ids = acting.into_iter().flat_map(|acting| acting.actions).collect();
        Ok(Self { counts, chosen: Chosen { ids: Arc::new(ids), soft: Arc::new(soft) }, ..pack })
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
            given: Given::default(),
            chosen: Chosen::default(),
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
    /// Symbols of context and actions, without the last one.
    fed: Vec<u32>,
    /// Tokens of the context.
    context: usize,
    actions: Vec<u32>,
}

/// The soft tokens of a sample, action by action; none where it has no such column.
fn mixtures(sample: &Sample) -> Result<&[Option<Arc<Mixture>>], PolicyError> {
    let mixtures = sample.mixtures.as_deref().unwrap_or_default();
    if sample.mixtures.is_some() && mixtures.len() != sample.actions.len() {
        let what = format!("sample: {} soft tokens or none for {} actions", mixtures.len(), sample.actions.len());
        return Err(PolicyError::Unsupported { what });
    }
    Ok(mixtures)
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
        let limits = Limits { vocabulary: 10, positions: 8, width: 2 };
        let a = Sample::given(Context::of_tokens([1, 2, 3]), &[4, 5]);
        let none = Sample::given(Context::of_tokens([1]), &[]);
        let b = Sample::given(Context::of_tokens([6]), &[7]);
        let pack = Pack::of(&[&a, &none, &b], limits, Prompts::Shared).expect("packs");
        assert_eq!(*pack.tokens, [1, 2, 3, 4, 6]);
        assert_eq!(*pack.positions, [0, 1, 2, 3, 0]);
        assert_eq!(*pack.starts, [0, 4, 5]);
        assert_eq!(*pack.scored, [2, 3, 4]);
        assert_eq!(*pack.chosen.ids, [4, 5, 7]);
        assert_eq!(pack.counts, [2, 0, 1]);
        assert_eq!(pack.longest(), 4);
        assert_eq!(*pack.after, [None, None]);
    }

    #[test]
    fn a_shared_context_stands_once() {
        let limits = Limits { vocabulary: 10, positions: 8, width: 2 };
        let of = |actions: &[u32]| Sample::given(Context::of_tokens([1, 2, 3]), actions);
        let (a, none, b, c) = (of(&[4, 5]), of(&[]), of(&[6]), Sample::given(Context::of_tokens([7]), &[8, 9]));
        let pack = Pack::of(&[&a, &none, &b, &c], limits, Prompts::Shared).expect("packs");
        assert_eq!(*pack.tokens, [1, 2, 3, 4, 7, 8]);
        assert_eq!(*pack.positions, [0, 1, 2, 3, 0, 1]);
        assert_eq!((&*pack.starts, &*pack.after), (&vec![0, 4, 6], &vec![None, None]));
        assert_eq!((&*pack.scored, &*pack.chosen.ids), (&vec![2, 3, 2, 4, 5], &vec![4, 5, 6, 8, 9]));
        assert_eq!((&pack.counts, pack.longest()), (&vec![2, 0, 1, 2], 4));
        let repeated = Pack::of(&[&a, &none, &b], limits, Prompts::Repeated).expect("packs");
        assert_eq!(*repeated.tokens, [1, 2, 3, 4, 1, 2, 3]);
        assert_eq!(*repeated.after, [None, None]);
    }

    #[test]
    fn rows_of_a_later_round_stand_behind_those_of_the_round_before() {
        let limits = Limits { vocabulary: 10, positions: 8, width: 2 };
        let first = Sample::given(Context::of_tokens([1, 2]), &[3, 4, 5]);
        let second = Sample::given(Context::of_tokens([1, 2, 3, 4, 5, 6]), &[7, 8]);
        let pack = Pack::of(&[&first, &second, &first], limits, Prompts::Shared).expect("packs");
        assert_eq!((&*pack.tokens, &*pack.after), (&vec![1, 2, 3, 4, 5, 6, 7], &vec![None, Some(0)]));
        assert_eq!((&*pack.scored, &*pack.chosen.ids), (&vec![1, 2, 3, 5, 6, 1, 2, 3], &vec![3, 4, 5, 7, 8, 3, 4, 5]));
        let (contexts, places) = Pack::of_contexts(&[&[1, 2, 3], &[1, 2, 3, 4]]);
        assert_eq!((&*contexts.tokens, &*contexts.scored), (&vec![1, 2, 3, 4], &vec![2, 3]));
        assert_eq!(places, [vec![0..3], vec![0..3, 3..4]]);
    }

    #[test]
    fn soft_tokens_are_one_where_they_are_one_draw() {
        use cohort_core::{Dice, Soft, Stream};
        let limits = Limits { vocabulary: 10, positions: 20, width: 2 };
        let soft = Soft { until: 9, top_k: 2, top_p: 1.0, tau: 0.1, clamp: Soft::CLAMP };
        let dice: Dice = Stream::new(1, "soft").dice(0, 0, 0);
        // Greedy weights: each is recorded as 4; the last one is fed as the id that it is recorded as.
        let mixture = |x: f32| Arc::new(soft.draw(&[4, 5], &[0.0, -1.0], None).fed_as(vec![x, 1.0]));
        let closing = Arc::new(soft.draw(&[9, 5], &[0.0, -9.0], Some((dice, 0))));
        let sample = |mixtures: &[&Arc<Mixture>]| {
            let ids: Vec<u32> = mixtures.iter().map(|mixture| mixture.id()).chain([7, 8]).collect();
            let column = mixtures.iter().map(|&mixture| Some(Arc::clone(mixture))).chain([None, None]).collect();
            Sample { mixtures: Some(column), ..Sample::given(Context::of_tokens([1, 2]), &ids) }
        };
        let (a, b) = (mixture(0.5), mixture(0.25));
        let (first, other, end) = (sample(&[&a, &closing]), sample(&[&b, &closing]), sample(&[&closing]));
        let pack = Pack::of(&[&first, &other, &first, &end], limits, Prompts::Shared).expect("packs");
        assert_eq!(*pack.tokens, [1, 2, 4, 9, 7, 4, 9, 7, 9, 7], "the third goes the way of the first, and no other");
        assert_eq!(*pack.after, [None, Some(0), Some(0), Some(0)]);
        let given: Vec<(usize, &[f32])> = pack.given.rows().collect();
        assert_eq!(given, [(2, &[0.5, 1.0][..]), (5, &[0.25, 1.0])]);
        assert_eq!(*pack.chosen.ids, [4, 9, 7, 8, 4, 9, 7, 8, 4, 9, 7, 8, 9, 7, 8]);
        let soft: Vec<u32> = pack.chosen.soft.iter().map(|(row, _)| *row).collect();
        assert_eq!(soft, [0, 1, 4, 5, 8, 9, 12]);
        let part: Vec<u32> = pack.chosen.part(5..9).soft.iter().map(|(row, _)| *row).collect();
        assert_eq!(part, [0, 3]);
        let narrow = Limits { width: 3, ..limits };
        assert!(matches!(Pack::of(&[&first], narrow, Prompts::Shared), Err(PolicyError::Unsupported { .. })));
        let short = Sample { mixtures: Some(vec![None]), ..first };
        assert!(matches!(Pack::of(&[&short], limits, Prompts::Shared), Err(PolicyError::Unsupported { .. })));
    }

    #[test]
    fn what_cannot_be_scored_is_refused() {
        let limits = Limits { vocabulary: 10, positions: 4, width: 2 };
        let pack = |context: &[u32], actions: &[u32]| {
            Pack::of(&[&Sample::given(Context::of_tokens(context), actions)], limits, Prompts::Shared)
        };
        assert!(matches!(pack(&[], &[1]), Err(PolicyError::EmptyContext)));
        assert!(matches!(pack(&[1], &[10]), Err(PolicyError::UnknownToken { id: 10, vocabulary: 10 })));
        assert!(matches!(pack(&[11], &[1]), Err(PolicyError::UnknownToken { id: 11, .. })));
        assert!(matches!(pack(&[1, 2, 3], &[1, 2]), Err(PolicyError::TooLong { context: 3, new: 2, limit: 4 })));
    }
}
