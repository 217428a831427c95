//! `y = x W' + b`.

use cohort_kernels::{LinearShape, Team};

use super::{
    operation::{Operation, Values, matrix, sizes, slice},
    parameter::Parameter,
};

/// x `[rows, inputs]`, weight `[outputs, inputs]`, bias `[outputs]`.
#[derive(Clone, Debug)]
pub(super) struct Linear {
    pub x: Values,
    pub weight: Parameter,
    pub bias: Option<Parameter>,
    pub outputs: usize,
}

impl Linear {
    fn shape(&self) -> LinearShape {
        let [rows, inputs] = sizes(&self.x);
        LinearShape { rows, inputs, outputs: self.outputs }
    }
}

impl Operation<1> for Linear {
    fn forward(&mut self, team: Team) -> Values {
        let shape = self.shape();
        let mut out = vec![0.0; shape.rows * shape.outputs];
        let bias = self.bias.as_ref().map(Parameter::numbers);
        team.linear(slice(&self.x), self.weight.numbers(), bias, shape, &mut out);
        matrix(out, shape.rows, shape.outputs)
    }

    fn backward(self, team: Team, d_out: &[f32], [wants_x]: [bool; 1]) -> [Option<Values>; 1] {
        let shape = self.shape();
        let d_x = wants_x.then(|| {
            let mut d_x = vec![0.0; shape.rows * shape.inputs];
            team.linear_grad_input(d_out, self.weight.numbers(), shape, &mut d_x);
            matrix(d_x, shape.rows, shape.inputs)
        });
        self.weight.differentiate(|d_weight| team.linear_grad_weight(d_out, slice(&self.x), shape, d_weight));
        if let Some(bias) = &self.bias {
            bias.differentiate(|d_bias| team.linear_grad_bias(d_out, shape, d_bias));
        }
        [d_x]
    }
}
