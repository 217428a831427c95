//! The one copy of a model's weights, shared by the sampler and by every training graph.

use std::ops::Range;

use burn::{
    backend::{Flex, tensor::FloatTensor},
    tensor::TensorData,
};

use crate::layer::{ModelParameters, Place};

/// A parameter's values as Burn's CPU tensor: the training graph's operations share its storage,
/// slice kernels read it in place.
type Storage = FloatTensor<Flex>;

/// Some values of one parameter, sharing its storage: what an operation of a training graph reads.
#[derive(Clone, Debug)]
pub(crate) struct View {
    storage: Storage,
    range: Range<usize>,
}

impl View {
    pub(crate) fn slice(&self) -> &[f32] {
        &self.storage.as_slice::<f32>().unwrap_or_default()[self.range.clone()]
    }
}

/// Values of every parameter, in the order of [`ModelParameters::infos`], row-major f32.
#[derive(Debug)]
pub struct Weights {
    storage: Vec<Storage>,
    shapes: Vec<Vec<usize>>,
}

impl Weights {
    /// Takes the values of one parameter after the other.
    ///
    /// # Panics
    /// `values` has another length than the parameters, or one of them than its shape: the caller
    /// made them from `parameters`.
    pub(crate) fn new(parameters: &ModelParameters, values: impl IntoIterator<Item = Vec<f32>>) -> Self {
        let shapes: Vec<Vec<usize>> = parameters.infos.iter().map(|info| info.shape.clone()).collect();
        let storage: Vec<Storage> =
            values.into_iter().zip(&shapes).map(|(values, shape)| store(values, shape)).collect();
        assert_eq!(storage.len(), shapes.len(), "one list of values a parameter");
        Self { storage, shapes }
    }

    /// Number of parameters.
    pub fn count(&self) -> usize {
        self.storage.len()
    }

    /// The values of parameter `index`.
    pub fn slice(&self, index: usize) -> &[f32] {
        // Storage is made contiguous and in f32 by `store`, and nothing changes its layout.
        self.storage[index].as_slice::<f32>().unwrap_or_default()
    }

    /// The values of parameter `index`, to be changed in place. Nothing is copied unless a
    /// training graph still holds the storage, and a graph borrows the policy for as long as it lives.
    pub fn slice_mut(&mut self, index: usize) -> &mut [f32] {
        self.storage[index].storage_mut::<f32>()
    }

    /// Whether nothing but this holds the storage of parameter `index`.
    pub fn is_unique(&self, index: usize) -> bool {
        self.storage[index].is_unique()
    }

    /// Bytes of all values.
    pub(crate) fn bytes(&self) -> u64 {
        (0..self.count()).map(|index| size_of_val(self.slice(index)) as u64).sum()
    }

    /// Shape of parameter `index`.
    pub fn shape(&self, index: usize) -> &[usize] {
        &self.shapes[index]
    }

    /// The values of the matrix at `place`, `[rows, columns]`.
    pub(crate) fn matrix(&self, place: Place) -> &[f32] {
        &self.slice(place.parameter)[self.range(place)]
    }

    /// Where `place` stands among the values of its parameter.
    pub(crate) fn range(&self, place: Place) -> Range<usize> {
        let columns = self.columns(place.parameter);
        place.from * columns..(place.from + place.rows) * columns
    }

    /// The last dimension of parameter `index`.
    pub(crate) fn columns(&self, index: usize) -> usize {
        self.shapes[index].last().copied().unwrap_or(1)
    }

    /// These values of parameter `index`, for an operation to hold: storage is shared.
    pub(crate) fn view(&self, index: usize, range: Range<usize>) -> View {
        View { storage: self.storage[index].clone(), range }
    }

    /// A copy with storage of its own.
    pub fn duplicate(&self) -> Self {
        let storage = (0..self.count()).map(|index| store(self.slice(index).to_vec(), &self.shapes[index])).collect();
        Self { storage, shapes: self.shapes.clone() }
    }
}

fn store(values: Vec<f32>, shape: &[usize]) -> Storage {
    Storage::from_data(TensorData::new(values, shape.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer::{
        Attention, Bias, ExpertLayout, FeedShape, Head, HeadNorm, Layer, LayerKind, Mlp, Rope, RopeScaling,
    };

    fn kind(inner: usize) -> LayerKind {
        LayerKind { window: None, feed: FeedShape::Dense(Mlp { inner, bias: Bias::Absent }) }
    }

    #[test]
    fn values_are_taken_and_shared_without_a_copy() {
        let layer = Layer {
            width: 8,
            norm_eps: 1e-6,
            attention: Attention {
                query_heads: 1,
                kv_heads: 1,
                head_dim: 8,
                input_bias: Bias::Absent,
                output_bias: Bias::Absent,
                head_norm: HeadNorm::Absent,
                rope: Rope { theta: 1e4, head_dim: 8, scaling: RopeScaling::Default },
            },
        };
        let parameters = ModelParameters::new(9, &layer, &[kind(8)], Head::Tied, ExpertLayout::Separate);
        let values: Vec<Vec<f32>> = parameters.infos.iter().map(|info| vec![0.5; info.element_count()]).collect();
        let places: Vec<*const f32> = values.iter().map(|values| values.as_ptr()).collect();
        let mut weights = Weights::new(&parameters, values);
        for (index, &place) in places.iter().enumerate() {
            assert_eq!(weights.slice(index).as_ptr(), place);
        }
        let shared = weights.view(0, 0..4);
        assert!(!weights.is_unique(0));
        drop(shared);
        weights.slice_mut(0)[3] = 2.0;
        assert!(weights.slice(0).as_ptr() == places[0] && weights.slice(0)[3] == 2.0);
        assert_ne!(weights.duplicate().slice(0).as_ptr(), places[0]);
    }
}
