//! Every sequence weighs the same.

use crate::{
    objective::log_ratio::Segments,
    registry::{Axis, Entry},
};

pub(in crate::objective) const ENTRY: Entry = Entry {
    axis: Axis::Denominator,
    name: "sequence",
    summary: "the mean over sequences of each one's mean over its trained actions",
    formula: "w_i = m_i / (N sum_j m_j), j over the same sequence, N sequences of the batch; a fully masked sequence counts as one, dropped members and auxiliaries do not",
    source: "GRPO: Shao et al. 2024, arXiv 2402.03300, eq. 3; TRL's loss_type grpo; verl's seq-mean-token-mean",
    ..Entry::NONE
};

pub(in crate::objective) const SEGMENT: Entry = Entry {
    axis: Axis::Denominator,
    name: "segment",
    summary: "the mean over sequences of the mean over segments of each segment's mean",
    formula: "w_i = m_i / (N K M_k), M_k the sum of the masks of i's segment, K the segments of its sequence with a trained action, N sequences of the batch; a fully masked sequence counts as one",
    reads: &["segment"],
    source: "Rank-GRPO: arXiv 2510.20150, the paper's aggregation over ranks",
    unverified: "the repository's aggregation is over tokens, by the framework's default",
    ..Entry::NONE
};

pub(super) fn of_segments(segments: &Segments, mask: &[f64], sequences: f64) -> Vec<f64> {
    let mut sums = vec![0.0; segments.trained.len()];
    for (&k, m) in segments.of.iter().zip(mask) {
        sums[k as usize] += m;
    }
    let trained = segments.trained.iter().filter(|n| **n > 0.0).count() as f64;
    let of = |(&k, &m): (&u32, &f64)| super::over(m, sums[k as usize] * trained * sequences);
    segments.of.iter().zip(mask).map(of).collect()
}
