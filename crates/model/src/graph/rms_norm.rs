//! `y = x / sqrt(mean(x^2) + eps) * gain`, over rows or over the heads of rows.

use cohort_kernels::Team;

use super::{
    operation::{Operation, Values, matrix, sizes, slice},
    parameter::Parameter,
};

/// x `[rows, heads * width]`, gain `[width]`.
#[derive(Clone, Debug)]
pub(super) struct RmsNorm {
    pub x: Values,
    pub gain: Parameter,
    pub eps: f32,
}

impl Operation<1> for RmsNorm {
    fn forward(&mut self, team: Team) -> Values {
        let [rows, columns] = sizes(&self.x);
        let mut out = vec![0.0; rows * columns];
        team.rms_norm(slice(&self.x), self.gain.numbers(), self.eps, &mut out);
        matrix(out, rows, columns)
    }

    fn backward(self, team: Team, d_out: &[f32], _: [bool; 1]) -> [Option<Values>; 1] {
        let [rows, columns] = sizes(&self.x);
        let mut d_x = vec![0.0; rows * columns];
        let mut d_gain = vec![0.0; self.gain.numbers().len()];
        team.rms_norm_backward(slice(&self.x), self.gain.numbers(), self.eps, d_out, &mut d_x, &mut d_gain);
        self.gain.differentiate(|out| out.copy_from_slice(&d_gain));
        [Some(matrix(d_x, rows, columns))]
    }
}
