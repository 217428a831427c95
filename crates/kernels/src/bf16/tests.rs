//! Products against the law, spelt out, and against f32.

use half::bf16;

use super::*;
use crate::level::Level;
use crate::level::tests::at_level;
use crate::linear::{LinearShape, linear, linear_grad_input, linear_grad_weight, linear_grad_weight_by};
use crate::stored::Matrix;
use crate::testing::{assert_close, bits, numbers, wide};
use crate::weight::{Arithmetic, Weight};

const SIZES: [(usize, usize, usize); 12] = [
    (0, 3, 2),
    (1, 1, 1),
    (2, 3, 70),
    (3, 0, 4),
    (4, 5, 0),
    (5, 100, 64),
    (7, 100, 48),
    (12, 1023, 63),
    (15, 1025, 129),
    (33, 2100, 5),
    (64, 896, 200),
    (1100, 20, 130),
];

/// The chain of the law over the terms of one element.
fn law(terms: impl Iterator<Item = (f32, f32)>) -> f32 {
    let flushed = |x: f32| if x.abs() < f32::MIN_POSITIVE { 0.0_f32.copysign(x) } else { x };
    let round = |x: f32| flushed(bf16::from_f32(x).to_f32());
    let mut terms: Vec<(f32, f32)> = terms.map(|(a, b)| (round(a), round(b))).collect();
    if terms.len() % 2 == 1 {
        terms.push((0.0, 0.0));
    }
    let mut total: Option<f32> = None;
    for chunk in terms.chunks(1024) {
        let step = |acc: f32, (a, b): (f32, f32)| flushed(a.mul_add(b, acc));
        let sum = chunk.chunks(2).fold(0.0, |acc, pair| step(step(acc, pair[1]), pair[0]));
        total = Some(total.map_or(sum, |total| total + sum));
    }
    total.unwrap_or(0.0)
}

/// The output and both gradients.
fn all(x: &[f32], weight: Weight, d_out: &[f32], shape: LinearShape) -> [Vec<f32>; 3] {
    let mut all = [d_out.len(), x.len(), weight.len()].map(|len| vec![f32::NAN; len]);
    let [out, d_x, d_weight] = &mut all;
    linear(x, weight, None, shape, out);
    linear_grad_input(d_out, weight, shape, d_x);
    linear_grad_weight_by(weight.arithmetic(), d_out, x, shape, d_weight);
    all
}

#[test]
fn every_element_is_the_chain_on_every_machine() {
    for (rows, inputs, outputs) in SIZES {
        let shape = LinearShape { rows, inputs, outputs };
        let (mut x, mut weight) = (numbers(1, rows * inputs), numbers(2, inputs * outputs));
        // Among the numbers some that are less than the least normal one, alone or multiplied.
        for (at, x) in x.iter_mut().chain(&mut weight).enumerate().filter(|(at, _)| at % 11 < 3) {
            *x *= [1e-39, 1e-20, 1e-30][at % 11];
        }
        let d_out = numbers(3, rows * outputs);
        let packed = PackedBf16::new(&weight, inputs, outputs);
        let run = || all(&x, Weight::rounded(Matrix::from(&weight), &packed), &d_out, shape);
        let [out, d_x, d_weight] = run();
        for at in (0..out.len()).step_by(out.len() / 1000 + 1) {
            let (r, j) = (at / outputs, at % outputs);
            let expected = law((0..inputs).map(|i| (x[r * inputs + i], weight[j * inputs + i])));
            assert_eq!(out[at].to_bits(), expected.to_bits(), "{shape:?} at {r}, {j}: {} {expected}", out[at]);
        }
        for at in (0..d_x.len()).step_by(d_x.len() / 1000 + 1) {
            let (r, i) = (at / inputs, at % inputs);
            let expected = law((0..outputs).map(|j| (d_out[r * outputs + j], weight[j * inputs + i])));
            assert_eq!(d_x[at].to_bits(), expected.to_bits(), "{shape:?} d_x at {r}, {i}");
        }
        for at in (0..d_weight.len()).step_by(d_weight.len() / 1000 + 1) {
            let (j, i) = (at / inputs, at % inputs);
            let expected = law((0..rows).map(|r| (d_out[r * outputs + j], x[r * inputs + i])));
            assert_eq!(d_weight[at].to_bits(), expected.to_bits(), "{shape:?} d_weight at {j}, {i}");
        }
        for level in [Level::Avx512, Level::Avx2, Level::Neon] {
            let plain = at_level(level, run);
            assert!(plain.is_none_or(|plain| plain.map(|x| bits(&x)) == [&out, &d_x, &d_weight].map(|x| bits(x))));
        }
    }
}

#[test]
fn the_plain_twin_without_fused_steps_differs_below_the_least_normal_number_alone() {
    let shape = LinearShape { rows: 9, inputs: 300, outputs: 70 };
    let (x, weight, d_out) = (numbers(1, 2700), numbers(2, 21_000), numbers(3, 630));
    let packed = PackedBf16::new(&weight, 300, 70);
    let run = || all(&x, Weight::rounded(Matrix::from(&weight), &packed), &d_out, shape).map(|x| bits(&x));
    assert_eq!(at_level(Level::Scalar, run), Some(run()));
}

#[test]
fn products_are_those_of_f32_up_to_the_rounding_of_operands() {
    for (rows, inputs, outputs) in SIZES {
        let shape = LinearShape { rows, inputs, outputs };
        let (x, weight) = (numbers(1, rows * inputs), numbers(2, inputs * outputs));
        let (d_out, bias) = (numbers(3, rows * outputs), numbers(4, outputs));
        let packed = PackedBf16::new(&weight, inputs, outputs);
        let rounded = Weight::rounded(Matrix::from(&weight), &packed);
        let ours = all(&x, rounded, &d_out, shape);
        let mut single = [d_out.len(), x.len(), weight.len()].map(|len| vec![f32::NAN; len]);
        linear(&x, &weight, None, shape, &mut single[0]);
        linear_grad_input(&d_out, &weight, shape, &mut single[1]);
        linear_grad_weight(&d_out, &x, shape, &mut single[2]);
        for (ours, single) in ours.iter().zip(&single) {
            assert_close(ours, &wide(single), 1.0 / 128.0);
        }
        let mut biased = vec![f32::NAN; d_out.len()];
        linear(&x, rounded, Some(&bias), shape, &mut biased);
        for (at, (biased, out)) in biased.iter().zip(&ours[0]).enumerate() {
            assert_eq!(biased.to_bits(), (out + bias[at % outputs]).to_bits());
        }
    }
}

#[test]
fn a_row_does_not_see_its_neighbours() {
    let (x, weight) = (numbers(1, 29 * 1100), numbers(2, 1100 * 200));
    let packed = PackedBf16::new(&weight, 1100, 200);
    let rounded = Weight::rounded(Matrix::from(&weight), &packed);
    let mut whole = vec![f32::NAN; 29 * 200];
    linear(&x, rounded, None, LinearShape { rows: 29, inputs: 1100, outputs: 200 }, &mut whole);
    for (from, to) in [(0, 1), (1, 3), (5, 11), (8, 29)] {
        // Nor do the outputs of a part see the others.
        for part in [0..200, 0..64, 64..200, 128..130] {
            let (rows, outputs) = (to - from, part.len());
            let mut out = vec![f32::NAN; rows * outputs];
            let shape = LinearShape { rows, inputs: 1100, outputs };
            linear(&x[from * 1100..to * 1100], rounded.rows(part.clone(), 1100), None, shape, &mut out);
            for (r, out) in out.chunks(outputs).enumerate() {
                assert_eq!(bits(out), bits(&whole[(from + r) * 200..][part.clone()]));
            }
        }
    }
}

#[test]
fn a_row_of_nan_stays_alone() {
    let shape = LinearShape { rows: 9, inputs: 40, outputs: 24 };
    let (mut x, weight) = (numbers(1, 360), numbers(2, 960));
    let packed = PackedBf16::new(&weight, 40, 24);
    let rounded = Weight::rounded(Matrix::from(&weight), &packed);
    let mut clean = vec![0.0; 216];
    linear(&x, rounded, None, shape, &mut clean);
    x[40..80].fill(f32::NAN);
    let mut out = clean.clone();
    linear(&x, rounded, None, shape, &mut out);
    assert!(out[24..48].iter().all(|x| x.is_nan()));
    assert_eq!((bits(&out[..24]), bits(&out[48..])), (bits(&clean[..24]), bits(&clean[48..])));
}

#[test]
fn a_weight_in_bf16_is_taken_as_it_is_and_a_packed_place_is_used_again() {
    let mut weight = numbers(1, 91 * 11);
    weight[..6].copy_from_slice(&[f32::NAN, f32::INFINITY, -0.0, 1e-40, f32::MAX, f32::from_bits(0x3f80_8000)]);
    let narrow: Vec<bf16> = weight.iter().map(|&x| bf16::from_f32(x)).collect();
    let packed = PackedBf16::new(&weight, 91, 11);
    assert_eq!(packed, PackedBf16::new(&narrow, 91, 11));
    let mut again = PackedBf16::new(&numbers(2, 91 * 11), 91, 11);
    assert_ne!(again, packed);
    again.pack(&weight);
    assert_eq!(again, packed);
    // So are the gradients of both.
    let (d_out, shape) = (numbers(3, 7 * 11), LinearShape { rows: 7, inputs: 91, outputs: 11 });
    let weight = numbers(4, 91 * 11);
    let narrow: Vec<bf16> = weight.iter().map(|&x| bf16::from_f32(x)).collect();
    let packed = PackedBf16::new(&weight, 91, 11);
    let d_x = |stored: Matrix| {
        let mut d_x = vec![f32::NAN; 7 * 91];
        linear_grad_input(&d_out, Weight::rounded(stored, &packed), shape, &mut d_x);
        bits(&d_x)
    };
    assert_eq!(d_x(Matrix::from(&weight)), d_x(Matrix::from(&narrow)));
}

#[test]
#[should_panic(expected = "in panels of 64")]
fn a_packed_weight_is_cut_between_panels() {
    let weight = [0.0; 256];
    let packed = PackedBf16::new(&weight, 2, 128);
    Weight::rounded(Matrix::from(&weight), &packed).rows(16..64, 2);
}

#[test]
fn gradients_can_be_single() {
    assert_eq!(Weight::from(&[1.0_f32; 4]).arithmetic(), Arithmetic::F32);
}
