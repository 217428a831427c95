//! The affine map and its gradients over tiles: a panel of the right operand stays in the second-level cache while all rows of
//! the left one meet it.

use std::cell::RefCell;
use std::ops::Range;

use super::pack::{Columns, Panels, pack_rows};
pub(crate) use super::tile::Write;
use super::tile::{PANEL, ROWS, Target, tile};
use crate::linear::LinearShape;
use crate::stored::Matrix;

/// Pairs of a chunk, whose products are summed in registers.
const PAIRS: usize = 512;

/// Buffers that a thread keeps between calls.
struct Scratch {
    left: Vec<u32>,
    panel: Vec<u32>,
    row: Vec<u32>,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> =
        const { RefCell::new(Scratch { left: Vec::new(), panel: Vec::new(), row: Vec::new() }) };
}

/// The first `len` entries of a buffer that grows as needed.
fn room(buffer: &mut Vec<u32>, len: usize) -> &mut [u32] {
    if buffer.len() < len {
        buffer.resize(len, 0);
    }
    &mut buffer[..len]
}

/// The packed left operand.
#[derive(Clone, Copy)]
enum Left<'a> {
    /// `[row][pair]`.
    Rows(&'a [u32]),
    /// `[block of rows][pair][row]`.
    Blocks(&'a [u32]),
}

impl<'a> Left<'a> {
    /// Some pairs of the rows from `row`, and how far they are apart.
    fn rows<const R: usize>(self, row: usize, pairs: usize, chunk: &Range<usize>) -> ([&'a [u32]; R], usize) {
        match self {
            Left::Rows(data) => (std::array::from_fn(|r| &data[(row + r) * pairs + chunk.start..][..chunk.len()]), 1),
            Left::Blocks(data) => {
                let block = &data[(row / ROWS * pairs + chunk.start) * ROWS..][..chunk.len() * ROWS];
                (std::array::from_fn(|r| &block[r..]), ROWS)
            }
        }
    }
}

/// What the right operand's panels are read from.
enum Right<'a> {
    Packed(Panels<'a>),
    /// Packed where it is used.
    Columns(Columns<'a>, &'a mut Vec<u32>),
}

impl Right<'_> {
    fn panel(&mut self, panel: usize, pairs: usize, chunk: &Range<usize>) -> &[u32] {
        match self {
            Right::Packed(panels) => &panels.data[(panel * pairs + chunk.start) * PANEL..][..chunk.len() * PANEL],
            Right::Columns(columns, buffer) => {
                let out = room(buffer, chunk.len() * PANEL);
                columns.pack_panel(panel, chunk.clone(), out);
                out
            }
        }
    }
}

/// `out [rows, columns] = left * right`, or added to it; sums over `pairs`.
fn multiply(left: Left, mut right: Right, [rows, columns, pairs]: [usize; 3], out: &mut [f32], write: Write) {
    if pairs == 0 && write == Write::Set {
        out.fill(0.0);
    }
    for from in (0..pairs).step_by(PAIRS) {
        let chunk = from..pairs.min(from + PAIRS);
        let write = if from == 0 { write } else { Write::Add };
        for panel in 0..columns.div_ceil(PANEL) {
            let begin = panel * PANEL;
            let width = PANEL.min(columns - begin);
            let data = right.panel(panel, pairs, &chunk);
            for row in (0..rows).step_by(ROWS) {
                let target = Target { out: &mut out[row * columns + begin..], stride: columns, columns: width, write };
                macro_rules! tile_of {
                    ($rows:literal) => {{
                        let (left, step) = left.rows::<$rows>(row, pairs, &chunk);
                        tile(left, step, data, target);
                    }};
                }
                match rows - row {
                    1 => tile_of!(1),
                    2 => tile_of!(2),
                    3 => tile_of!(3),
                    4 => tile_of!(4),
                    5 => tile_of!(5),
                    _ => tile_of!(6),
                }
            }
        }
    }
}

/// `out[r][j] = sum_i x[r][i] * weight[j][i]`.
pub(crate) fn linear(x: &[f32], weight: Panels, rows: usize, out: &mut [f32]) {
    let Panels { inputs, outputs, .. } = weight;
    if rows == 0 || outputs == 0 {
        return;
    }
    let pairs = inputs.div_ceil(2);
    SCRATCH.with_borrow_mut(|Scratch { left, .. }| {
        let left = room(left, rows * pairs);
        if inputs > 0 {
            pack_rows(x, inputs, left);
        }
        multiply(Left::Rows(left), Right::Packed(weight), [rows, outputs, pairs], out, Write::Set);
    });
}

/// `d_x[r][i] = sum_j d_out[r][j] * weight[j][i]` for the columns `part`, as `[rows, part]`.
pub(crate) fn grad_input(
    part: Range<usize>,
    d_out: &[f32],
    weight: Matrix,
    shape: LinearShape,
    d_x: &mut [f32],
    write: Write,
) {
    let LinearShape { rows, inputs, outputs } = shape;
    if rows == 0 || part.is_empty() {
        return;
    }
    let pairs = outputs.div_ceil(2);
    let columns = Columns { matrix: weight, width: inputs, from: part.start, columns: part.len() };
    SCRATCH.with_borrow_mut(|Scratch { left, panel, .. }| {
        let left = room(left, rows * pairs);
        if outputs > 0 {
            pack_rows(d_out, outputs, left);
        }
        multiply(Left::Rows(left), Right::Columns(columns, panel), [rows, part.len(), pairs], d_x, write);
    });
}

/// `d_weight[j][i] = sum_r d_out[r][j] * x[r][i]` for the outputs `of` and the inputs `part`, as `[of, part]`.
pub(crate) fn grad_weight(
    of: Range<usize>,
    part: Range<usize>,
    d_out: &[f32],
    x: &[f32],
    shape: LinearShape,
    d_weight: &mut [f32],
    write: Write,
) {
    let LinearShape { rows, inputs, outputs } = shape;
    if of.is_empty() || part.is_empty() {
        return;
    }
    let pairs = rows.div_ceil(2);
    let d_out = Columns { matrix: Matrix::F32(d_out), width: outputs, from: of.start, columns: of.len() };
    let x = Columns { matrix: Matrix::F32(x), width: inputs, from: part.start, columns: part.len() };
    SCRATCH.with_borrow_mut(|Scratch { left, panel, row }| {
        let left = room(left, of.len().next_multiple_of(ROWS) * pairs);
        d_out.pack_blocks(pairs, row, left);
        multiply(Left::Blocks(left), Right::Columns(x, panel), [of.len(), part.len(), pairs], d_weight, write);
    });
}
