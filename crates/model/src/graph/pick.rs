//! `y[i] = x[rows[i]]`: the hidden states that the head reads.

use std::sync::Arc;

use cohort_kernels::Team;

use super::operation::{Operation, Values, matrix, sizes, slice};

/// x `[n, width]`; every row index is below `n`.
#[derive(Clone, Debug)]
pub(super) struct Pick {
    pub x: Values,
    pub rows: Arc<Vec<u32>>,
}

impl Operation<1> for Pick {
    fn forward(&mut self, _: Team) -> Values {
        let [_, width] = sizes(&self.x);
        matrix(rows_of(slice(&self.x), width, &self.rows), self.rows.len(), width)
    }

    /// Adds in the order of `rows`.
    fn backward(self, _: Team, d_out: &[f32], _: [bool; 1]) -> [Option<Values>; 1] {
        let [n, width] = sizes(&self.x);
        let mut d_x = vec![0.0; n * width];
        for (&row, d_out) in self.rows.iter().zip(d_out.chunks_exact(width)) {
            for (d_x, d_out) in d_x[row as usize * width..][..width].iter_mut().zip(d_out) {
                *d_x += *d_out;
            }
        }
        [Some(matrix(d_x, n, width))]
    }
}

/// The named rows of `x`, one after the other.
fn rows_of(x: &[f32], width: usize, rows: &[u32]) -> Vec<f32> {
    let mut out = Vec::with_capacity(rows.len() * width);
    for &row in rows {
        out.extend_from_slice(&x[row as usize * width..][..width]);
    }
    out
}
