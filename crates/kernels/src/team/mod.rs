//! One kernel call shared by a few threads, with the bits of one thread.
//!
//! A [`Team`] has the kernels as methods, with the same meaning and arguments. A call is cut along rows, outputs,
//! sequences or heads, whatever leaves the order of every sum as it is, so that the number of threads changes no bit.
//! Threads are scoped to the call: nothing outlives it, and a call too small for that runs on the calling thread.

mod adamw;
mod attention;
mod head;
mod linear;
mod rms_norm;
mod rope;
mod swiglu;

use std::num::NonZeroUsize;
use std::ops::Range;

use crate::ranges::ranges;

/// Multiply-adds that a thread has to have before it is worth its start: some 300 us of work, where starting and ending a
/// thread was measured to take up to 100 us of a core.
const LEAST: usize = 1 << 24;

/// What an element of a row kernel (a norm, a gate, an update) counts against a multiply-add of a product.
const ELEMENT: usize = 16;

/// Threads that share each call. A team of one calls the kernel itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Team {
    threads: NonZeroUsize,
    least: usize,
}

impl Team {
    /// The calling thread alone.
    pub const ALONE: Team = Team::new(NonZeroUsize::MIN);

    /// A team of `threads`, the calling one among them.
    pub const fn new(threads: NonZeroUsize) -> Self {
        Team { threads, least: LEAST }
    }

    /// The number of threads.
    pub fn threads(&self) -> usize {
        self.threads.get()
    }

    /// The threads that so many multiply-adds are worth.
    fn members(&self, work: usize) -> usize {
        self.threads().min(work / self.least).max(1)
    }

    /// The threads that so many elements of a row kernel are worth.
    fn members_for_elements(&self, elements: usize) -> usize {
        self.members(elements.saturating_mul(ELEMENT))
    }
}

/// Runs every task, the first on this thread and each other on one of its own.
fn run<T: Send>(tasks: impl IntoIterator<Item = T>, work: impl Fn(T) + Sync) {
    let mut tasks = tasks.into_iter();
    let Some(own) = tasks.next() else { return };
    std::thread::scope(|scope| {
        for task in tasks {
            let work = &work;
            scope.spawn(move || work(task));
        }
        work(own);
    });
}

/// The units of costs `0 ..` in at most `parts` ranges in order, cut where the running cost passes equal shares.
fn balanced(costs: impl Iterator<Item = usize> + Clone, parts: usize) -> Vec<Range<usize>> {
    let total: usize = costs.clone().sum();
    let mut cuts = Vec::with_capacity(parts);
    let (mut from, mut running, mut count) = (0, 0, 0);
    for cost in costs {
        // A unit goes to the share that holds its middle.
        let share = (2 * running + cost) * parts / (2 * total).max(1);
        if share > cuts.len() && count > from {
            cuts.push(from..count);
            from = count;
        }
        running += cost;
        count += 1;
    }
    if from < count {
        cuts.push(from..count);
    }
    cuts
}

/// Consecutive ranges of rows of `width` as slices of their own.
fn cut<'a, T>(mut data: &'a mut [T], ranges: &[Range<usize>], width: usize) -> Vec<&'a mut [T]> {
    ranges
        .iter()
        .map(|range| {
            let (part, rest) = std::mem::take(&mut data).split_at_mut(range.len() * width);
            data = rest;
            part
        })
        .collect()
}

/// Copies `[rows, part]` to the columns `part` of `[rows, width]`.
fn put_columns(from: &[f32], part: &Range<usize>, out: &mut [f32], width: usize) {
    for (from, out) in from.chunks_exact(part.len()).zip(out.chunks_exact_mut(width)) {
        out[part.clone()].copy_from_slice(from);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Teams of one, two, three and five that split whatever can be split.
    pub(super) fn teams() -> impl Iterator<Item = Team> {
        [1, 2, 3, 5].into_iter().map(|threads| Team { threads: NonZeroUsize::new(threads).expect("not 0"), least: 1 })
    }

    #[test]
    fn balanced_ranges_cover_in_order_and_share_the_cost() {
        for (costs, parts) in [(vec![], 2), (vec![5], 3), (vec![1; 10], 3), (vec![100, 1, 1, 1], 2), (vec![0, 0, 9], 2)]
        {
            let ranges = balanced(costs.iter().copied(), parts);
            assert!(ranges.len() <= parts, "{ranges:?}");
            assert_eq!(ranges.iter().flat_map(Range::clone).collect::<Vec<_>>(), (0..costs.len()).collect::<Vec<_>>());
        }
        // A triangle: half of the cost lies before 1 / sqrt(2) of the rows.
        assert_eq!(balanced(1..=1000, 2), [0..707, 707..1000]);
    }

    #[test]
    fn little_work_stays_on_the_calling_thread() {
        let team = Team::new(NonZeroUsize::new(4).expect("not 0"));
        assert_eq!((team.members(LEAST - 1), team.members(LEAST * 2), team.members(LEAST * 9)), (1, 2, 4));
        assert_eq!(team.members_for_elements(LEAST / ELEMENT * 3), 3);
        assert_eq!(Team::ALONE.members(usize::MAX), 1);
    }

    #[test]
    fn the_first_task_runs_here() {
        let here = std::thread::current().id();
        let elsewhere = std::sync::Mutex::new(Vec::new());
        run(0..3, |task| {
            if std::thread::current().id() != here {
                elsewhere.lock().expect("no panic").push(task);
            }
        });
        let mut elsewhere = elsewhere.into_inner().expect("no panic");
        elsewhere.sort_unstable();
        assert_eq!(elsewhere, [1, 2]);
    }
}
