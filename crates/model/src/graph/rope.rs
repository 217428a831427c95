//! Rotation of queries and keys by their positions.

use std::sync::Arc;

use cohort_kernels::{RopeTable, Team};

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

/// x `[tokens, heads * head_dim]`, let go of once rotated: the way back needs no numbers.
#[derive(Clone, Debug)]
pub(super) struct Rotate {
    pub x: Option<Values>,
    pub rotation: Arc<Rotation>,
}

impl Operation<1> for Rotate {
    fn forward(&mut self, team: Team) -> Values {
        let Some(x) = self.x.take() else { unreachable!("an operation runs forward once") };
        let [rows, columns] = sizes(&x);
        let mut out = slice(&x).to_vec();
        let Rotation { positions, heads, rope: description, table } = &*self.rotation;
        team.rope(&mut out, positions, *heads, description.head_dim, table);
        matrix(out, rows, columns)
    }

    fn backward(self, team: Team, d_out: &[f32], _: [bool; 1]) -> [Option<Values>; 1] {
        let mut d_x = d_out.to_vec();
        let Rotation { positions, heads, rope: description, table } = &*self.rotation;
        team.rope_backward(&mut d_x, positions, *heads, description.head_dim, table);
        let columns = heads * description.head_dim;
        let rows = d_x.len() / columns;
        [Some(matrix(d_x, rows, columns))]
    }
}
