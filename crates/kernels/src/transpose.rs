//! Transposition in square blocks: through registers where the machine has AVX2, else through the first-level cache.

#[cfg(target_arch = "x86_64")]
use crate::level::{Level, level};

const BLOCK: usize = 8;

/// Four bytes that are moved as they are.
///
/// # Safety
/// The type has the size of an f32, and every pattern of bits is one of its values.
pub(crate) unsafe trait Word: Copy {}
// SAFETY: an f32 itself.
unsafe impl Word for f32 {}
// SAFETY: four bytes, of any pattern.
unsafe impl Word for u32 {}

/// `out[j * out_stride + i] = x[i * stride + j]` for `i < rows`, `j < columns`.
pub(crate) fn transpose<T: Word>(
    x: &[T],
    rows: usize,
    columns: usize,
    stride: usize,
    out: &mut [T],
    out_stride: usize,
) {
    if rows == 0 || columns == 0 {
        return;
    }
    let (whole_rows, whole_columns) = (rows / BLOCK * BLOCK, columns / BLOCK * BLOCK);
    #[cfg(target_arch = "x86_64")]
    let wide = matches!(level(), Level::Avx2 | Level::Avx512);
    for top in (0..whole_rows).step_by(BLOCK) {
        for left in (0..whole_columns).step_by(BLOCK) {
            let x = &x[top * stride + left..];
            let out = &mut out[left * out_stride + top..];
            #[cfg(target_arch = "x86_64")]
            if wide {
                // SAFETY: the level says that this CPU has AVX.
                unsafe { block_avx(x, stride, out, out_stride) };
                continue;
            }
            plain(x, BLOCK, BLOCK, stride, out, out_stride);
        }
    }
    if whole_columns < columns && whole_rows > 0 {
        let out = &mut out[whole_columns * out_stride..];
        plain(&x[whole_columns..], whole_rows, columns - whole_columns, stride, out, out_stride);
    }
    if whole_rows < rows {
        plain(&x[whole_rows * stride..], rows - whole_rows, columns, stride, &mut out[whole_rows..], out_stride);
    }
}

fn plain<T: Word>(x: &[T], rows: usize, columns: usize, stride: usize, out: &mut [T], out_stride: usize) {
    for i in 0..rows {
        for j in 0..columns {
            out[j * out_stride + i] = x[i * stride + j];
        }
    }
}

/// One block of eight by eight: pairs, fours and halves of rows exchanged in turn.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx")]
fn block_avx<T: Word>(x: &[T], stride: usize, out: &mut [T], out_stride: usize) {
    use std::arch::x86_64::*;
    let row = |i: usize| {
        let row: &[T; BLOCK] = x[i * stride..].first_chunk().expect("a row of the block");
        // SAFETY: the reference covers the eight words that are loaded.
        unsafe { _mm256_loadu_ps(row.as_ptr().cast()) }
    };
    let rows: [__m256; BLOCK] = [row(0), row(1), row(2), row(3), row(4), row(5), row(6), row(7)];
    let pairs = |a: usize| (_mm256_unpacklo_ps(rows[a], rows[a + 1]), _mm256_unpackhi_ps(rows[a], rows[a + 1]));
    let (a, b, c, d) = (pairs(0), pairs(2), pairs(4), pairs(6));
    let fours = |a: (__m256, __m256), b: (__m256, __m256)| {
        [
            _mm256_shuffle_ps::<0x44>(a.0, b.0),
            _mm256_shuffle_ps::<0xee>(a.0, b.0),
            _mm256_shuffle_ps::<0x44>(a.1, b.1),
            _mm256_shuffle_ps::<0xee>(a.1, b.1),
        ]
    };
    let (top, bottom) = (fours(a, b), fours(c, d));
    for j in 0..BLOCK / 2 {
        let columns = [
            (j, _mm256_permute2f128_ps::<0x20>(top[j], bottom[j])),
            (j + 4, _mm256_permute2f128_ps::<0x31>(top[j], bottom[j])),
        ];
        for (j, column) in columns {
            let out: &mut [T; BLOCK] = out[j * out_stride..].first_chunk_mut().expect("a column of the block");
            // SAFETY: the reference covers the eight words that are stored.
            unsafe { _mm256_storeu_ps(out.as_mut_ptr().cast(), column) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::level::Level;
    use crate::level::tests::at_level;
    use crate::testing::numbers;

    #[test]
    fn every_element_lands_in_its_place_and_nothing_else_is_touched() {
        let check = || {
            for (rows, columns, stride, out_stride) in [
                (1, 1, 1, 1),
                (8, 8, 8, 8),
                (3, 20, 20, 5),
                (17, 9, 12, 17),
                (40, 33, 50, 41),
                (0, 8, 8, 8),
                (9, 0, 0, 9),
                (16, 7, 7, 16),
            ] {
                let x = numbers(1, rows * stride);
                let mut out = vec![9.0; columns * out_stride];
                transpose(&x, rows, columns, stride, &mut out, out_stride);
                for (at, value) in out.iter().enumerate() {
                    let (i, j) = (at % out_stride, at / out_stride);
                    assert_eq!(*value, if i < rows { x[i * stride + j] } else { 9.0 });
                }
            }
        };
        check();
        at_level(Level::Scalar, check);
    }
}
