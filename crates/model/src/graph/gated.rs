//! `y = (silu(gate) * up) W' + b`: the second half of a gated MLP.
//!
//! The product of gate and up is not kept for the way back: it is as large as each of them, and made again at a small part of
//! what the map costs.

use cohort_kernels::Team;

use super::{
    linear::Map,
    operation::{Operation, Values, matrix, sizes, slice},
};

/// gate and up `[rows, inner]`.
#[derive(Clone, Debug)]
pub(super) struct GatedLinear {
    pub gate: Values,
    pub up: Values,
    pub map: Map,
}

impl GatedLinear {
    fn product(&self, team: Team) -> Vec<f32> {
        let mut product = vec![0.0; slice(&self.gate).len()];
        team.swiglu(slice(&self.gate), slice(&self.up), &mut product);
        product
    }
}

impl Operation<2> for GatedLinear {
    fn forward(&mut self, team: Team) -> Values {
        let [rows, _] = sizes(&self.gate);
        self.map.forward(team, &self.product(team), rows)
    }

    fn backward(self, team: Team, d_out: &[f32], _: [bool; 2]) -> [Option<Values>; 2] {
        let [rows, inner] = sizes(&self.gate);
        let d_product = self.map.backward(team, &self.product(team), rows, d_out);
        let (mut d_gate, mut d_up) = (vec![0.0; rows * inner], vec![0.0; rows * inner]);
        team.swiglu_backward(slice(&self.gate), slice(&self.up), &d_product, &mut d_gate, &mut d_up);
        [Some(matrix(d_gate, rows, inner)), Some(matrix(d_up, rows, inner))]
    }
}
