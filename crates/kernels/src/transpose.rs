//! Transposition in blocks that stay in the first-level cache.

const BLOCK: usize = 16;

/// `out[j * out_stride + i] = x[i * stride + j]` for `i < rows`, `j < columns`.
pub(crate) fn transpose(x: &[f32], rows: usize, columns: usize, stride: usize, out: &mut [f32], out_stride: usize) {
    for top in (0..rows).step_by(BLOCK) {
        let height = BLOCK.min(rows - top);
        for left in (0..columns).step_by(BLOCK) {
            let width = BLOCK.min(columns - left);
            if height == BLOCK && width == BLOCK {
                let mut tile = [[0.0f32; BLOCK]; BLOCK];
                for i in 0..BLOCK {
                    let row = &x[(top + i) * stride + left..][..BLOCK];
                    for j in 0..BLOCK {
                        tile[j][i] = row[j];
                    }
                }
                for (j, row) in tile.iter().enumerate() {
                    out[(left + j) * out_stride + top..][..BLOCK].copy_from_slice(row);
                }
            } else {
                for i in top..top + height {
                    for j in left..left + width {
                        out[j * out_stride + i] = x[i * stride + j];
                    }
                }
            }
        }
    }
}
