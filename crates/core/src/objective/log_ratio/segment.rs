//! One ratio a segment: a rank, a round.

use std::collections::BTreeMap;

use super::{Back, Ratios};
use crate::{
    method_error::{MethodError, Place, Problem},
    objective::Seen,
    registry::{Axis, Entry},
    trajectory::Trajectory,
};

pub(in crate::objective) const ENTRY: Entry = Entry {
    axis: Axis::Ratio,
    name: "segment",
    summary: "a ratio a segment: the geometric mean of its actions' ratios",
    formula: "r_k = exp((1/n_k) sum_{i in k} (logp_i - old_logp_i)) over the n_k trained actions of segment k, shared by them; d r_k / d logp_i = r_k / n_k. A segment is a number, wherever its actions stand",
    reads: &["old_logp", "segment"],
    source: "Rank-GRPO: arXiv 2510.20150, rank-level ratio; its repository",
    ..Entry::NONE
};

/// Which segment every action belongs to, numbered in the order of appearance.
pub(in crate::objective) struct Segments {
    pub of: Vec<u32>,
    /// Trained actions of every segment.
    pub trained: Vec<f64>,
}

impl Segments {
    /// # Errors
    /// No segments, or not one an action.
    pub fn new(trajectory: &Trajectory, mask: &[f64], place: Place) -> Result<Self, MethodError> {
        let given = &trajectory.segment;
        if given.is_empty() && !mask.is_empty() {
            return Err(MethodError::missing(place, "segment"));
        }
        if given.len() != mask.len() {
            let problem = Problem::Length { expected: mask.len(), got: given.len() };
            return Err(MethodError { place, field: "segment".to_owned(), problem });
        }
        let mut numbers = BTreeMap::new();
        let mut trained: Vec<f64> = Vec::new();
        let mut of: Vec<u32> = Vec::with_capacity(mask.len());
        for (i, (&segment, &m)) in given.iter().zip(mask).enumerate() {
            // A look-up only where a run of one segment ends.
            let number = if i > 0 && given[i - 1] == segment {
                of[i - 1]
            } else {
                let next = numbers.len() as u32;
                *numbers.entry(segment).or_insert(next)
            };
            if number as usize == trained.len() {
                trained.push(0.0);
            }
            trained[number as usize] += f64::from(u8::from(m != 0.0));
            of.push(number);
        }
        Ok(Self { of, trained })
    }

    pub(super) fn backward(self, upstream: &[f64], mask: &[f64], logp: &mut [f64]) {
        let mut totals = vec![0.0; self.trained.len()];
        for (&k, u) in self.of.iter().zip(upstream) {
            totals[k as usize] += u;
        }
        for (i, &k) in self.of.iter().enumerate().filter(|&(i, _)| mask[i] != 0.0) {
            logp[i] += totals[k as usize] / self.trained[k as usize];
        }
    }
}

pub(super) fn of<'a>(seen: &Seen<'a>, mask: &[f64], place: Place) -> Result<Ratios<'a>, MethodError> {
    let segments = Segments::new(seen.trajectory, mask, place)?;
    let mut sums = vec![0.0; segments.trained.len()];
    for (i, &k) in segments.of.iter().enumerate().filter(|&(i, _)| mask[i] != 0.0) {
        sums[k as usize] += seen.rows.logp[i] - seen.old_logp[i];
    }
    let ratio = |sum: f64, n: f64| if n > 0.0 { (sum / n).exp() } else { 1.0 };
    let ratios: Vec<f64> = sums.iter().zip(&segments.trained).map(|(sum, n)| ratio(*sum, *n)).collect();
    Ok(Ratios { values: segments.of.iter().map(|&k| ratios[k as usize]).collect(), back: Back::Segments(segments) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{advantage::Credit, row::Rows};

    #[test]
    fn a_segment_that_nobody_trains_has_the_ratio_one() {
        let trajectory = Trajectory { segment: vec![4, 7, 4], mask: vec![1.0, 0.0, 1.0], ..Trajectory::default() };
        let rows = Rows { logp: vec![-1.0, -9.0, -2.0], ..Rows::default() };
        let seen = Seen {
            trajectory: &trajectory,
            credit: &Credit::uniform(1.0, 3),
            rows: &rows,
            old_logp: &[-1.5, -1.0, -2.5],
        };
        let ratios = of(&seen, &trajectory.mask, Place::default()).expect("segments");
        assert_eq!(ratios.values, [0.5f64.exp(), 1.0, 0.5f64.exp()]);
    }
}
