//! Rounding to bf16, and the orders in which operands are laid out for the tiles.
//!
//! Two neighbours along the summed dimension stand in one `u32`, the first of them in the low half.

use half::bf16;

use super::tile::{PANEL, ROWS};
use crate::level::dispatch;
use crate::stored::Matrix;
use crate::transpose::transpose;

/// A weight rounded to bf16 and packed once for many products: panels of 64 outputs, `[panel][pair of inputs][output]`, zeros behind
/// the last input and output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackedBf16 {
    inputs: usize,
    outputs: usize,
    data: Vec<u32>,
}

/// Some panels of a [`PackedBf16`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Panels<'a> {
    pub(super) inputs: usize,
    pub(super) outputs: usize,
    pub(super) data: &'a [u32],
}

impl PackedBf16 {
    /// Packs a weight `[outputs, inputs]`; f32 is rounded to nearest, ties to even.
    pub fn new<'a>(weight: impl Into<Matrix<'a>>, inputs: usize, outputs: usize) -> Self {
        let data = vec![0; outputs.div_ceil(PANEL) * PANEL * inputs.div_ceil(2)];
        let mut packed = PackedBf16 { inputs, outputs, data };
        packed.pack(weight);
        packed
    }

    /// Packs other values of the weight in the same place.
    pub fn pack<'a>(&mut self, weight: impl Into<Matrix<'a>>) {
        let PackedBf16 { inputs, outputs, ref mut data } = *self;
        let weight = weight.into();
        assert_eq!(weight.len(), inputs * outputs, "PackedBf16: a weight for [{outputs}, {inputs}]");
        let pairs = inputs.div_ceil(2);
        if pairs == 0 {
            return;
        }
        let (mut wide, mut rows) = (Vec::new(), vec![0; PANEL * pairs]);
        for (panel, data) in data.chunks_exact_mut(PANEL * pairs).enumerate() {
            let from = panel * PANEL;
            let count = PANEL.min(outputs - from);
            let weight = weight.rows(from..from + count, inputs).widened(&mut wide);
            rows.fill(0);
            pack_rows(weight, inputs, &mut rows);
            transpose(&rows, PANEL, pairs, pairs, data, PANEL);
        }
    }

    /// All of it.
    pub fn panels(&self) -> Panels<'_> {
        Panels { inputs: self.inputs, outputs: self.outputs, data: &self.data }
    }

    /// Bytes of the packed numbers.
    pub fn bytes(&self) -> usize {
        size_of_val(self.data.as_slice())
    }
}

impl<'a> Panels<'a> {
    /// The outputs `range`, which begins where a panel does.
    pub(crate) fn rows(self, range: std::ops::Range<usize>) -> Self {
        assert!(
            range.start.is_multiple_of(PANEL) && range.end <= self.outputs,
            "outputs {range:?} of {} in panels of {PANEL}",
            self.outputs
        );
        let panel = PANEL * self.inputs.div_ceil(2);
        let data = &self.data[range.start / PANEL * panel..range.end.div_ceil(PANEL) * panel];
        Panels { outputs: range.len(), data, ..self }
    }

    /// The number of elements of the weight.
    pub(crate) fn len(&self) -> usize {
        self.inputs * self.outputs
    }
}

#[inline(always)]
fn rounded(x: f32) -> u32 {
    let bits = x.to_bits();
    // To nearest, ties to even; a NaN stays one.
    let rounded = bits.wrapping_add(0x7fff + ((bits >> 16) & 1)) >> 16;
    if x.is_nan() { (bits >> 16) | 0x40 } else { rounded }
}

#[inline(always)]
fn round_row_body<const FMA: bool>(x: &[f32], out: &mut [u32]) {
    let (pairs, rest) = x.as_chunks::<2>();
    for (out, [low, high]) in out.iter_mut().zip(pairs) {
        *out = rounded(*low) | rounded(*high) << 16;
    }
    if let (Some(out), [last]) = (out.last_mut(), rest) {
        *out = rounded(*last);
    }
}

#[inline(always)]
fn interleave_body<const FMA: bool>(low: &[f32], high: &[f32], out: &mut [u32]) {
    for (out, (low, high)) in out.iter_mut().zip(low.iter().zip(high)) {
        *out = rounded(*low) | rounded(*high) << 16;
    }
}

#[inline(always)]
fn interleave_narrow_body<const FMA: bool>(low: &[bf16], high: &[bf16], out: &mut [u32]) {
    for (out, (low, high)) in out.iter_mut().zip(low.iter().zip(high)) {
        *out = u32::from(low.to_bits()) | u32::from(high.to_bits()) << 16;
    }
}

dispatch! {
    /// A row as pairs of its neighbours, with a zero behind an odd last one.
    fn round_row(x: &[f32], out: &mut [u32]) = round_row_body
}
dispatch! {
    /// Two rows as pairs, element by element.
    fn interleave(low: &[f32], high: &[f32], out: &mut [u32]) = interleave_body
}
dispatch! { fn interleave_narrow(low: &[bf16], high: &[bf16], out: &mut [u32]) = interleave_narrow_body }

/// `[row][pair of columns]` of a matrix `[rows, width]`, for sums along its rows.
pub(super) fn pack_rows(x: &[f32], width: usize, out: &mut [u32]) {
    for (x, out) in x.chunks_exact(width).zip(out.chunks_exact_mut(width.div_ceil(2))) {
        round_row(x, out);
    }
}

/// The columns `from .. from + columns` of a matrix with rows of `width`, for sums along its columns.
#[derive(Clone, Copy)]
pub(super) struct Columns<'a> {
    pub matrix: Matrix<'a>,
    pub width: usize,
    pub from: usize,
    pub columns: usize,
}

impl Columns<'_> {
    /// The columns `from .. from + count` of the rows `2 * pair` and the next, or a row of zeros behind the last, into `out`.
    fn pair(&self, pair: usize, from: usize, count: usize, out: &mut [u32]) {
        let at = 2 * pair * self.width + self.from + from;
        let next = at + self.width..at + self.width + count;
        match self.matrix {
            Matrix::F32(x) if next.end <= x.len() => interleave(&x[at..at + count], &x[next], out),
            Matrix::F32(x) => interleave(&x[at..at + count], &vec![0.0; count], out),
            Matrix::Bf16(x) if next.end <= x.len() => interleave_narrow(&x[at..at + count], &x[next], out),
            Matrix::Bf16(x) => interleave_narrow(&x[at..at + count], &vec![bf16::ZERO; count], out),
        }
    }

    /// `[pair][column]` of one panel of columns, zeros behind the last one.
    pub(super) fn pack_panel(&self, panel: usize, pairs: std::ops::Range<usize>, out: &mut [u32]) {
        let from = panel * PANEL;
        let count = PANEL.min(self.columns - from);
        for (pair, out) in pairs.zip(out.as_chunks_mut::<PANEL>().0) {
            let (out, behind) = out.split_at_mut(count);
            self.pair(pair, from, count, out);
            behind.fill(0);
        }
    }

    /// `[block of columns][pair][column]` of all columns in blocks of [`ROWS`], zeros behind the last one.
    pub(super) fn pack_blocks(&self, pairs: usize, row: &mut Vec<u32>, out: &mut [u32]) {
        row.clear();
        row.resize(self.columns.next_multiple_of(ROWS), 0);
        for pair in 0..pairs {
            self.pair(pair, 0, self.columns, &mut row[..self.columns]);
            for (block, numbers) in row.as_chunks::<ROWS>().0.iter().enumerate() {
                out[(block * pairs + pair) * ROWS..][..ROWS].copy_from_slice(numbers);
            }
        }
    }
}
