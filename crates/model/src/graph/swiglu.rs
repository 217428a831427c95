//! `y = silu(gate) * up`.

use cohort_kernels::Team;

use super::operation::{Operation, Values, matrix, sizes, slice};

/// gate and up `[rows, inner]`.
#[derive(Clone, Debug)]
pub(super) struct SwiGlu {
    pub gate: Values,
    pub up: Values,
}

impl Operation<2> for SwiGlu {
    fn forward(&mut self, team: Team) -> Values {
        let [rows, columns] = sizes(&self.gate);
        let mut out = vec![0.0; rows * columns];
        team.swiglu(slice(&self.gate), slice(&self.up), &mut out);
        matrix(out, rows, columns)
    }

    fn backward(self, team: Team, d_out: &[f32], _: [bool; 2]) -> [Option<Values>; 2] {
        let [rows, columns] = sizes(&self.gate);
        let (mut d_gate, mut d_up) = (vec![0.0; rows * columns], vec![0.0; rows * columns]);
        team.swiglu_backward(slice(&self.gate), slice(&self.up), d_out, &mut d_gate, &mut d_up);
        [Some(matrix(d_gate, rows, columns)), Some(matrix(d_up, rows, columns))]
    }
}
