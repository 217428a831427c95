//! `y = x W'`.

use cohort_kernels::{LinearShape, linear, linear_grad_input, linear_grad_weight};

use super::operation::{Operation, Values, matrix, sizes, slice};

/// x `[rows, inputs]`, weight `[outputs, inputs]`; a bias is added by the graph.
#[derive(Clone, Debug)]
pub(super) struct Linear {
    pub x: Values,
    pub weight: Values,
}

impl Linear {
    fn shape(&self) -> LinearShape {
        let ([rows, inputs], [outputs, _]) = (sizes(&self.x), sizes(&self.weight));
        LinearShape { rows, inputs, outputs }
    }
}

impl Operation<2> for Linear {
    fn forward(&mut self) -> Values {
        let shape = self.shape();
        let mut out = vec![0.0; shape.rows * shape.outputs];
        linear(slice(&self.x), slice(&self.weight), None, shape, &mut out);
        matrix(out, shape.rows, shape.outputs)
    }

    fn backward(self, d_out: &[f32], [wants_x, wants_weight]: [bool; 2]) -> [Option<Values>; 2] {
        let shape = self.shape();
        let d_x = wants_x.then(|| {
            let mut d_x = vec![0.0; shape.rows * shape.inputs];
            linear_grad_input(d_out, slice(&self.weight), shape, &mut d_x);
            matrix(d_x, shape.rows, shape.inputs)
        });
        let d_weight = wants_weight.then(|| {
            let mut d_weight = vec![0.0; shape.outputs * shape.inputs];
            linear_grad_weight(d_out, slice(&self.x), shape, &mut d_weight);
            matrix(d_weight, shape.outputs, shape.inputs)
        });
        [d_x, d_weight]
    }
}
