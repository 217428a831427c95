//! How packed tokens form sequences: apart, or several going on from one.

use std::ops::Range;

/// Sequences that lie end to end among packed tokens.
///
/// A sequence may go on from another one, whose tokens are then its first, though they stand there once: the completions of a
/// prompt go on from the prompt, the chains of a plan from the plan, which goes on from its prompt. It lies behind that one, with none
/// between them that begins by itself: a family, all that goes on from one that does, lies end to end.
#[derive(Clone, Copy, Debug)]
pub struct Sequences<'a> {
    starts: &'a [usize],
    after: &'a [Option<usize>],
}

impl<'a> Sequences<'a> {
    /// Sequence `s` is the tokens `starts[s] .. starts[s + 1]`, so `starts` begins with 0 and ends with the number of tokens;
    /// `after[s]` is what it goes on from.
    pub fn new(starts: &'a [usize], after: &'a [Option<usize>]) -> Self {
        assert!(
            starts.first() == Some(&0) && starts.is_sorted(),
            "sequences: starts begin at 0 and rise, these are {starts:?}"
        );
        assert!(
            after.len() + 1 == starts.len() || after.is_empty(),
            "sequences: {} go on, of {}",
            after.len(),
            starts.len() - 1
        );
        for (s, from) in after.iter().enumerate() {
            let Some(from) = *from else { continue };
            assert!(
                from < s && after[from + 1..s].iter().all(Option::is_some),
                "sequences: {s} goes on from {from}, of {after:?}"
            );
        }
        Self { starts, after }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.starts.len() - 1
    }

    /// All tokens.
    pub fn tokens(&self) -> usize {
        self.starts[self.starts.len() - 1]
    }

    /// The tokens of a sequence itself.
    pub fn own(&self, s: usize) -> Range<usize> {
        self.starts[s]..self.starts[s + 1]
    }

    /// The tokens that stand before a sequence's own, elsewhere, in their order; none where it begins by itself.
    pub fn before(&self, s: usize) -> Vec<Range<usize>> {
        let from = |s: usize| self.after.get(s).copied().flatten();
        let mut before: Vec<Range<usize>> = std::iter::successors(from(s), |&s| from(s)).map(|s| self.own(s)).collect();
        before.retain(|part| !part.is_empty());
        before.reverse();
        before
    }

    /// The tokens of a sequence, those before its own included.
    pub fn length(&self, s: usize) -> usize {
        self.before(s).iter().map(Range::len).sum::<usize>() + self.own(s).len()
    }

    /// The most tokens of a sequence.
    pub(crate) fn longest(&self) -> usize {
        (0..self.count()).map(|s| self.length(s)).max().unwrap_or(0)
    }

    /// Sequences that have to do with each other, as ranges of their numbers.
    pub(crate) fn families(&self) -> Vec<Range<usize>> {
        let begins = (0..self.count()).filter(|&s| self.after.get(s).copied().flatten().is_none());
        let begins: Vec<usize> = begins.chain([self.count()]).collect();
        begins.windows(2).map(|pair| pair[0]..pair[1]).collect()
    }

    /// Whole families on their own: starts and what goes on from what, counted from the first of them.
    pub(crate) fn part(&self, part: Range<usize>) -> (Vec<usize>, Vec<Option<usize>>) {
        let first = self.starts[part.start];
        let starts = self.starts[part.start..=part.end].iter().map(|start| start - first).collect();
        let after = self.after.get(part.clone()).unwrap_or_default();
        (starts, after.iter().map(|from| from.map(|from| from - part.start)).collect())
    }
}

/// All apart.
impl<'a> From<&'a [usize]> for Sequences<'a> {
    fn from(starts: &'a [usize]) -> Self {
        Self::new(starts, &[])
    }
}

impl<'a> From<&'a Vec<usize>> for Sequences<'a> {
    fn from(starts: &'a Vec<usize>) -> Self {
        Self::new(starts, &[])
    }
}

impl<'a, const N: usize> From<&'a [usize; N]> for Sequences<'a> {
    fn from(starts: &'a [usize; N]) -> Self {
        Self::new(starts, &[])
    }
}

/// `[tokens, width]` of the tokens before a sequence and its own, end to end. What is before is copied once for all that go on
/// from it.
#[derive(Debug, Default)]
pub(crate) struct Joined {
    values: Vec<f32>,
    before: Vec<Range<usize>>,
}

impl Joined {
    /// Rows `before`, then rows `own`, of `x`.
    pub(crate) fn of(&mut self, x: &[f32], before: &[Range<usize>], own: Range<usize>, width: usize) -> &[f32] {
        if self.before != before {
            self.values.clear();
            for part in before {
                self.values.extend_from_slice(&x[part.start * width..part.end * width]);
            }
            self.before = before.to_vec();
        }
        self.values.truncate(before.iter().map(Range::len).sum::<usize>() * width);
        self.values.extend_from_slice(&x[own.start * width..own.end * width]);
        &self.values
    }
}

#[cfg(test)]
#[expect(clippy::single_range_in_vec_init, reason = "one range is a way of one")]
mod tests {
    use super::*;

    const AFTER: [Option<usize>; 6] = [None, Some(0), Some(0), None, None, Some(4)];
    const STARTS: [usize; 7] = [0, 3, 4, 6, 8, 9, 9];

    #[test]
    fn what_is_before_stands_elsewhere() {
        let sequences = Sequences::new(&STARTS, &AFTER);
        let before: [Vec<Range<usize>>; 6] = [vec![], vec![0..3], vec![0..3], vec![], vec![], vec![8..9]];
        assert_eq!((0..6).map(|s| sequences.before(s)).collect::<Vec<_>>(), before);
        assert_eq!((0..6).map(|s| sequences.length(s)).collect::<Vec<_>>(), [3, 4, 5, 2, 1, 1]);
        assert_eq!((sequences.longest(), sequences.tokens(), sequences.count()), (5, 9, 6));
        assert_eq!(sequences.families(), [0..3, 3..4, 4..6]);
        assert_eq!(sequences.part(3..6), (vec![0, 2, 3, 3], vec![None, None, Some(1)]));
        assert_eq!(Sequences::from(&STARTS).families().len(), 6);
    }

    #[test]
    fn rows_are_joined_whatever_was_joined_before() {
        let x: Vec<f32> = (0..18).map(|i| i as f32).collect();
        let mut joined = Joined::default();
        assert_eq!(joined.of(&x, &[0..2], 3..4, 2), [0.0, 1.0, 2.0, 3.0, 6.0, 7.0]);
        assert_eq!(joined.of(&x, &[0..2], 4..4, 2), [0.0, 1.0, 2.0, 3.0]);
        assert_eq!(joined.of(&x, &[1..2], 0..1, 2), [2.0, 3.0, 0.0, 1.0]);
        assert_eq!(joined.of(&x, &[], 8..9, 2), [16.0, 17.0]);
        assert_eq!(joined.of(&x, &[0..1, 2..3], 8..9, 2), [0.0, 1.0, 4.0, 5.0, 16.0, 17.0]);
    }

    #[test]
    fn what_goes_on_may_be_gone_on_from() {
        let (starts, after) = ([0, 2, 5, 6, 9], [None, Some(0), Some(1), Some(0)]);
        let sequences = Sequences::new(&starts, &after);
        assert_eq!(sequences.before(2), [0..2, 2..5]);
        assert_eq!(sequences.before(3), [0..2]);
        assert_eq!((0..4).map(|s| sequences.length(s)).collect::<Vec<_>>(), [2, 5, 6, 5]);
        assert_eq!(sequences.families(), [0..4]);
    }

    #[test]
    #[should_panic(expected = "goes on from")]
    fn nothing_stands_between() {
        Sequences::new(&[0, 1, 2, 3], &[None, None, Some(0)]);
    }
}
