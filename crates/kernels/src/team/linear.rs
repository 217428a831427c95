//! The affine map and its gradients: cut along rows where there are many, else along the width that comes out.

use std::ops::Range;

use super::{Team, cut, put_columns, ranges, run};
use crate::linear::{
    LinearShape, grad_bias_of, grad_input_of, grad_weight_of, linear, linear_grad_bias, linear_grad_input,
    linear_grad_weight_by,
};
use crate::weight::{Arithmetic, Weight};

/// Rows that a thread needs for the weight that it reads to be well used; with fewer, outputs are cut instead.
const ROWS: usize = 128;

/// The least width of a piece of a gradient. `gemm` sums in one order for every product whose pieces are wider than 64,
/// and in another for some of the smaller ones.
const PIECE: usize = 128;

impl Team {
    /// [`linear`](crate::linear()).
    pub fn linear<'a>(
        &self,
        x: &[f32],
        weight: impl Into<Weight<'a>>,
        bias: Option<&[f32]>,
        shape: LinearShape,
        out: &mut [f32],
    ) {
        let weight = weight.into();
        shape.check("linear", x.len(), weight.len(), out.len());
        let LinearShape { rows, inputs, outputs } = shape;
        let members = self.members(rows * inputs * outputs);
        if members == 1 || bias.is_some_and(|bias| bias.len() != outputs) {
            return linear(x, weight, bias, shape, out);
        }
        if rows >= members * ROWS {
            let parts = ranges(rows, members, 4);
            return run(parts.iter().zip(cut(out, &parts, outputs)), |(part, out)| {
                let shape = LinearShape { rows: part.len(), ..shape };
                linear(&x[part.start * inputs..part.end * inputs], weight, bias, shape, out);
            });
        }
        by_columns(rows, outputs, &ranges(outputs, members, weight.unit()), out, |part, out| {
            let shape = LinearShape { outputs: part.len(), ..shape };
            let bias = bias.map(|bias| &bias[part.clone()]);
            linear(x, weight.rows(part, inputs), bias, shape, out);
        });
    }

    /// [`linear_grad_input`].
    pub fn linear_grad_input<'a>(
        &self,
        d_out: &[f32],
        weight: impl Into<Weight<'a>>,
        shape: LinearShape,
        d_x: &mut [f32],
    ) {
        let weight = weight.into();
        shape.check("linear_grad_input", d_x.len(), weight.len(), d_out.len());
        let LinearShape { rows, inputs, outputs } = shape;
        let members = self.members(rows * inputs * outputs);
        let (by_rows, by_inputs) = (members.min(rows / PIECE), members.min(inputs / PIECE));
        // Vectors take another way through `gemm`, with another order of sums.
        if by_rows.max(by_inputs) < 2 || rows < 2 || inputs < 2 {
            return linear_grad_input(d_out, weight, shape, d_x);
        }
        if by_rows >= by_inputs {
            let parts = ranges(rows, by_rows, 4);
            return run(parts.iter().zip(cut(d_x, &parts, inputs)), |(part, d_x)| {
                let shape = LinearShape { rows: part.len(), ..shape };
                linear_grad_input(&d_out[part.start * outputs..part.end * outputs], weight, shape, d_x);
            });
        }
        by_columns(rows, inputs, &ranges(inputs, by_inputs, 16), d_x, |part, d_x| {
            grad_input_of(part, d_out, weight, shape, d_x);
        });
    }

    /// [`linear_grad_weight`].
    pub fn linear_grad_weight(&self, d_out: &[f32], x: &[f32], shape: LinearShape, d_weight: &mut [f32]) {
        self.linear_grad_weight_by(Arithmetic::F32, d_out, x, shape, d_weight);
    }

    /// [`linear_grad_weight_by`].
    pub fn linear_grad_weight_by(
        &self,
        arithmetic: Arithmetic,
        d_out: &[f32],
        x: &[f32],
        shape: LinearShape,
        d_weight: &mut [f32],
    ) {
        shape.check("linear_grad_weight", x.len(), d_weight.len(), d_out.len());
        let LinearShape { rows, inputs, outputs } = shape;
        let members = self.members(rows * inputs * outputs);
        let (by_outputs, by_inputs) = (members.min(outputs / PIECE), members.min(inputs / PIECE));
        if by_outputs.max(by_inputs) < 2 || outputs < 2 || inputs < 2 {
            return linear_grad_weight_by(arithmetic, d_out, x, shape, d_weight);
        }
        if by_outputs >= by_inputs {
            let parts = ranges(outputs, by_outputs, 16);
            return run(parts.iter().zip(cut(d_weight, &parts, inputs)), |(part, d_weight)| {
                grad_weight_of(arithmetic, part.clone(), 0..inputs, d_out, x, shape, d_weight);
            });
        }
        by_columns(outputs, inputs, &ranges(inputs, by_inputs, 16), d_weight, |part, d_weight| {
            grad_weight_of(arithmetic, 0..outputs, part, d_out, x, shape, d_weight);
        });
    }

    /// [`linear_grad_bias`].
    pub fn linear_grad_bias(&self, d_out: &[f32], shape: LinearShape, d_bias: &mut [f32]) {
        let members = self.members_for_elements(d_out.len());
        if members == 1 || d_out.len() != shape.rows * shape.outputs || d_bias.len() != shape.outputs {
            return linear_grad_bias(d_out, shape, d_bias);
        }
        let parts = ranges(shape.outputs, members, 16);
        run(parts.iter().zip(cut(d_bias, &parts, 1)), |(part, d_bias)| {
            grad_bias_of(d_out, shape.outputs, part.start, d_bias);
        });
    }
}

/// Fills `[rows, width]` by its columns: each thread has a compact part of its own, which is then copied into place.
fn by_columns(
    rows: usize,
    width: usize,
    parts: &[Range<usize>],
    out: &mut [f32],
    fill: impl Fn(Range<usize>, &mut [f32]) + Sync,
) {
    let mut pieces: Vec<Vec<f32>> = parts.iter().map(|part| vec![0.0; rows * part.len()]).collect();
    run(parts.iter().zip(&mut pieces), |(part, piece)| fill(part.clone(), piece));
    for (part, piece) in parts.iter().zip(&pieces) {
        put_columns(piece, part, out, width);
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::teams;
    use super::*;
    use crate::bf16::PackedBf16;
    use crate::stored::{Matrix, tests::narrow};
    use crate::testing::{bits, numbers};

    #[test]
    fn every_team_gives_the_same_bits() {
        let sizes = [
            (0, 3, 5),
            (1, 1, 1),
            (1, 40, 33),
            (2, 600, 70),
            (7, 513, 300),
            (64, 300, 515),
            (130, 64, 20),
            (300, 20, 17),
            (700, 33, 129),
            (1, 300, 300),
            (300, 1, 300),
            (300, 300, 1),
            (2, 290, 2),
            (1100, 130, 260),
        ];
        for (rows, inputs, outputs) in sizes {
            let shape = LinearShape { rows, inputs, outputs };
            let (x, weight, bias) = (numbers(1, rows * inputs), numbers(2, inputs * outputs), numbers(3, outputs));
            let d_out = numbers(4, rows * outputs);
            let all = |team: Option<Team>| {
                let mut out = [rows * outputs, rows * outputs, rows * inputs, inputs * outputs, outputs]
                    .map(|len| vec![f32::NAN; len]);
                let [plain, biased, d_x, d_weight, d_bias] = &mut out;
                match team {
                    None => {
                        linear(&x, &weight, None, shape, plain);
                        linear(&x, &weight, Some(&bias), shape, biased);
                        linear_grad_input(&d_out, &weight, shape, d_x);
                        linear_grad_weight_by(Arithmetic::F32, &d_out, &x, shape, d_weight);
                        linear_grad_bias(&d_out, shape, d_bias);
                    }
                    Some(team) => {
                        team.linear(&x, &weight, None, shape, plain);
                        team.linear(&x, &weight, Some(&bias), shape, biased);
                        team.linear_grad_input(&d_out, &weight, shape, d_x);
                        team.linear_grad_weight(&d_out, &x, shape, d_weight);
                        team.linear_grad_bias(&d_out, shape, d_bias);
                    }
                }
                out.map(|out| bits(&out))
            };
            let expected = all(None);
            for team in teams() {
                for (which, (actual, expected)) in all(Some(team)).iter().zip(&expected).enumerate() {
                    assert_eq!(actual, expected, "{team:?}, {shape:?}, {which}");
                }
            }
        }
    }

    #[test]
    fn every_team_gives_the_same_bits_for_bf16() {
        for (rows, inputs, outputs) in [(1, 40, 600), (30, 900, 600), (700, 33, 129)] {
            let shape = LinearShape { rows, inputs, outputs };
            let (x, d_out) = (numbers(1, rows * inputs), numbers(2, rows * outputs));
            let (narrow, wide) = narrow(3, inputs * outputs);
            let (mut out, mut d_x) = (vec![f32::NAN; rows * outputs], vec![f32::NAN; rows * inputs]);
            linear(&x, &wide, None, shape, &mut out);
            linear_grad_input(&d_out, &wide, shape, &mut d_x);
            for team in teams() {
                let (mut own_out, mut own_d_x) = (vec![f32::NAN; rows * outputs], vec![f32::NAN; rows * inputs]);
                team.linear(&x, &narrow, None, shape, &mut own_out);
                team.linear_grad_input(&d_out, &narrow, shape, &mut own_d_x);
                assert!(bits(&own_out) == bits(&out) && bits(&own_d_x) == bits(&d_x), "{team:?}, {shape:?}");
            }
        }
    }

    #[test]
    fn every_team_gives_the_same_bits_for_rounded_operands() {
        for (rows, inputs, outputs) in [(1, 40, 600), (30, 900, 600), (700, 33, 129), (300, 300, 1), (1, 300, 300)] {
            let shape = LinearShape { rows, inputs, outputs };
            let (x, weight, bias) = (numbers(1, rows * inputs), numbers(2, inputs * outputs), numbers(3, outputs));
            let d_out = numbers(4, rows * outputs);
            let packed = PackedBf16::new(&weight, inputs, outputs);
            let rounded = Weight::rounded(Matrix::from(&weight), &packed);
            let all = |team: Team| {
                let mut out = [rows * outputs, rows * inputs, inputs * outputs].map(|len| vec![f32::NAN; len]);
                team.linear(&x, rounded, Some(&bias), shape, &mut out[0]);
                team.linear_grad_input(&d_out, rounded, shape, &mut out[1]);
                team.linear_grad_weight_by(Arithmetic::Bf16, &d_out, &x, shape, &mut out[2]);
                out.map(|out| bits(&out))
            };
            for team in teams() {
                assert!(all(team) == all(Team::ALONE), "{team:?}, {shape:?}");
            }
        }
    }

    #[test]
    #[should_panic(expected = "a bias of 3 for 64 outputs")]
    fn a_wrong_bias_is_refused_as_by_the_kernel() {
        let team = teams().last().expect("a team");
        let shape = LinearShape { rows: 2, inputs: 8, outputs: 64 };
        team.linear(&[0.0; 16], &[0.0; 512], Some(&[0.0; 3]), shape, &mut [0.0; 128]);
    }
}
