//! Matrices as they are stored: f32, or bf16 that is widened where it is used.

use half::bf16;

use crate::level::dispatch;

/// A row-major matrix in the type that it is stored in. Numbers in bf16 are widened, which is exact, a block at a time
/// into a small buffer, and every sum is one of f32 in the same order: a kernel gives for a bf16 matrix, bit for bit, what
/// it gives for the same matrix widened to f32.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Matrix<'a> {
    /// Used as it is.
    F32(&'a [f32]),
    /// Half the memory, the upper half of an f32.
    Bf16(&'a [bf16]),
}

impl<'a> Matrix<'a> {
    /// The number of elements.
    pub fn len(&self) -> usize {
        match self {
            Matrix::F32(data) => data.len(),
            Matrix::Bf16(data) => data.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The rows `range` of a matrix with rows of `width`.
    pub fn rows(self, range: std::ops::Range<usize>, width: usize) -> Self {
        let span = range.start * width..range.end * width;
        match self {
            Matrix::F32(data) => Matrix::F32(&data[span]),
            Matrix::Bf16(data) => Matrix::Bf16(&data[span]),
        }
    }

    /// Copies all elements to `out`, which is as long.
    pub fn copy_to(self, out: &mut [f32]) {
        assert_eq!(self.len(), out.len(), "Matrix::copy_to: {} elements into {}", self.len(), out.len());
        match self {
            Matrix::F32(data) => out.copy_from_slice(data),
            Matrix::Bf16(data) => widen(data, out),
        }
    }

    /// The elements as f32: themselves, or in `buffer`, which grows to hold them.
    pub(crate) fn widened<'b>(self, buffer: &'b mut Vec<f32>) -> &'b [f32]
    where
        'a: 'b,
    {
        match self {
            Matrix::F32(data) => data,
            Matrix::Bf16(data) => {
                buffer.resize(buffer.len().max(data.len()), 0.0);
                widen(data, &mut buffer[..data.len()]);
                &buffer[..data.len()]
            }
        }
    }
}

impl<'a> From<&'a [f32]> for Matrix<'a> {
    fn from(data: &'a [f32]) -> Self {
        Matrix::F32(data)
    }
}

impl<'a> From<&'a Vec<f32>> for Matrix<'a> {
    fn from(data: &'a Vec<f32>) -> Self {
        Matrix::F32(data)
    }
}

impl<'a, const N: usize> From<&'a [f32; N]> for Matrix<'a> {
    fn from(data: &'a [f32; N]) -> Self {
        Matrix::F32(data)
    }
}

impl<'a> From<&'a [bf16]> for Matrix<'a> {
    fn from(data: &'a [bf16]) -> Self {
        Matrix::Bf16(data)
    }
}

impl<'a> From<&'a Vec<bf16>> for Matrix<'a> {
    fn from(data: &'a Vec<bf16>) -> Self {
        Matrix::Bf16(data)
    }
}

#[inline(always)]
fn widen_body<const FMA: bool>(x: &[bf16], out: &mut [f32]) {
    for (x, out) in x.iter().zip(out) {
        *out = f32::from_bits(u32::from(x.to_bits()) << 16);
    }
}

dispatch! { fn widen(x: &[bf16], out: &mut [f32]) = widen_body }

/// `out[i] = table[rows[i]]`: table `[.., width]`, out `[rows.len(), width]`. An embedding.
pub fn gather<'a>(table: impl Into<Matrix<'a>>, rows: &[u32], width: usize, out: &mut [f32]) {
    let table = table.into();
    let last = rows.iter().max().copied().unwrap_or(0) as usize;
    assert!(
        out.len() == rows.len() * width && table.len().is_multiple_of(width.max(1)),
        "gather: a table of {} and out of {} for {} rows of {width}",
        table.len(),
        out.len(),
        rows.len()
    );
    assert!(
        rows.is_empty() || (last + 1) * width <= table.len(),
        "gather: row {last} of a table of {}",
        table.len() / width.max(1)
    );
    for (&row, out) in rows.iter().zip(out.chunks_exact_mut(width.max(1))) {
        table.rows(row as usize..row as usize + 1, width).copy_to(out);
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::level::Level;
    use crate::level::tests::at_level;
    use crate::testing::{bits, numbers};

    /// Numbers in bf16, and the same widened.
    pub(crate) fn narrow(seed: u64, count: usize) -> (Vec<bf16>, Vec<f32>) {
        let narrow: Vec<bf16> = numbers(seed, count).into_iter().map(bf16::from_f32).collect();
        let wide = narrow.iter().map(|x| x.to_f32()).collect();
        (narrow, wide)
    }

    #[test]
    fn widening_is_exact() {
        let all: Vec<bf16> = (0..=u16::MAX).map(bf16::from_bits).collect();
        let check = || {
            let mut out = vec![0.0; all.len()];
            Matrix::from(&all).copy_to(&mut out);
            for (narrow, wide) in all.iter().zip(&out) {
                assert!(narrow.to_f32() == *wide || narrow.is_nan() && wide.is_nan());
                assert_eq!(wide.to_bits() & 0xffff, 0);
            }
        };
        check();
        at_level(Level::Scalar, check);
    }

    #[test]
    fn rows_are_gathered() {
        let (narrow, wide) = narrow(1, 7 * 5);
        let rows = [3, 0, 6, 3];
        let expected: Vec<f32> = rows.iter().flat_map(|&row| wide[row as usize * 5..][..5].to_vec()).collect();
        for table in [Matrix::from(&narrow), Matrix::from(&wide)] {
            let mut out = vec![f32::NAN; 20];
            gather(table, &rows, 5, &mut out);
            assert_eq!(bits(&out), bits(&expected));
        }
    }

    #[test]
    #[should_panic(expected = "row 7 of a table of 7")]
    fn a_row_past_the_table_is_named() {
        gather(&[0.0; 35], &[7], 5, &mut [0.0; 5]);
    }
}
