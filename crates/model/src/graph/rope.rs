//! Rotation of queries and keys by their positions.

use std::sync::Arc;

use cohort_kernels::{RopeTable, rope, rope_backward};

use super::operation::{Operation, Values, matrix, sizes, slice};
use crate::layer;

/// The rotation of one kind of head at the positions of a pack.
#[derive(Clone, Debug)]
pub(crate) struct Rotation {
    pub positions: Arc<Vec<u32>>,
    pub heads: usize,
    pub rope: layer::Rope,
    pub table: Arc<RopeTable>,
}

/// x `[tokens, heads * head_dim]`.
#[derive(Clone, Debug)]
pub(super) struct Rotate {
    pub x: Values,
    pub rotation: Arc<Rotation>,
}

impl Operation<1> for Rotate {
    fn forward(&mut self) -> Values {
        let [rows, columns] = sizes(&self.x);
        let mut out = slice(&self.x).to_vec();
        let Rotation { positions, heads, rope: description, table } = &*self.rotation;
        rope(&mut out, positions, *heads, description.head_dim, table);
        matrix(out, rows, columns)
    }

    fn backward(self, d_out: &[f32], _: [bool; 1]) -> [Option<Values>; 1] {
        let [rows, columns] = sizes(&self.x);
        let mut d_x = d_out.to_vec();
        let Rotation { positions, heads, rope: description, table } = &*self.rotation;
        rope_backward(&mut d_x, positions, *heads, description.head_dim, table);
        [Some(matrix(d_x, rows, columns))]
    }
}
