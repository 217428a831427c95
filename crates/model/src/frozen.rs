//! Matrix that are never written: owned, or a part of a mapped file.

use std::{ops::Range, sync::Arc};

use cohort_kernels::Matrix;
use half::bf16;
use memmap2::Mmap;

/// A copy as f32: exact.
pub(crate) fn widened(values: Matrix) -> Vec<f32> {
    let mut out = vec![0.0; values.len()];
    values.copy_to(&mut out);
    out
}

/// Numbers shared by the policies that read them.
#[derive(Clone, Debug)]
pub(crate) struct Frozen(Arc<Source>);

#[derive(Debug)]
enum Source {
    F32(Vec<f32>),
    Bf16(Vec<bf16>),
    /// Bytes of a file that were seen to be whole numbers at their alignment.
    MappedF32(Arc<Mmap>, Range<usize>),
    MappedBf16(Arc<Mmap>, Range<usize>),
}

impl From<Vec<f32>> for Frozen {
    fn from(values: Vec<f32>) -> Self {
        Self(Arc::new(Source::F32(values)))
    }
}

impl From<Vec<bf16>> for Frozen {
    fn from(values: Vec<bf16>) -> Self {
        Self(Arc::new(Source::Bf16(values)))
    }
}

impl Frozen {
    /// The f32 numbers at `range` of a file; `None` where they are not aligned.
    pub(crate) fn map_f32(map: &Arc<Mmap>, range: Range<usize>) -> Option<Self> {
        bytemuck::try_cast_slice::<u8, f32>(map.get(range.clone())?).ok()?;
        Some(Self(Arc::new(Source::MappedF32(Arc::clone(map), range))))
    }

    /// The same of bf16.
    pub(crate) fn map_bf16(map: &Arc<Mmap>, range: Range<usize>) -> Option<Self> {
        bytemuck::try_cast_slice::<u8, bf16>(map.get(range.clone())?).ok()?;
        Some(Self(Arc::new(Source::MappedBf16(Arc::clone(map), range))))
    }

    /// Bytes that are not the mapped file's.
    pub(crate) fn owned_bytes(&self) -> u64 {
        match &*self.0 {
            Source::F32(values) => size_of_val(values.as_slice()) as u64,
            Source::Bf16(values) => size_of_val(values.as_slice()) as u64,
            Source::MappedF32(..) | Source::MappedBf16(..) => 0,
        }
    }

    pub(crate) fn values(&self) -> Matrix<'_> {
        match &*self.0 {
            Source::F32(values) => Matrix::F32(values),
            Source::Bf16(values) => Matrix::Bf16(values),
            // Both casts were tried when the value was made.
            Source::MappedF32(map, range) => Matrix::F32(bytemuck::cast_slice(&map[range.clone()])),
            Source::MappedBf16(map, range) => Matrix::Bf16(bytemuck::cast_slice(&map[range.clone()])),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bf16_is_widened_exactly() {
        let values = [1.0f32, -2.5, 3.0e38, 1.0e-38, -0.0].map(bf16::from_f32);
        let frozen = Frozen::from(values.to_vec());
        for (wide, value) in widened(frozen.values()).iter().zip(&values) {
            assert_eq!(wide.to_bits(), u32::from(value.to_bits()) << 16);
        }
    }
}
