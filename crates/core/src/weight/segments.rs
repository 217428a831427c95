//! Only some segments of a sample are trained: the first round, the plan.

use crate::{
    method_error::{MethodError, Place, Problem},
    registry::{Axis, Entry, Parameter},
    trajectory::Trajectory,
};

pub(super) const ENTRY: Entry = Entry {
    axis: Axis::Weight,
    name: "segments",
    summary: "only these segments (rounds, plans, ranks) are trained",
    formula: "weight.roles = {segments = {segments = S}}: m_t stays where the action's segment is in S, and is 0 elsewhere. Decides \
              denominators. MOTIF trains round 1 alone, S = [0]: later rounds improve through shared weights.",
    parameters: &[Parameter {
        name: "segments",
        default: "[0]",
        range: "at least one segment, counted from 0",
        meaning: "the segments that are trained",
    }],
    reads: &["segment"],
    source: "MOTIF, arXiv 2507.02851 (gradient on round 1 only)",
    ..Entry::NONE
};

pub(super) fn first() -> Vec<u32> {
    vec![0]
}

pub(super) fn apply(
    segments: &[u32],
    trajectory: &Trajectory,
    place: Place,
    mask: &mut [f64],
) -> Result<(), MethodError> {
    if trajectory.segment.len() != mask.len() {
        let problem = Problem::Length { expected: mask.len(), got: trajectory.segment.len() };
        return Err(MethodError { place, field: "segment".to_owned(), problem });
    }
    mask.iter_mut().zip(&trajectory.segment).filter(|(_, s)| !segments.contains(s)).for_each(|(m, _)| *m = 0.0);
    Ok(())
}
