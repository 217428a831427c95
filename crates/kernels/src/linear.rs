//! The affine map of a layer, with a law about its bits, and its gradients.

use std::cell::RefCell;
use std::ops::Range;

use crate::bf16::{self, Write};
use crate::level::dispatch;
use crate::matrix::{View, multiply, multiply_in_chains};
use crate::ranges::ranges;
use crate::stored::Matrix;
use crate::transpose::transpose;
use crate::weight::{Arithmetic, Weight};

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
    pub(crate) fn check(&self, name: &str, x: usize, weight: usize, out: usize) {
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
/// Outputs whose weights are transposed at a time.
const OUTPUT_BLOCK: usize = 1024;
/// Elements of a strip of rows that is widened at a time, to stay within the second-level cache.
const STRIP: usize = 1 << 16;
/// The width of the columns that are widened at a time. `gemm` sums in one order for all products wider than 64.
const COLUMNS: usize = 128;

/// Buffers that a thread keeps between calls.
struct Scratch {
    /// Activations or a weight with features first.
    features: Vec<f32>,
    /// A part of a weight, widened.
    strip: Vec<f32>,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = const { RefCell::new(Scratch { features: Vec::new(), strip: Vec::new() }) };
}

/// `out[r][j] = sum_i x[r][i] * weight[j][i] + bias[j]`: x `[rows, inputs]`, weight `[outputs, inputs]` (the
/// orientation of checkpoints; f32 or bf16), bias `[outputs]`, out `[rows, outputs]`.
///
/// Law: each element is the scalar chain `acc = fma(x[i], w[j][i], acc)` over each chunk of 512 inputs, started at 0,
/// the sums of the chunks added in order and the bias last. A row therefore does not depend, in any bit, on the number
/// of rows or on its place among them.
///
/// With a [`Weight::Rounded`] the operands are rounded to bf16, and an element is the chain that it has there instead.
pub fn linear<'a>(x: &[f32], weight: impl Into<Weight<'a>>, bias: Option<&[f32]>, shape: LinearShape, out: &mut [f32]) {
    let weight = weight.into();
    shape.check("linear", x.len(), weight.len(), out.len());
    match weight {
        Weight::Single(weight) => linear_stored(x, weight, shape, out),
        Weight::Rounded { packed, .. } => bf16::linear(x, packed, shape.rows, out),
    }
    add_bias(bias, shape.outputs, out);
}

fn linear_stored(x: &[f32], weight: Matrix, shape: LinearShape, out: &mut [f32]) {
    let LinearShape { rows, inputs, outputs } = shape;
    if rows == 0 || outputs == 0 {
        return;
    }
    // Which way is taken is a matter of speed alone: the bits are those of the law. Either the activations are
    // transposed or the weight is, whichever is less.
    SCRATCH.with_borrow_mut(|scratch| {
        if rows > 1 && rows * (inputs + outputs) > inputs * outputs {
            weight_transposed(x, weight, shape, scratch, out);
            return;
        }
        for from in (0..rows).step_by(ROW_BLOCK) {
            let count = ROW_BLOCK.min(rows - from);
            let x = &x[from * inputs..][..count * inputs];
            feature_major(x, weight, count, shape, scratch, &mut out[from * outputs..][..count * outputs]);
        }
    });
}

/// The weight transposed in blocks of outputs, which bound the scratch for a vocabulary.
fn weight_transposed(x: &[f32], weight: Matrix, shape: LinearShape, scratch: &mut Scratch, out: &mut [f32]) {
    let LinearShape { rows, inputs, outputs } = shape;
    let count = outputs.div_ceil(outputs.div_ceil(OUTPUT_BLOCK));
    let Scratch { features, strip } = scratch;
    features.resize(features.len().max(inputs * count), 0.0);
    for from in (0..outputs).step_by(count) {
        let count = count.min(outputs - from);
        for top in (0..count).step_by(strip_rows(weight, inputs, count)) {
            let rows = strip_rows(weight, inputs, count).min(count - top);
            let weight = weight.rows(from + top..from + top + rows, inputs).widened(strip);
            transpose(weight, rows, inputs, inputs, &mut features[top..], count);
        }
        let weight = View::rows(&features[..inputs * count], inputs, count, count);
        multiply_in_chains(&mut out[from..], outputs, View::rows(x, rows, inputs, inputs), weight);
    }
}

/// Input and output transposed, so that `gemm` reads the weight along its rows without packing it.
fn feature_major(x: &[f32], weight: Matrix, rows: usize, shape: LinearShape, scratch: &mut Scratch, out: &mut [f32]) {
    let LinearShape { inputs, outputs, .. } = shape;
    // One row is padded to two: `gemm` has kernels of their own for vectors.
    let padded = rows.max(2);
    let Scratch { features, strip } = scratch;
    features.resize(features.len().max((inputs + outputs) * padded), 0.0);
    let (x_features, rest) = features.split_at_mut(inputs * padded);
    let out_features = &mut rest[..outputs * padded];
    if rows == 1 {
        for (pair, x) in x_features.chunks_exact_mut(2).zip(x) {
            pair.copy_from_slice(&[*x, 0.0]);
        }
    } else {
        transpose(x, rows, inputs, inputs, x_features, padded);
    }
    let x = View::rows(x_features, inputs, padded, padded);
    for from in (0..outputs).step_by(strip_rows(weight, inputs, outputs)) {
        let count = strip_rows(weight, inputs, outputs).min(outputs - from);
        let weight = View::rows(weight.rows(from..from + count, inputs).widened(strip), count, inputs, inputs);
        multiply_in_chains(&mut out_features[from * padded..][..count * padded], padded, weight, x);
    }
    if rows == 1 {
        for (pair, out) in out_features.chunks_exact(2).zip(out) {
            *out = pair[0];
        }
    } else {
        transpose(out_features, outputs, rows, padded, out, outputs);
    }
}

/// Rows of a weight that are used at a time: all of them, or as many as a widened strip holds.
fn strip_rows(weight: Matrix, inputs: usize, outputs: usize) -> usize {
    match weight {
        Matrix::F32(_) => outputs,
        Matrix::Bf16(_) => (STRIP / inputs.max(1)).next_multiple_of(48).clamp(48, 512),
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
        SCRATCH.with_borrow_mut(|Scratch { features: scratch, .. }| {
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
    if let Some(bias) = bias
        && !out.is_empty()
    {
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
fn sum_rows_body<const FMA: bool>(x: &[f32], stride: usize, from: usize, out: &mut [f32]) {
    for row in x.chunks_exact(stride) {
        for (out, x) in out.iter_mut().zip(&row[from..]) {
            *out += *x;
        }
    }
}

dispatch! { fn sum_rows(x: &[f32], stride: usize, from: usize, out: &mut [f32]) = sum_rows_body }

/// `d_x[r][i] = sum_j d_out[r][j] * weight[j][i]`, overwriting d_x `[rows, inputs]`. A function of its inputs alone,
/// but without the law of [`linear()`].
pub fn linear_grad_input<'a>(d_out: &[f32], weight: impl Into<Weight<'a>>, shape: LinearShape, d_x: &mut [f32]) {
    let weight = weight.into();
    shape.check("linear_grad_input", d_x.len(), weight.len(), d_out.len());
    grad_input_of(0..shape.inputs, d_out, weight, shape, d_x);
}

/// The columns `part` of [`linear_grad_input`], as `[rows, part]`.
pub(crate) fn grad_input_of(part: Range<usize>, d_out: &[f32], weight: Weight, shape: LinearShape, d_x: &mut [f32]) {
    let weight = match weight {
        Weight::Single(weight) => weight,
        Weight::Rounded { stored, .. } => return bf16::grad_input(part, d_out, stored, shape, d_x, Write::Set),
    };
    let LinearShape { rows, inputs, outputs } = shape;
    let d_out = View::rows(d_out, rows, outputs, outputs);
    match weight {
        Matrix::F32(weight) => {
            let weight = View::rows(weight, outputs, inputs, inputs).columns(part.start, part.len());
            multiply(d_x, part.len(), false, d_out, weight);
        }
        Matrix::Bf16(_) => SCRATCH.with_borrow_mut(|Scratch { strip, .. }| {
            for columns in ranges(part.len(), part.len() / COLUMNS, 16) {
                let count = columns.len();
                strip.resize(strip.len().max(outputs * count), 0.0);
                for (output, out) in strip.chunks_exact_mut(count).enumerate().take(outputs) {
                    let from = output * inputs + part.start + columns.start;
                    weight.rows(from..from + count, 1).copy_to(out);
                }
                let weight = View::rows(strip, outputs, count, count);
                multiply(&mut d_x[columns.start..], part.len(), false, d_out, weight);
            }
        }),
    }
}

/// `d_weight[j][i] = sum_r d_out[r][j] * x[r][i]`, overwriting d_weight `[outputs, inputs]`.
pub fn linear_grad_weight(d_out: &[f32], x: &[f32], shape: LinearShape, d_weight: &mut [f32]) {
    linear_grad_weight_by(Arithmetic::F32, d_out, x, shape, d_weight);
}

/// [`linear_grad_weight`] in the arithmetic of the weight.
pub fn linear_grad_weight_by(
    arithmetic: Arithmetic,
    d_out: &[f32],
    x: &[f32],
    shape: LinearShape,
    d_weight: &mut [f32],
) {
    shape.check("linear_grad_weight", x.len(), d_weight.len(), d_out.len());
    grad_weight_of(arithmetic, 0..shape.outputs, 0..shape.inputs, d_out, x, shape, d_weight);
}

/// The rows `of` and columns `part` of [`linear_grad_weight`], as `[of, part]`.
pub(crate) fn grad_weight_of(
    arithmetic: Arithmetic,
    of: Range<usize>,
    part: Range<usize>,
    d_out: &[f32],
    x: &[f32],
    shape: LinearShape,
    d_weight: &mut [f32],
) {
    if arithmetic == Arithmetic::Bf16 {
        return bf16::grad_weight(of, part, d_out, x, shape, d_weight, Write::Set);
    }
    let LinearShape { rows, inputs, outputs } = shape;
    let d_out = View::rows(d_out, rows, outputs, outputs).columns(of.start, of.len()).transposed();
    let x = View::rows(x, rows, inputs, inputs).columns(part.start, part.len());
    multiply(d_weight, part.len(), false, d_out, x);
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
    if outputs > 0 {
        grad_bias_of(d_out, outputs, 0, d_bias);
    }
}

/// The sums of the columns from `from` of d_out `[rows, outputs]`.
pub(crate) fn grad_bias_of(d_out: &[f32], outputs: usize, from: usize, d_bias: &mut [f32]) {
    d_bias.fill(0.0);
    sum_rows(d_out, outputs, from, d_bias);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stored::tests::narrow;
    use crate::testing::{assert_close, bits, chain_step, numbers};
    use proptest::prelude::*;

    fn law(x: &[f32], weight: &[f32], bias: Option<f32>) -> f32 {
        let mut total = None;
        for (x, weight) in x.chunks(512).zip(weight.chunks(512)) {
            let sum = x.iter().zip(weight).fold(0.0, |acc, (x, w)| chain_step(*x, *w, acc));
            total = Some(total.map_or(sum, |total: f32| total + sum));
        }
        total.unwrap_or(0.0) + bias.unwrap_or(0.0)
    }

    /// Compares up to about `sample` elements of both forms with the law.
    fn check_law(rows: usize, inputs: usize, outputs: usize, with_bias: bool, sample: usize) {
        let shape = LinearShape { rows, inputs, outputs };
        let x = numbers(1, rows * inputs);
        let weight = numbers(2, outputs * inputs);
        let bias = with_bias.then(|| numbers(3, outputs));
        let mut out = vec![f32::NAN; rows * outputs];
        linear(&x, &weight, bias.as_deref(), shape, &mut out);
        let mut transposed = vec![f32::NAN; weight.len()];
        transpose_weight(&weight, inputs, outputs, &mut transposed);
        let mut again = vec![f32::NAN; rows * outputs];
        linear_transposed(&x, &transposed, bias.as_deref(), shape, &mut again);
        assert_eq!(bits(&out), bits(&again), "{shape:?}");
        // A step that is odd walks over all rows and columns.
        for at in (0..out.len()).step_by((out.len() / sample) | 1) {
            let (row, output) = (at / outputs, at % outputs);
            let x = &x[row * inputs..][..inputs];
            let expected = law(x, &weight[output * inputs..][..inputs], bias.as_ref().map(|bias| bias[output]));
            assert_eq!(out[at].to_bits(), expected.to_bits(), "{shape:?} at {row}, {output}: {} {expected}", out[at]);
        }
    }

    #[test]
    fn every_element_is_the_chain() {
        for inputs in [1, 2, 3, 64, 511, 512, 513, 514, 515, 768, 1024, 2048] {
            for rows in [1, 2, 3, 7, 16, 17, 64, 65, 300] {
                for outputs in [1, 2, 3, 16, 20, 33, 64, 65, 256] {
                    check_law(rows, inputs, outputs, rows % 2 == 1, 200);
                }
            }
        }
    }

    #[test]
    fn every_element_is_the_chain_for_few_outputs() {
        for outputs in 1..=20 {
            for rows in [1, 2, 5, 8, 13, 31] {
                for inputs in [1, 3, 100, 512, 513, 768] {
                    check_law(rows, inputs, outputs, outputs % 2 == 1, 10_000);
                }
            }
        }
    }

    #[test]
    fn every_element_is_the_chain_for_large_products() {
        for (rows, inputs, outputs) in [(1025, 512, 1500), (4096, 256, 64), (255, 768, 2049), (2, 896, 4864)] {
            check_law(rows, inputs, outputs, true, 3000);
        }
    }

    #[test]
    fn a_weight_in_bf16_is_the_same_weight_widened() {
        let sizes = [
            (0, 5, 4),
            (1, 40, 9),
            (1, 896, 300),
            (2, 3, 1),
            (7, 513, 600),
            (40, 600, 300),
            (60, 897, 4),
            (300, 70, 130),
        ];
        for (rows, inputs, outputs) in sizes {
            let shape = LinearShape { rows, inputs, outputs };
            let (x, d_out, bias) = (numbers(1, rows * inputs), numbers(2, rows * outputs), numbers(3, outputs));
            let (narrow, wide) = narrow(4, inputs * outputs);
            let run = |weight: Matrix| {
                let (mut out, mut d_x) = (vec![f32::NAN; rows * outputs], vec![f32::NAN; rows * inputs]);
                linear(&x, weight, Some(&bias), shape, &mut out);
                linear_grad_input(&d_out, weight, shape, &mut d_x);
                (bits(&out), bits(&d_x))
            };
            assert!(run(Matrix::from(&narrow)) == run(Matrix::from(&wide)), "{shape:?}");
        }
        // Sums over more than one of gemm's blocks, in pieces of columns.
        let (rows, inputs, outputs) = (60, 900, 1100);
        let shape = LinearShape { rows, inputs, outputs };
        let (d_out, (narrow, wide)) = (numbers(1, rows * outputs), narrow(2, inputs * outputs));
        let (mut from_narrow, mut from_wide) = (vec![f32::NAN; rows * inputs], vec![f32::NAN; rows * inputs]);
        linear_grad_input(&d_out, &narrow, shape, &mut from_narrow);
        linear_grad_input(&d_out, &wide, shape, &mut from_wide);
        assert_eq!(bits(&from_narrow), bits(&from_wide));
    }

    #[test]
    fn a_row_of_nan_stays_alone() {
        for rows in [2, 9, 400] {
            let shape = LinearShape { rows, inputs: 40, outputs: 24 };
            let mut x = numbers(1, rows * 40);
            let weight = numbers(2, 24 * 40);
            let mut clean = vec![0.0; rows * 24];
            linear(&x, &weight, None, shape, &mut clean);
            x[40..80].fill(f32::NAN);
            let mut out = clean.clone();
            linear(&x, &weight, None, shape, &mut out);
            assert!(out[24..48].iter().all(|x| x.is_nan()));
            assert_eq!(bits(&out[..24]), bits(&clean[..24]));
            assert_eq!(bits(&out[48..]), bits(&clean[48..]));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]
        #[test]
        fn every_element_is_the_chain_for_any_shape(rows in 1usize..90, inputs in 0usize..1100, outputs in 1usize..90) {
            check_law(rows, inputs, outputs, rows % 3 == 0, 50);
        }
    }

    #[test]
    fn gradients_are_those_of_the_product() {
        for (rows, inputs, outputs) in [(1, 5, 3), (2, 1, 1), (9, 33, 17), (70, 600, 40), (300, 20, 70)] {
            let shape = LinearShape { rows, inputs, outputs };
            let (x, weight) = (numbers(1, rows * inputs), numbers(2, outputs * inputs));
            let d_out = numbers(3, rows * outputs);
            let (mut d_x, mut d_weight) = (vec![f64::NAN; x.len()], vec![f64::NAN; weight.len()]);
            let mut d_bias = vec![0.0; outputs];
            d_x.fill(0.0);
            d_weight.fill(0.0);
            for r in 0..rows {
                for j in 0..outputs {
                    let d = f64::from(d_out[r * outputs + j]);
                    d_bias[j] += d;
                    for i in 0..inputs {
                        d_x[r * inputs + i] += d * f64::from(weight[j * inputs + i]);
                        d_weight[j * inputs + i] += d * f64::from(x[r * inputs + i]);
                    }
                }
            }
            let mut out = vec![f32::NAN; x.len()];
            linear_grad_input(&d_out, &weight, shape, &mut out);
            assert_close(&out, &d_x, 1e-5);
            let mut out = vec![f32::NAN; weight.len()];
            linear_grad_weight(&d_out, &x, shape, &mut out);
            assert_close(&out, &d_weight, 1e-5);
            let mut out = vec![f32::NAN; outputs];
            linear_grad_bias(&d_out, shape, &mut out);
            assert_close(&out, &d_bias, 1e-5);
        }
    }

    #[test]
    fn nothing_to_do_is_fine() {
        let shape = LinearShape { rows: 0, inputs: 4, outputs: 2 };
        linear(&[], &[0.0; 8], None, shape, &mut []);
        for rows in [1, 2, 9, 300] {
            check_law(rows, 0, 9, true, 100);
        }
        let mut d_weight = [1.0; 8];
        linear_grad_weight(&[], &[], shape, &mut d_weight);
        assert_eq!(d_weight, [0.0; 8]);
    }

    #[test]
    #[should_panic(expected = "weight [2, 4]")]
    fn a_wrong_length_names_the_shapes() {
        linear(&[0.0; 4], &[0.0; 7], None, LinearShape { rows: 1, inputs: 4, outputs: 2 }, &mut [0.0; 2]);
    }
}
