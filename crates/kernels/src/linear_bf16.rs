//! Products of bf16 with bf16 in f32 sums, by the dot-product instructions of AVX-512 where the machine has them.
//!
//! Both operands are rounded to bf16, so the numbers are not those of [`linear()`](crate::linear()): they are within bf16's
//! tolerance of them, some 2^-8 of the products' sizes.

use std::cell::RefCell;

use crate::level::{dispatch, fma};
use crate::stored::Matrix;

/// Outputs of a panel: three registers of sixteen.
const PANEL: usize = 48;
/// Pairs of inputs whose products are summed in registers before they go to the output.
const PAIRS: usize = 512;

/// A weight rounded to bf16 and packed for [`linear_bf16`], once for many calls: panels of 48 outputs, `[panel][pair of
/// inputs][output]`, zeros behind the last input and output.
#[derive(Clone, Debug)]
pub struct PackedBf16 {
    inputs: usize,
    outputs: usize,
    /// Two numbers each: the even input in the low half.
    data: Vec<u32>,
}

impl PackedBf16 {
    /// Packs a weight `[outputs, inputs]`; f32 is rounded to nearest.
    pub fn new<'a>(weight: impl Into<Matrix<'a>>, inputs: usize, outputs: usize) -> Self {
        let weight = weight.into();
        assert_eq!(weight.len(), inputs * outputs, "PackedBf16: a weight for [{outputs}, {inputs}]");
        let pairs = inputs.div_ceil(2);
        let mut data = vec![0; outputs.div_ceil(PANEL) * PANEL * pairs];
        let (mut row, mut packed) = (vec![0.0; inputs], vec![0; pairs]);
        for output in 0..outputs {
            weight.rows(output..output + 1, inputs).copy_to(&mut row);
            round(&row, &mut packed);
            let panel = &mut data[output / PANEL * PANEL * pairs..];
            for (pair, packed) in packed.iter().enumerate() {
                panel[pair * PANEL + output % PANEL] = *packed;
            }
        }
        PackedBf16 { inputs, outputs, data }
    }

    /// Width of a row that goes in.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// Width of a row that comes out.
    pub fn outputs(&self) -> usize {
        self.outputs
    }
}

#[inline(always)]
fn round_body<const FMA: bool>(x: &[f32], out: &mut [u32]) {
    let half = |x: f32| {
        let bits = x.to_bits();
        // To nearest, ties to even; a NaN stays one.
        let rounded = bits.wrapping_add(0x7fff + ((bits >> 16) & 1)) >> 16;
        if x.is_nan() { (bits >> 16) | 0x40 } else { rounded }
    };
    let (pairs, rest) = x.as_chunks::<2>();
    for (out, [low, high]) in out.iter_mut().zip(pairs) {
        *out = half(*low) | half(*high) << 16;
    }
    if let (Some(out), [last]) = (out.last_mut(), rest) {
        *out = half(*last);
    }
}

dispatch! {
    /// Rounds a row to pairs of bf16, with a zero behind an odd last one.
    fn round(x: &[f32], out: &mut [u32]) = round_body
}

thread_local! {
    static ROWS: RefCell<Vec<u32>> = const { RefCell::new(Vec::new()) };
}

/// `out[r][j] = sum_i bf16(x[r][i]) * bf16(weight[j][i]) + bias[j]` with sums in f32: x `[rows, inputs]`, out
/// `[rows, outputs]`.
///
/// An element is one chain over pairs of inputs in their order, in chunks of 1024 inputs whose sums are added in order. A
/// row does not depend on the number of rows or on its place among them. Machines with AVX-512 BF16 and machines without
/// differ in the last bits of a sum.
pub fn linear_bf16(x: &[f32], weight: &PackedBf16, bias: Option<&[f32]>, rows: usize, out: &mut [f32]) {
    by(x, weight, bias, rows, out, if has_dot_products() { Tile::DotProducts } else { Tile::Plain });
}

/// How a tile is computed.
#[derive(Clone, Copy)]
enum Tile {
    DotProducts,
    Plain,
}

/// Whether this machine has bf16 dot products.
pub fn has_dot_products() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        crate::level() == crate::Level::Avx512 && is_x86_feature_detected!("avx512bf16")
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        false
    }
}

fn by(x: &[f32], weight: &PackedBf16, bias: Option<&[f32]>, rows: usize, out: &mut [f32], tile: Tile) {
    let PackedBf16 { inputs, outputs, data } = weight;
    let (inputs, outputs, pairs) = (*inputs, *outputs, inputs.div_ceil(2));
    assert!(
        x.len() == rows * inputs && out.len() == rows * outputs && bias.is_none_or(|bias| bias.len() == outputs),
        "linear_bf16: slices of {} and {} for {rows} rows of {inputs} to {outputs}",
        x.len(),
        out.len()
    );
    for out in out.chunks_exact_mut(outputs.max(1)) {
        match bias {
            Some(bias) => out.copy_from_slice(bias),
            None => out.fill(0.0),
        }
    }
    if pairs == 0 || outputs == 0 {
        return;
    }
    ROWS.with_borrow_mut(|packed| {
        packed.resize(packed.len().max(rows * pairs), 0);
        for (x, packed) in x.chunks_exact(inputs).zip(packed.chunks_exact_mut(pairs)) {
            round(x, packed);
        }
        for from in (0..pairs).step_by(PAIRS) {
            let count = PAIRS.min(pairs - from);
            for (panel, data) in data.chunks_exact(PANEL * pairs).enumerate() {
                let columns = panel * PANEL..outputs.min((panel + 1) * PANEL);
                let data = &data[from * PANEL..][..count * PANEL];
                let mut row = 0;
                while row < rows {
                    let x = |r: usize| &packed[(row + r) * pairs + from..][..count];
                    let mut sums = [[0.0; PANEL]; 8];
                    let taken = match rows - row {
                        8.. => {
                            sums_of(std::array::from_fn::<_, 8, _>(x), data, &mut sums, tile);
                            8
                        }
                        4.. => {
                            sums_of(std::array::from_fn::<_, 4, _>(x), data, &mut sums, tile);
                            4
                        }
                        2.. => {
                            sums_of(std::array::from_fn::<_, 2, _>(x), data, &mut sums, tile);
                            2
                        }
                        _ => {
                            sums_of([x(0)], data, &mut sums, tile);
                            1
                        }
                    };
                    for (r, sums) in sums.iter().enumerate().take(taken) {
                        let out = &mut out[(row + r) * outputs..][columns.clone()];
                        for (out, sum) in out.iter_mut().zip(sums) {
                            *out += *sum;
                        }
                    }
                    row += taken;
                }
            }
        }
    });
}

fn sums_of<const R: usize>(x: [&[u32]; R], panel: &[u32], sums: &mut [[f32; PANEL]; 8], tile: Tile) {
    match tile {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the tile is chosen only where the machine has every feature that the function enables.
        Tile::DotProducts => unsafe { dot_products(x, panel, sums) },
        _ => {
            for (x, sums) in x.iter().zip(sums) {
                plain(x, panel, sums);
            }
        }
    }
}

#[inline(always)]
fn plain_body<const FMA: bool>(x: &[u32], panel: &[u32], sums: &mut [f32; PANEL]) {
    let low = |pair: u32| f32::from_bits(pair << 16);
    let high = |pair: u32| f32::from_bits(pair & 0xffff_0000);
    for (x, panel) in x.iter().zip(panel.as_chunks::<PANEL>().0) {
        for j in 0..PANEL {
            sums[j] = fma::<FMA>(high(*x), high(panel[j]), sums[j]);
            sums[j] = fma::<FMA>(low(*x), low(panel[j]), sums[j]);
        }
    }
}

dispatch! { fn plain(x: &[u32], panel: &[u32], sums: &mut [f32; PANEL]) = plain_body }

/// `sums[r][j] = sum_p x[r][p] . panel[p][j]` over pairs, each step one rounding of the instruction.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")]
fn dot_products<const R: usize>(x: [&[u32]; R], panel: &[u32], sums: &mut [[f32; PANEL]; 8]) {
    use std::arch::x86_64::*;
    const { assert!(R <= 8) };
    let count = panel.len() / PANEL;
    let x = x.map(|x| &x[..count]);
    let mut accumulators = [[_mm512_setzero_ps(); 3]; R];
    for (p, panel) in panel.as_chunks::<PANEL>().0.iter().enumerate() {
        let pairs = panel.as_ptr();
        // SAFETY: the panel has 48 pairs, three registers; both types are 512 bits without padding.
        let panel: [__m512bh; 3] =
            std::array::from_fn(|i| unsafe { std::mem::transmute(_mm512_loadu_si512(pairs.add(16 * i).cast())) });
        for r in 0..R {
            // SAFETY: every row of `x` was cut to the panel's pairs.
            let pair = unsafe { *x[r].get_unchecked(p) };
            // SAFETY: both types are 512 bits without padding.
            let pair: __m512bh = unsafe { std::mem::transmute(_mm512_set1_epi32(pair as i32)) };
            for i in 0..3 {
                accumulators[r][i] = _mm512_dpbf16_ps(accumulators[r][i], pair, panel[i]);
            }
        }
    }
    for (sums, accumulators) in sums.iter_mut().zip(&accumulators) {
        for (sums, accumulator) in sums.as_chunks_mut::<16>().0.iter_mut().zip(accumulators) {
            // SAFETY: the chunk covers the sixteen floats that are stored.
            unsafe { _mm512_storeu_ps(sums.as_mut_ptr(), *accumulator) };
        }
    }
}

#[cfg(test)]
mod tests {
    use half::bf16;

    use super::*;
    use crate::level::Level;
    use crate::level::tests::at_level;
    use crate::linear::{LinearShape, linear};
    use crate::testing::{assert_close, bits, numbers, wide};

    const SIZES: [(usize, usize, usize); 9] = [
        (0, 3, 2),
        (1, 1, 1),
        (2, 3, 50),
        (3, 0, 4),
        (7, 100, 48),
        (8, 1023, 47),
        (15, 1025, 97),
        (33, 2100, 5),
        (64, 896, 200),
    ];

    #[test]
    fn both_tiles_are_sums_of_the_rounded_numbers() {
        for (rows, inputs, outputs) in SIZES {
            let (x, weight, bias) = (numbers(1, rows * inputs), numbers(2, inputs * outputs), numbers(3, outputs));
            let rounded = |x: &[f32]| wide(&x.iter().map(|&x| bf16::from_f32(x).to_f32()).collect::<Vec<_>>());
            let (narrow_x, narrow_weight) = (rounded(&x), rounded(&weight));
            let mut expected = Vec::new();
            for r in 0..rows {
                for j in 0..outputs {
                    let terms = (0..inputs).map(|i| narrow_x[r * inputs + i] * narrow_weight[j * inputs + i]);
                    expected.push(f64::from(bias[j]) + terms.sum::<f64>());
                }
            }
            let packed = PackedBf16::new(&weight, inputs, outputs);
            let tiles = if has_dot_products() { &[Tile::Plain, Tile::DotProducts][..] } else { &[Tile::Plain] };
            for &tile in tiles {
                let mut out = vec![f32::NAN; rows * outputs];
                by(&x, &packed, Some(&bias), rows, &mut out, tile);
                assert_close(&out, &expected, 3e-6);
            }
            // And within bf16's tolerance of the product in f32.
            let (mut out, mut single) = (vec![f32::NAN; rows * outputs], vec![f32::NAN; rows * outputs]);
            linear_bf16(&x, &packed, Some(&bias), rows, &mut out);
            linear(&x, &weight, Some(&bias), LinearShape { rows, inputs, outputs }, &mut single);
            assert_close(&out, &wide(&single), 1.0 / 128.0);
        }
    }

    #[test]
    fn a_row_does_not_see_its_neighbours() {
        let (x, weight) = (numbers(1, 29 * 1100), numbers(2, 1100 * 60));
        let packed = PackedBf16::new(&weight, 1100, 60);
        let mut all = vec![f32::NAN; 29 * 60];
        linear_bf16(&x, &packed, None, 29, &mut all);
        for (from, to) in [(0, 1), (1, 3), (5, 11), (8, 29)] {
            let mut part = vec![f32::NAN; (to - from) * 60];
            linear_bf16(&x[from * 1100..to * 1100], &packed, None, to - from, &mut part);
            assert_eq!(bits(&part), bits(&all[from * 60..to * 60]));
        }
    }

    #[test]
    fn rounding_is_that_of_bf16_and_a_weight_in_bf16_is_taken_as_it_is() {
        let mut x = numbers(1, 1001);
        x[..6].copy_from_slice(&[f32::NAN, f32::INFINITY, -0.0, 1e-40, f32::MAX, f32::from_bits(0x3f80_8000)]);
        let narrow: Vec<bf16> = x.iter().map(|&x| bf16::from_f32(x)).collect();
        let check = || {
            let mut out = vec![7; 501];
            round(&x, &mut out);
            for (at, narrow) in narrow.iter().enumerate() {
                assert_eq!((out[at / 2] >> (16 * (at % 2))) as u16, narrow.to_bits(), "{}", x[at]);
            }
            assert_eq!(out[500] >> 16, 0);
        };
        check();
        at_level(Level::Scalar, check);
        assert_eq!(PackedBf16::new(&x, 91, 11).data, PackedBf16::new(&narrow, 91, 11).data);
    }
}
