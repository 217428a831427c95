//! Sequences as a tree of what they have in common.

use std::ops::Range;

/// The fewest tokens that are worth a node of their own, beyond a whole context.
const SHORTEST: usize = 8;

/// Sequences that are run together, what several begin with standing once.
///
/// A node is a stretch of tokens behind those of its parent. Two sequences share a node as far as they agree, where that is the
/// whole context of the later one, or [`SHORTEST`] tokens more: so answers to one prompt share it, the branches of a tree,
/// the exits of a chain, chains behind one plan and rounds behind the round before share what they have, and nobody says so.
#[derive(Debug)]
pub(crate) struct PrefixTree<'a> {
    sequences: Vec<&'a [u32]>,
    /// The node in which each sequence ends.
    ends: Vec<usize>,
    nodes: Vec<Node>,
    roots: Vec<usize>,
}

/// Tokens `range` of sequence `of`; the range is in positions.
#[derive(Debug)]
struct Node {
    of: usize,
    range: Range<usize>,
    parent: Option<usize>,
    children: Vec<usize>,
}

/// A part of a sequence: which stretch holds it, and from where in that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    /// In the order of [`PrefixTree::stretches`].
    pub stretch: usize,
    /// Positions of the sequence.
    pub positions: Range<usize>,
}

/// A node in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stretch<'a> {
    pub tokens: &'a [u32],
    /// Of its first token.
    pub position: usize,
    /// The stretch that it goes on from.
    pub after: Option<usize>,
}

impl<'a> PrefixTree<'a> {
    /// The tree of sequences that begin with a context of so many tokens each.
    pub(crate) fn new(sequences: impl IntoIterator<Item = (&'a [u32], usize)>) -> Self {
        let mut tree = Self { sequences: Vec::new(), ends: Vec::new(), nodes: Vec::new(), roots: Vec::new() };
        for (sequence, context) in sequences {
            tree.sequences.push(sequence);
            tree.insert(context);
        }
        tree
    }

    fn tokens(&self, node: usize) -> &'a [u32] {
        let Node { of, range, .. } = &self.nodes[node];
        &self.sequences[*of][range.clone()]
    }

    fn children(&self, node: Option<usize>) -> &[usize] {
        node.map_or(&self.roots, |node| &self.nodes[node].children)
    }

    /// The node behind `parent` that the rest of a sequence, from position `at` on, shares most of, and how long they agree: to its end,
    /// to that of the sequence, or to where it is worth a cut.
    fn nearest(&self, parent: Option<usize>, sequence: &[u32], at: usize, context: usize) -> Option<(usize, usize)> {
        let agreeing = self.children(parent).iter().map(|&node| (node, agreement(self.tokens(node), &sequence[at..])));
        let is_shared = |&(node, length): &(usize, usize)| {
            let end = at + length;
            length > 0
                && (length == self.tokens(node).len() || end == sequence.len() || cut(at, end, context).is_some())
        };
        agreeing.filter(is_shared).reduce(|best, other| if other.1 > best.1 { other } else { best })
    }

    fn insert(&mut self, context: usize) {
        let of = self.sequences.len() - 1;
        let sequence = self.sequences[of];
        let (mut at, mut parent) = (0, None);
        while let Some((node, length)) = self.nearest(parent, sequence, at, context) {
            parent = Some(node);
            if at + length == sequence.len() {
                self.ends.push(node);
                return;
            }
            if length == self.tokens(node).len() {
                at += length;
                continue;
            }
            if let Some(cut) = cut(at, at + length, context) {
                self.split(node, cut);
                at = cut;
            }
            break;
        }
        self.nodes.push(Node { of, range: at..sequence.len(), parent, children: Vec::new() });
        let new = self.nodes.len() - 1;
        self.ends.push(new);
        match parent {
            Some(parent) => self.nodes[parent].children.push(new),
            None => self.roots.push(new),
        }
    }

    /// Cuts a node at a position: what is behind it becomes a node that goes on from it.
    fn split(&mut self, node: usize, cut: usize) {
        let new = self.nodes.len();
        let Node { of, range, children, .. } = &mut self.nodes[node];
        let children = std::mem::replace(children, vec![new]);
        let tail = Node { of: *of, range: cut..range.end, parent: Some(node), children };
        range.end = cut;
        tail.children.iter().for_each(|&child| self.nodes[child].parent = Some(new));
        self.nodes.push(tail);
        for (end, sequence) in self.ends.iter_mut().zip(&self.sequences) {
            if *end == node && sequence.len() > cut {
                *end = new;
            }
        }
    }

    /// All nodes, each behind what it goes on from, with nothing between that does not go on from that too.
    pub(crate) fn stretches(&self) -> (Vec<Stretch<'a>>, Vec<Vec<Part>>) {
        let mut stretches = Vec::with_capacity(self.nodes.len());
        let mut places = vec![0; self.nodes.len()];
        let mut open: Vec<(usize, Option<usize>)> = self.roots.iter().rev().map(|&root| (root, None)).collect();
        while let Some((node, after)) = open.pop() {
            places[node] = stretches.len();
            stretches.push(Stretch { tokens: self.tokens(node), position: self.nodes[node].range.start, after });
            open.extend(self.nodes[node].children.iter().rev().map(|&child| (child, Some(places[node]))));
        }
        let parts = (0..self.sequences.len()).map(|sequence| self.parts(sequence, &places)).collect();
        (stretches, parts)
    }

    fn parts(&self, sequence: usize, places: &[usize]) -> Vec<Part> {
        let mut end = self.sequences[sequence].len();
        let way = std::iter::successors(Some(self.ends[sequence]), |&node| self.nodes[node].parent);
        let part = |node: usize| {
            let positions = self.nodes[node].range.start..end;
            end = positions.start;
            Part { stretch: places[node], positions }
        };
        let mut parts: Vec<Part> = way.map(part).collect();
        parts.reverse();
        parts
    }
}

fn agreement(a: &[u32], b: &[u32]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

/// Where a node that begins at position `from` is cut for a sequence that agrees with it up to position `to`; `None` where it is not
/// worth it.
fn cut(from: usize, to: usize, context: usize) -> Option<usize> {
    if to < context {
        return (to - from >= SHORTEST).then_some(to);
    }
    let answered = context.max(from);
    if to - answered >= SHORTEST { Some(to) } else { (answered > from).then_some(answered) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Tokens of stretches, what they go on from, parts of sequences.
    type Laid = (Vec<Vec<u32>>, Vec<Option<usize>>, Vec<Vec<Part>>);

    fn laid(sequences: &[(&[u32], usize)]) -> Laid {
        let (stretches, parts) = PrefixTree::new(sequences.iter().copied()).stretches();
        let tokens = stretches.iter().map(|stretch| stretch.tokens.to_vec()).collect();
        (tokens, stretches.iter().map(|stretch| stretch.after).collect(), parts)
    }

    fn part(stretch: usize, positions: Range<usize>) -> Part {
        Part { stretch, positions }
    }

    #[test]
    fn answers_share_their_prompt_and_no_chance_beginning() {
        let (tokens, after, parts) =
            laid(&[(&[1, 2, 3, 4, 5], 3), (&[1, 2, 3, 4, 6], 3), (&[1, 2, 3], 3), (&[1, 9, 9], 2)]);
        assert_eq!(tokens, [vec![1, 2, 3], vec![4, 5], vec![4, 6], vec![1, 9, 9]]);
        assert_eq!(after, [None, Some(0), Some(0), None]);
        assert_eq!(parts[1], [part(0, 0..3), part(2, 3..5)]);
        assert_eq!(parts[2], [part(0, 0..3)]);
    }

    #[test]
    fn what_goes_on_from_an_answer_shares_it() {
        // A round, the round behind it, and another first round.
        let (tokens, after, _) = laid(&[(&[1, 2, 3, 4], 2), (&[1, 2, 3, 4, 5, 6, 7], 6), (&[1, 2, 8, 8], 2)]);
        assert_eq!(tokens, [vec![1, 2], vec![3, 4], vec![5, 6, 7], vec![8, 8]]);
        assert_eq!(after, [None, Some(0), Some(1), Some(0)]);
    }

    #[test]
    fn long_beginnings_are_shared_whoever_wrote_them() {
        let long: Vec<u32> = (0..20).collect();
        let mut other = long.clone();
        other.truncate(12);
        other.extend([99, 98]);
        let (tokens, after, _) = laid(&[(&long, 2), (&other, 2), (&long, 2)]);
        assert_eq!(tokens, [(0..12).collect::<Vec<_>>(), (12..20).collect(), vec![99, 98]]);
        assert_eq!(after, [None, Some(0), Some(0)]);
    }

    proptest! {
        #[test]
        fn every_sequence_is_spelt_by_its_parts(
            sequences in proptest::collection::vec((proptest::collection::vec(0u32..3, 1..40), 0usize..40), 1..12),
        ) {
            let sequences: Vec<(Vec<u32>, usize)> =
                sequences.into_iter().map(|(s, c)| { let c = c.clamp(1, s.len()); (s, c) }).collect();
            let (stretches, parts) = PrefixTree::new(sequences.iter().map(|(s, c)| (s.as_slice(), *c))).stretches();
            for ((sequence, _), parts) in sequences.iter().zip(&parts) {
                let spelt: Vec<u32> = parts.iter().flat_map(|p| {
                    let stretch = &stretches[p.stretch];
                    stretch.tokens[p.positions.start - stretch.position..][..p.positions.len()].to_vec()
                }).collect();
                prop_assert_eq!(&spelt, sequence);
                for pair in parts.windows(2) {
                    prop_assert_eq!(stretches[pair[1].stretch].after, Some(pair[0].stretch));
                }
                prop_assert_eq!(stretches[parts[0].stretch].after, None);
            }
            for (s, stretch) in stretches.iter().enumerate() {
                prop_assert!(!stretch.tokens.is_empty());
                if let Some(after) = stretch.after {
                    prop_assert!(after < s);
                    prop_assert!(stretches[after + 1..=s].iter().all(|between| between.after.is_some()));
                    prop_assert_eq!(stretch.position, stretches[after].position + stretches[after].tokens.len());
                }
            }
            let whole: usize = sequences.iter().map(|(s, _)| s.len()).sum();
            prop_assert!(stretches.iter().map(|s| s.tokens.len()).sum::<usize>() <= whole);
        }
    }
}
