//! `y = x / sqrt(mean(x^2) + eps) * weight`, over rows or over the heads of rows.

use cohort_kernels::{rms_norm, rms_norm_backward};

use super::operation::{Operation, Values, matrix, sizes, slice, vector};

/// x `[rows, heads * width]`, weight `[width]`.
#[derive(Clone, Debug)]
pub(super) struct RmsNorm {
    pub x: Values,
    pub weight: Values,
    pub eps: f32,
}

impl Operation<2> for RmsNorm {
    fn forward(&mut self) -> Values {
        let [rows, columns] = sizes(&self.x);
        let mut out = vec![0.0; rows * columns];
        rms_norm(slice(&self.x), slice(&self.weight), self.eps, &mut out);
        matrix(out, rows, columns)
    }

    fn backward(self, d_out: &[f32], _: [bool; 2]) -> [Option<Values>; 2] {
        let [rows, columns] = sizes(&self.x);
        let mut d_x = vec![0.0; rows * columns];
        let mut d_weight = vec![0.0; slice(&self.weight).len()];
        rms_norm_backward(slice(&self.x), slice(&self.weight), self.eps, d_out, &mut d_x, &mut d_weight);
        [Some(matrix(d_x, rows, columns)), Some(vector(d_weight))]
    }
}
