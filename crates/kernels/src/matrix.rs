//! The one call into `gemm`, behind bounds that are checked.

use crate::level::{dispatch, fma};

/// A matrix inside a slice: element `(i, j)` is `data[i * row_stride + j * column_stride]`.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    data: &'a [f32],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl<'a> View<'a> {
    /// `rows` rows of `columns` elements, `stride` apart.
    pub(crate) fn rows(data: &'a [f32], rows: usize, columns: usize, stride: usize) -> Self {
        View { data, rows, columns, row_stride: stride, column_stride: 1 }
    }

    /// The same elements with rows and columns exchanged.
    pub(crate) fn transposed(self) -> Self {
        View {
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            ..self
        }
    }

    /// The columns `from .. from + count`.
    pub(crate) fn columns(self, from: usize, count: usize) -> Self {
        assert!(from + count <= self.columns, "columns {from}..{} of {}", from + count, self.columns);
        View { data: &self.data[(from * self.column_stride).min(self.data.len())..], columns: count, ..self }
    }

    fn extent(&self) -> usize {
        extent(self.rows, self.columns, self.row_stride, self.column_stride)
    }
}

fn extent(rows: usize, columns: usize, row_stride: usize, column_stride: usize) -> usize {
    if rows == 0 || columns == 0 { 0 } else { (rows - 1) * row_stride + (columns - 1) * column_stride + 1 }
}

/// `out = lhs * rhs`, or `out += lhs * rhs`: one pass of `gemm` on this thread. `out` has rows that are `out_stride`
/// apart and contiguous columns.
pub(crate) fn multiply(out: &mut [f32], out_stride: usize, accumulate: bool, lhs: View, rhs: View) {
    let (m, n, k) = (lhs.rows, rhs.columns, lhs.columns);
    assert_eq!(lhs.columns, rhs.rows, "a product of [{m}, {k}] with [{}, {n}]", rhs.rows);
    assert!(m < 2 || n <= out_stride, "rows of {n} columns overlap at stride {out_stride}");
    assert!(
        lhs.extent() <= lhs.data.len() && rhs.extent() <= rhs.data.len() && extent(m, n, out_stride, 1) <= out.len(),
        "a product of [{m}, {k}] with [{k}, {n}] does not fit slices of {}, {} and {}",
        lhs.data.len(),
        rhs.data.len(),
        out.len(),
    );
    // SAFETY: the extents were just checked against the slices, strides are not negative, rows of `out` do not
    // overlap, and `out` is borrowed exclusively. `gemm` reads `out` only when told to accumulate.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out.as_mut_ptr(),
            1,
            out_stride as isize,
            accumulate,
            lhs.data.as_ptr(),
            lhs.column_stride as isize,
            lhs.row_stride as isize,
            rhs.data.as_ptr(),
            rhs.column_stride as isize,
            rhs.row_stride as isize,
            1.0f32,
            1.0f32,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

/// The length of one chain of fused multiply-adds.
pub(crate) const CHUNK: usize = 512;

/// The largest product of rows and columns for which `gemm` may use its horizontal kernels, which sum in another
/// order.
const HORIZONTAL: usize = 256;

/// `out = lhs * rhs` where every element is the chain `acc = fma(lhs[i][k], rhs[k][j], acc)` over each chunk of 512
/// of `k`, with the sums of the chunks added in order.
///
/// `gemm` keeps to that chain except for one row or column, for at most two terms, and where both operands are
/// contiguous along `k` and the product is small; those go through a plain loop.
pub(crate) fn multiply_in_chains(out: &mut [f32], out_stride: usize, lhs: View, rhs: View) {
    let (m, n, k) = (lhs.rows, rhs.columns, lhs.columns);
    let horizontal = lhs.column_stride == 1 && rhs.row_stride == 1 && m * n <= HORIZONTAL;
    if k == 0 {
        for row in out.chunks_mut(out_stride.max(1)).take(m) {
            row[..n].fill(0.0);
        }
    }
    let mut from = 0;
    while from < k {
        let count = CHUNK.min(k - from);
        let lhs = lhs.columns(from, count);
        let rhs = rhs.transposed().columns(from, count).transposed();
        if m < 2 || n < 2 || count < 3 || horizontal {
            chains(out, out_stride, from > 0, lhs, rhs);
        } else {
            multiply(out, out_stride, from > 0, lhs, rhs);
        }
        from += count;
    }
}

#[inline(always)]
fn chains_body<const FMA: bool>(out: &mut [f32], out_stride: usize, accumulate: bool, lhs: View, rhs: View) {
    for i in 0..lhs.rows {
        for j in 0..rhs.columns {
            let mut sum = 0.0;
            for k in 0..lhs.columns {
                let a = lhs.data[i * lhs.row_stride + k * lhs.column_stride];
                let b = rhs.data[k * rhs.row_stride + j * rhs.column_stride];
                sum = fma::<FMA>(a, b, sum);
            }
            let out = &mut out[i * out_stride + j];
            *out = if accumulate { *out + sum } else { sum };
        }
    }
}

dispatch! {
    fn chains(out: &mut [f32], out_stride: usize, accumulate: bool, lhs: View, rhs: View) = chains_body
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{chain_step, numbers};

    #[test]
    fn chains_hold_for_every_layout() {
        for (m, n, k) in [(2, 2, 40), (5, 7, 600), (16, 16, 100), (1, 9, 3), (20, 30, 513)] {
            let (a, b) = (numbers(1, m * k), numbers(2, k * n));
            let lhs = [View::rows(&a, m, k, k), View::rows(&a, k, m, m).transposed()];
            let rhs = [View::rows(&b, k, n, n), View::rows(&b, n, k, k).transposed()];
            for (lhs, rhs) in lhs.into_iter().flat_map(|lhs| rhs.map(|rhs| (lhs, rhs))) {
                let mut out = vec![f32::NAN; m * n];
                multiply_in_chains(&mut out, n, lhs, rhs);
                for (at, out) in out.iter().enumerate() {
                    let term = |acc, p: usize| {
                        let a = lhs.data[at / n * lhs.row_stride + p * lhs.column_stride];
                        chain_step(a, rhs.data[p * rhs.row_stride + at % n * rhs.column_stride], acc)
                    };
                    let first = (0..k.min(CHUNK)).fold(0.0, term);
                    let expected = if k > CHUNK { first + (CHUNK..k).fold(0.0, term) } else { first };
                    assert_eq!(out.to_bits(), expected.to_bits(), "[{m}, {k}] * [{k}, {n}] at {at}");
                }
            }
        }
    }

    #[test]
    #[should_panic(expected = "does not fit slices")]
    fn a_view_past_its_slice_is_refused() {
        let short = [0.0; 5];
        multiply(&mut [0.0; 4], 2, false, View::rows(&short, 2, 3, 3), View::rows(&[0.0; 6], 3, 2, 2));
    }
}
