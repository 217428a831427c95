//! `y = x W' + b`, and a low-rank change of it.

use std::{borrow::Cow, sync::Arc};

use cohort_kernels::{LinearShape, Team};

use super::{
    operation::{Operation, Values, matrix, sizes, slice},
    parameter::Parameter,
};
use crate::{
    dropout::Dropout,
    product::{down, up},
};

/// x `[rows, inputs]`.
#[derive(Clone, Debug)]
pub(super) struct Linear {
    pub x: Values,
    pub map: Map,
}

/// weight `[outputs, inputs]`, bias `[outputs]`.
#[derive(Clone, Debug)]
pub(super) struct Map {
    pub weight: Parameter,
    pub bias: Option<Parameter>,
    pub change: Option<LowRank>,
    pub outputs: usize,
}

/// `scale * (x A') B'`, with a `[rank, inputs]` and b `[outputs, rank]`; x goes through the noise first, where there is any.
#[derive(Clone, Debug)]
pub(super) struct LowRank {
    pub a: Parameter,
    pub b: Parameter,
    pub scale: f32,
    pub noise: Option<AdapterNoise>,
}

/// The noise of one adapter.
#[derive(Clone, Debug)]
pub(super) struct AdapterNoise {
    pub dropout: Arc<Dropout>,
    /// Its first matrix.
    pub adapter: usize,
}

impl AdapterNoise {
    fn apply(&self, x: &mut [f32]) {
        self.dropout.apply(x, self.adapter);
    }
}

impl LowRank {
    fn rank(&self, inputs: usize) -> usize {
        self.a.numbers().len() / inputs
    }

    /// What goes into the first product.
    fn given<'x>(&self, x: &'x [f32]) -> Cow<'x, [f32]> {
        let Some(noise) = &self.noise else { return Cow::Borrowed(x) };
        let mut x = x.to_vec();
        noise.apply(&mut x);
        Cow::Owned(x)
    }

    /// Adds the change to `out`.
    fn forward(&self, team: Team, x: &[f32], LinearShape { rows, inputs, .. }: LinearShape, out: &mut [f32]) {
        let rank = self.rank(inputs);
        let low = down(team, &self.given(x), self.a.numbers(), rows, rank);
        add(out, &up(team, &low, self.b.numbers(), self.scale, rows, rank));
    }

    /// Adds to `d_x`; `x A'` is computed again, and the noise drawn again.
    fn backward(&self, team: Team, x: &[f32], shape: LinearShape, d_out: &[f32], d_x: &mut [f32]) {
        let LinearShape { rows, inputs, outputs } = shape;
        let rank = self.rank(inputs);
        let x = self.given(x);
        let (to_low, from_low) =
            (LinearShape { rows, inputs, outputs: rank }, LinearShape { rows, inputs: rank, outputs });
        let d_change: Vec<f32> = d_out.iter().map(|d| self.scale * d).collect();
        self.b.differentiate(|d_b| {
            let low = down(team, &x, self.a.numbers(), rows, rank);
            team.linear_grad_weight(&d_change, &low, from_low, d_b);
        });
        let mut d_low = vec![0.0; rows * rank];
        team.linear_grad_input(&d_change, self.b.numbers(), from_low, &mut d_low);
        self.a.differentiate(|d_a| team.linear_grad_weight(&d_low, &x, to_low, d_a));
        let mut more = vec![0.0; rows * inputs];
        team.linear_grad_input(&d_low, self.a.numbers(), to_low, &mut more);
        self.noise.iter().for_each(|noise| noise.apply(&mut more));
        add(d_x, &more);
    }
}

fn add(x: &mut [f32], y: &[f32]) {
    for (x, y) in x.iter_mut().zip(y) {
        *x += *y;
    }
}

impl Map {
    /// The output for x `[rows, inputs]`.
    pub(super) fn forward(&self, team: Team, x: &[f32], rows: usize) -> Values {
        let shape = self.shape(x, rows);
        let mut out = vec![0.0; rows * shape.outputs];
        let bias = self.bias.as_ref().map(Parameter::numbers);
        team.linear(x, self.weight.weight(), bias, shape, &mut out);
        if let Some(change) = &self.change {
            change.forward(team, x, shape, &mut out);
        }
        matrix(out, rows, shape.outputs)
    }

    /// The derivative for x. Those of parameters go to the sink.
    pub(super) fn backward(&self, team: Team, x: &[f32], rows: usize, d_out: &[f32]) -> Vec<f32> {
        let shape = self.shape(x, rows);
        let mut d_x = vec![0.0; x.len()];
        team.linear_grad_input(d_out, self.weight.weight(), shape, &mut d_x);
        let arithmetic = self.weight.weight().arithmetic();
        self.weight.differentiate(|d_weight| team.linear_grad_weight_by(arithmetic, d_out, x, shape, d_weight));
        if let Some(bias) = &self.bias {
            bias.differentiate(|d_bias| team.linear_grad_bias(d_out, shape, d_bias));
        }
        if let Some(change) = &self.change {
            change.backward(team, x, shape, d_out, &mut d_x);
        }
        d_x
    }

    fn shape(&self, x: &[f32], rows: usize) -> LinearShape {
        LinearShape { rows, inputs: x.len() / rows.max(1), outputs: self.outputs }
    }
}

impl Operation<1> for Linear {
    fn forward(&mut self, team: Team) -> Values {
        let [rows, _] = sizes(&self.x);
        self.map.forward(team, slice(&self.x), rows)
    }

    /// An input is always an activation of the graph, so its derivative is always wanted.
    fn backward(self, team: Team, d_out: &[f32], _: [bool; 1]) -> [Option<Values>; 1] {
        let [rows, inputs] = sizes(&self.x);
        [Some(matrix(self.map.backward(team, slice(&self.x), rows, d_out), rows, inputs))]
    }
}
