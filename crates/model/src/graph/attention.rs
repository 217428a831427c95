//! Causal attention within each sequence of a pack, and over what it goes on from.

use std::sync::Arc;

use cohort_kernels::{AttentionShape, Sequences, Team};

use super::operation::{Operation, Values, matrix, sizes, slice};

/// The heads, and where sequences begin.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    pub shape: AttentionShape,
    /// Beginnings, and after the last one the end.
    pub starts: Arc<Vec<usize>>,
    /// What each sequence goes on from.
    pub after: Arc<Vec<Option<usize>>>,
}

impl Layout {
    pub(super) fn sequences(&self) -> Sequences<'_> {
        Sequences::new(&self.starts, &self.after)
    }
}

/// Queries `[tokens, query_heads * head_dim]`, keys and values `[tokens, kv_heads * head_dim]`.
#[derive(Clone, Debug)]
pub(super) struct Attend {
    pub queries: Values,
    pub keys: Values,
    pub values: Values,
    pub layout: Arc<Layout>,
}

impl Operation<3> for Attend {
    fn forward(&mut self, team: Team) -> Values {
        let [rows, columns] = sizes(&self.queries);
        let mut out = vec![0.0; rows * columns];
        let (shape, sequences) = (self.layout.shape, self.layout.sequences());
        team.attention(slice(&self.queries), slice(&self.keys), slice(&self.values), sequences, shape, &mut out);
        matrix(out, rows, columns)
    }

    fn backward(self, team: Team, d_out: &[f32], _: [bool; 3]) -> [Option<Values>; 3] {
        let [rows, columns] = sizes(&self.queries);
        let [_, kv_columns] = sizes(&self.keys);
        let mut d_q = vec![0.0; rows * columns];
        let (mut d_k, mut d_v) = (vec![0.0; rows * kv_columns], vec![0.0; rows * kv_columns]);
        team.attention_backward(
            slice(&self.queries),
            slice(&self.keys),
            slice(&self.values),
            self.layout.sequences(),
            self.layout.shape,
            d_out,
            &mut d_q,
            &mut d_k,
            &mut d_v,
        );
        [Some(matrix(d_q, rows, columns)), Some(matrix(d_k, rows, kv_columns)), Some(matrix(d_v, rows, kv_columns))]
    }
}
