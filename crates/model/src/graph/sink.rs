//! Where the derivatives of trained parameters gather, while a tape goes back.
//!
//! The operations of one tape share a sink and add to it themselves, so that a parameter has one buffer however
//! many operations read it (a tied embedding) or parts it has (fused experts), and a frozen one has none.

use std::{
    ops::Range,
    sync::{Mutex, PoisonError},
};

use cohort_core::Gradient;

/// The gradient of one tape: a slot for each trained parameter, empty until something is written to it.
#[derive(Debug)]
pub(crate) struct Sink {
    slots: Vec<Option<Mutex<Slot>>>,
}

#[derive(Debug)]
struct Slot {
    length: usize,
    /// Empty, or of `length`.
    values: Vec<f32>,
    /// Ranges that hold a derivative already; the rest is zero.
    written: Vec<Range<usize>>,
}

impl Slot {
    fn values(&mut self) -> &mut [f32] {
        if self.values.is_empty() {
            self.values = vec![0.0; self.length];
        }
        &mut self.values
    }
}

impl Sink {
    /// Takes the length of each parameter of the model, `None` where it is frozen.
    pub(crate) fn new(lengths: impl IntoIterator<Item = Option<usize>>) -> Self {
        let slot = |length| Mutex::new(Slot { length, values: Vec::new(), written: Vec::new() });
        Self { slots: lengths.into_iter().map(|length| length.map(slot)).collect() }
    }

    pub(super) fn is_trained(&self, parameter: usize) -> bool {
        self.slots[parameter].is_some()
    }

    /// Adds what `compute` writes over its argument to `range` of a parameter's derivative. The first to come writes
    /// in place. Nothing is computed for a frozen parameter.
    pub(super) fn add(&self, parameter: usize, range: Range<usize>, compute: impl FnOnce(&mut [f32])) {
        let Some(slot) = &self.slots[parameter] else { return };
        let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
        if slot.written.iter().any(|written| written.start < range.end && range.start < written.end) {
            let mut more = vec![0.0; range.len()];
            compute(&mut more);
            add(&mut slot.values()[range], &more);
        } else {
            compute(&mut slot.values()[range.clone()]);
            slot.written.push(range);
        }
    }

    /// Adds row `i` of `d` (`[rows.len(), width]`) to row `rows[i]` of the matrix that begins at `from`. What one row
    /// gets is summed in the order of `rows` before it is added.
    pub(super) fn add_rows(&self, parameter: usize, from: usize, width: usize, rows: &[u32], d: &[f32]) {
        let Some(slot) = &self.slots[parameter] else { return };
        let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
        let mut order: Vec<usize> = (0..rows.len()).collect();
        order.sort_by_key(|&at| rows[at]);
        let mut sum = vec![0.0; width];
        for same in order.chunk_by(|&a, &b| rows[a] == rows[b]) {
            sum.fill(0.0);
            same.iter().for_each(|&at| add(&mut sum, &d[at * width..][..width]));
            let begin = from + rows[same[0]] as usize * width;
            add(&mut slot.values()[begin..begin + width], &sum);
            slot.written.push(begin..begin + width);
        }
    }

    /// The derivatives of the trained parameters in their order; zeros where nothing was written.
    pub(crate) fn take(&self) -> Gradient {
        let values = self.slots.iter().flatten().map(|slot| {
            let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
            slot.written.clear();
            slot.values();
            std::mem::take(&mut slot.values)
        });
        Gradient(values.collect())
    }
}

fn add(x: &mut [f32], y: &[f32]) {
    for (x, y) in x.iter_mut().zip(y) {
        *x += *y;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_written_once_and_added_to_after() {
        let sink = Sink::new([Some(6), None, Some(2)]);
        sink.add(0, 0..2, |out| out.copy_from_slice(&[1.0, 2.0]));
        sink.add(0, 4..6, |out| out.copy_from_slice(&[5.0, 6.0]));
        sink.add(0, 0..6, |out| out.fill(10.0));
        sink.add(1, 0..3, |_| unreachable!("frozen"));
        assert!(sink.is_trained(0) && !sink.is_trained(1));
        assert_eq!(sink.take(), Gradient(vec![vec![11.0, 12.0, 10.0, 10.0, 15.0, 16.0], vec![0.0, 0.0]]));
    }

    #[test]
    fn rows_add_to_what_is_there_in_either_order() {
        let rows = |sink: &Sink| sink.add_rows(0, 2, 2, &[1, 0, 1], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        let whole = |sink: &Sink| sink.add(0, 0..6, |out| out.fill(1.0));
        let (first, last) = (Sink::new([Some(6)]), Sink::new([Some(6)]));
        rows(&first);
        whole(&first);
        whole(&last);
        rows(&last);
        let expected = Gradient(vec![vec![1.0, 1.0, 4.0, 5.0, 7.0, 9.0]]);
        assert_eq!(first.take(), expected);
        assert_eq!(last.take(), expected);
    }
}
