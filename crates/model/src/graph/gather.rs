//! `y[i] = table[rows[i]]`: the embedding, and the hidden states that the head reads.

use std::sync::Arc;

use super::operation::{Operation, Values, matrix, sizes, slice};

/// table `[n, width]`; every row index is below `n`.
#[derive(Clone, Debug)]
pub(super) struct Gather {
    pub table: Values,
    pub rows: Arc<Vec<u32>>,
}

impl Operation<1> for Gather {
    fn forward(&mut self) -> Values {
        let [_, width] = sizes(&self.table);
        let table = slice(&self.table);
        let mut out = Vec::with_capacity(self.rows.len() * width);
        for &row in self.rows.iter() {
            out.extend_from_slice(&table[row as usize * width..][..width]);
        }
        matrix(out, self.rows.len(), width)
    }

    /// Adds in the order of `rows`.
    fn backward(self, d_out: &[f32], _: [bool; 1]) -> [Option<Values>; 1] {
        let [n, width] = sizes(&self.table);
        let mut d_table = vec![0.0; n * width];
        for (&row, d_out) in self.rows.iter().zip(d_out.chunks_exact(width)) {
            for (d_table, d_out) in d_table[row as usize * width..][..width].iter_mut().zip(d_out) {
                *d_table += *d_out;
            }
        }
        [Some(matrix(d_table, n, width))]
    }
}
