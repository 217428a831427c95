//! The tensors of a policy as bytes: those of a directory of its weights, and those that are frozen.

use cohort_core::{NumberType, ParameterInfo, StoredTensor, policy::show_bytes};
use cohort_kernels::Matrix;
use half::bf16;

use crate::policy::TextPolicy;

impl TextPolicy {
    /// The parameters that a directory of the policy's weights holds.
    pub(crate) fn stored_indices(&self) -> impl Iterator<Item = usize> + '_ {
        let is_adapter = self.adapter.is_some();
        (0..self.parameters.infos.len()).filter(move |&index| !is_adapter || self.parameters.is_adapter(index))
    }

    pub(crate) fn frozen_indices(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.weights.count()).filter(|&index| self.weights.slot(index).is_none())
    }

    /// Parameter `index`, in what it is held in unless told.
    pub(crate) fn stored_tensor(&self, index: usize, written: Option<NumberType>) -> StoredTensor {
        let ParameterInfo { name, shape } = self.parameters.infos[index].clone();
        let numbers = written.unwrap_or(match self.weights.values(index) {
            Matrix::F32(_) => NumberType::F32,
            Matrix::Bf16(_) => NumberType::Bf16,
        });
        StoredTensor { name, shape, numbers }
    }
}

/// Shows values as little-endian bytes of `written`, or of what they are held in.
pub(crate) fn show(values: Matrix, written: Option<NumberType>, look: &mut dyn FnMut(&[u8])) {
    match (values, written) {
        (Matrix::F32(values), Some(NumberType::Bf16)) => values.chunks(16_384).for_each(|part| {
            let bytes: Vec<u8> = part.iter().flat_map(|&v| bf16::from_f32(v).to_le_bytes()).collect();
            look(&bytes);
        }),
        (Matrix::F32(values), _) => show_bytes(values, look),
        (Matrix::Bf16(values), Some(NumberType::F32)) => values.chunks(16_384).for_each(|part| {
            let wide: Vec<f32> = part.iter().map(|v| v.to_f32()).collect();
            show_bytes(&wide, look);
        }),
        (Matrix::Bf16(values), _) => values.chunks(16_384).for_each(|part| {
            let bytes: Vec<u8> = part.iter().flat_map(|v| v.to_le_bytes()).collect();
            look(&bytes);
        }),
    }
}
