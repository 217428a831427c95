//! The affine map of a layer, with a law about its bits, and its gradients.

use std::cell::RefCell;

use crate::level::dispatch;
use crate::matrix::{View, multiply, multiply_in_chains};
use crate::transpose::transpose;

/// The sizes of a product of activations `[rows, inputs]` with a weight `[outputs, inputs]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinearShape {
    /// Rows of the activations.
    pub rows: usize,
    /// Width of a row that goes in.
    pub inputs: usize,
    /// Width of a row that comes out.
    pub outputs: usize,
}

impl LinearShape {
    fn check(&self, name: &str, x: usize, weight: usize, out: usize) {
        let LinearShape { rows, inputs, outputs } = *self;
        assert!(
            x == rows * inputs && weight == outputs * inputs && out == rows * outputs,
            "{name}: slices of {x}, {weight} and {out} for x [{rows}, {inputs}], weight [{outputs}, {inputs}], \
             out [{rows}, {outputs}]"
        );
    }
}

/// Rows that are multiplied at a time through the feature-major scratch.
const ROW_BLOCK: usize = 256;

thread_local! {
    static SCRATCH: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

/// `out[r][j] = sum_i x[r][i] * weight[j][i] + bias[j]`: x `[rows, inputs]`, weight `[outputs, inputs]` (the
/// orientation of checkpoints), bias `[outputs]`, out `[rows, outputs]`.
///
/// Law: each element is the scalar chain `acc = fma(x[i], w[j][i], acc)` over each chunk of 512 inputs, started at 0,
/// the sums of the chunks added in order and the bias last. A row therefore does not depend, in any bit, on the number
/// of rows or on its place among them.
pub fn linear(x: &[f32], weight: &[f32], bias: Option<&[f32]>, shape: LinearShape, out: &mut [f32]) {
    shape.check("linear", x.len(), weight.len(), out.len());
    let LinearShape { rows, inputs, outputs } = shape;
    if rows == 0 || outputs == 0 {
        return;
    }
    // Which way is taken is a matter of speed alone: the bits are those of the law.
    SCRATCH.with_borrow_mut(|scratch| {
        for from in (0..rows).step_by(ROW_BLOCK) {
            let count = ROW_BLOCK.min(rows - from);
            let x = &x[from * inputs..][..count * inputs];
            feature_major(x, weight, count, shape, scratch, &mut out[from * outputs..][..count * outputs]);
        }
    });
    add_bias(bias, outputs, out);
}

/// Input and output transposed, so that `gemm` reads the weight along its rows without packing it.
fn feature_major(x: &[f32], weight: &[f32], rows: usize, shape: LinearShape, scratch: &mut Vec<f32>, out: &mut [f32]) {
    let LinearShape { inputs, outputs, .. } = shape;
    // One row is padded to two: `gemm` has kernels of their own for vectors.
    let padded = rows.max(2);
    scratch.resize(scratch.len().max((inputs + outputs) * padded), 0.0);
    let (x_features, rest) = scratch.split_at_mut(inputs * padded);
    let out_features = &mut rest[..outputs * padded];
    if rows == 1 {
        for (pair, x) in x_features.chunks_exact_mut(2).zip(x) {
            pair.copy_from_slice(&[*x, 0.0]);
        }
    } else {
        transpose(x, rows, inputs, inputs, x_features, padded);
    }
    let weight = View::rows(weight, outputs, inputs, inputs);
    let x = View::rows(x_features, inputs, padded, padded);
    multiply_in_chains(out_features, padded, weight, x);
    if rows == 1 {
        for (pair, out) in out_features.chunks_exact(2).zip(out) {
            *out = pair[0];
        }
    } else {
        transpose(out_features, outputs, rows, padded, out, outputs);
    }
}

/// `out[j][i] = weight[i][j]`: a weight `[outputs, inputs]` copied to `[inputs, outputs]` for [`linear_transposed`].
pub fn transpose_weight(weight: &[f32], inputs: usize, outputs: usize, out: &mut [f32]) {
    assert!(
        weight.len() == inputs * outputs && out.len() == weight.len(),
        "transpose_weight: slices of {} and {} for weight [{outputs}, {inputs}]",
        weight.len(),
        out.len()
    );
    transpose(weight, outputs, inputs, inputs, out, outputs);
}

/// [`linear()`], bit for bit, with a weight that was transposed once to `[inputs, outputs]`: faster for few rows, where
/// many calls share a weight.
pub fn linear_transposed(x: &[f32], weight: &[f32], bias: Option<&[f32]>, shape: LinearShape, out: &mut [f32]) {
    shape.check("linear_transposed", x.len(), weight.len(), out.len());
    let LinearShape { rows, inputs, outputs } = shape;
    if rows == 0 || outputs == 0 {
        return;
    }
    let weight = View::rows(weight, inputs, outputs, outputs);
    if rows > 1 {
        multiply_in_chains(out, outputs, View::rows(x, rows, inputs, inputs), weight);
    } else {
        SCRATCH.with_borrow_mut(|scratch| {
            scratch.resize(scratch.len().max(2 * (inputs + outputs)), 0.0);
            let (pair, rest) = scratch.split_at_mut(2 * inputs);
            pair[..inputs].copy_from_slice(x);
            pair[inputs..].fill(0.0);
            multiply_in_chains(&mut rest[..2 * outputs], outputs, View::rows(pair, 2, inputs, inputs), weight);
            out.copy_from_slice(&rest[..outputs]);
        });
    }
    add_bias(bias, outputs, out);
}

fn add_bias(bias: Option<&[f32]>, outputs: usize, out: &mut [f32]) {
    if let Some(bias) = bias {
        assert_eq!(bias.len(), outputs, "linear: a bias of {} for {outputs} outputs", bias.len());
        add_row(bias, out);
    }
}

#[inline(always)]
fn add_row_body<const FMA: bool>(bias: &[f32], out: &mut [f32]) {
    for row in out.chunks_exact_mut(bias.len()) {
        for (out, bias) in row.iter_mut().zip(bias) {
            *out += *bias;
        }
    }
}

dispatch! { fn add_row(bias: &[f32], out: &mut [f32]) = add_row_body }

#[inline(always)]
fn sum_rows_body<const FMA: bool>(x: &[f32], out: &mut [f32]) {
    for row in x.chunks_exact(out.len()) {
        for (out, x) in out.iter_mut().zip(row) {
            *out += *x;
        }
    }
}

dispatch! { fn sum_rows(x: &[f32], out: &mut [f32]) = sum_rows_body }

/// `d_x[r][i] = sum_j d_out[r][j] * weight[j][i]`, overwriting d_x `[rows, inputs]`. A function of its inputs alone,
/// but without the law of [`linear()`].
pub fn linear_grad_input(d_out: &[f32], weight: &[f32], shape: LinearShape, d_x: &mut [f32]) {
    shape.check("linear_grad_input", d_x.len(), weight.len(), d_out.len());
    let LinearShape { rows, inputs, outputs } = shape;
    multiply(
        d_x,
        inputs,
        false,
        View::rows(d_out, rows, outputs, outputs),
        View::rows(weight, outputs, inputs, inputs),
    );
}

/// `d_weight[j][i] = sum_r d_out[r][j] * x[r][i]`, overwriting d_weight `[outputs, inputs]`.
pub fn linear_grad_weight(d_out: &[f32], x: &[f32], shape: LinearShape, d_weight: &mut [f32]) {
    shape.check("linear_grad_weight", x.len(), d_weight.len(), d_out.len());
    let LinearShape { rows, inputs, outputs } = shape;
    let d_out = View::rows(d_out, rows, outputs, outputs).transposed();
    multiply(d_weight, inputs, false, d_out, View::rows(x, rows, inputs, inputs));
}

/// `d_bias[j] = sum_r d_out[r][j]`, rows in order, overwriting d_bias `[outputs]`.
pub fn linear_grad_bias(d_out: &[f32], shape: LinearShape, d_bias: &mut [f32]) {
    let LinearShape { rows, outputs, .. } = shape;
    assert!(
        d_out.len() == rows * outputs && d_bias.len() == outputs,
        "linear_grad_bias: slices of {} and {} for d_out [{rows}, {outputs}]",
        d_out.len(),
        d_bias.len()
    );
    d_bias.fill(0.0);
    if outputs > 0 {
        sum_rows(d_out, d_bias);
    }
}
