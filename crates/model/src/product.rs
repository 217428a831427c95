//! The two products of an adapter: what both interpreters call.

use cohort_kernels::{LinearShape, Team};

/// `x A'` of the adapter `A [rank, in]`, `B [out, rank]`.
pub(crate) fn down(team: Team, x: &[f32], a: &[f32], rows: usize, rank: usize) -> Vec<f32> {
    let mut low = vec![0.0; rows * rank];
    team.linear(x, a, None, LinearShape { rows, inputs: a.len() / rank, outputs: rank }, &mut low);
    low
}

/// `scale * (low B')`: what an adapter adds to its map's output.
pub(crate) fn up(team: Team, low: &[f32], b: &[f32], scale: f32, rows: usize, rank: usize) -> Vec<f32> {
    let outputs = b.len() / rank;
    let mut change = vec![0.0; rows * outputs];
    team.linear(low, b, None, LinearShape { rows, inputs: rank, outputs }, &mut change);
    change.iter_mut().for_each(|x| *x *= scale);
    change
}
