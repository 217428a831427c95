//! The one copy of a model's weights, shared by the sampler and by every training graph.

use std::{ops::Range, sync::Arc};

use burn::{
    backend::{Flex, tensor::FloatTensor},
    tensor::TensorData,
};

use cohort_kernels::{Matrix, PackedBf16, Weight};

use crate::{
    frozen::{Frozen, widened},
    layer::{ModelParameters, Place},
    packed::Packed,
};

/// A trained parameter's values as Burn's CPU tensor: the training graph's operations share its storage,
/// slice kernels read it in place.
type Storage = FloatTensor<Flex>;

/// Some values of one parameter, sharing its storage: what an operation of a training graph reads.
#[derive(Clone, Debug)]
pub(crate) struct View {
    held: Held,
    range: Range<usize>,
    packed: Option<Arc<PackedBf16>>,
}

impl View {
    /// The values of a matrix.
    pub(crate) fn matrix(&self) -> Matrix<'_> {
        self.held.values().rows(self.range.clone(), 1)
    }

    /// The same, as products read it.
    pub(crate) fn weight(&self) -> Weight<'_> {
        weight(self.matrix(), self.packed.as_ref())
    }

    /// The values of a vector, or of a trained parameter: those are f32.
    pub(crate) fn slice(&self) -> &[f32] {
        match self.matrix() {
            Matrix::F32(values) => values,
            Matrix::Bf16(_) => unreachable!("vectors and trained parameters are f32"),
        }
    }
}

/// Values of every parameter, in the order of [`ModelParameters::infos`], row-major.
///
/// Trained parameters are f32 and owned. Frozen ones are shared with every duplicate; their matrices are f32 or bf16,
/// owned or a view of the mapped file, their vectors f32.
#[derive(Debug)]
pub struct Weights {
    held: Vec<Held>,
    shapes: Vec<Vec<usize>>,
    /// The parameters that are trained, in their order.
    trained: Vec<usize>,
    /// The place of each parameter in `trained`.
    slots: Vec<Option<usize>>,
    /// What is multiplied in bf16.
    packed: Packed,
}

fn weight<'a>(stored: Matrix<'a>, packed: Option<&'a Arc<PackedBf16>>) -> Weight<'a> {
    packed.map_or(Weight::Single(stored), |packed| Weight::rounded(stored, packed))
}

/// Where the values of one parameter are.
#[derive(Clone, Debug)]
pub(crate) enum Held {
    Trained(Storage),
    Frozen(Frozen),
}

impl Held {
    /// Trained values, in the shape of their parameter.
    pub(crate) fn trained(values: Vec<f32>, shape: &[usize]) -> Self {
        Held::Trained(store(values, shape))
    }

    fn values(&self) -> Matrix<'_> {
        match self {
            // Storage is made contiguous and in f32 by `store`, and nothing changes its layout.
            Held::Trained(storage) => Matrix::F32(storage.as_slice::<f32>().unwrap_or_default()),
            Held::Frozen(frozen) => frozen.values(),
        }
    }
}

impl Weights {
    /// Takes the values of one parameter after the other, all of them trained.
    ///
    /// # Panics
    /// As [`Weights::of`].
    pub(crate) fn new(parameters: &ModelParameters, values: impl IntoIterator<Item = Vec<f32>>) -> Self {
        let infos = parameters.infos.iter();
        Self::of(parameters, values.into_iter().zip(infos).map(|(values, info)| Held::trained(values, &info.shape)))
    }

    /// Takes one parameter after the other.
    ///
    /// # Panics
    /// There are more or fewer than `parameters`, or one has another length than its shape: the caller made
    /// them from `parameters`.
    pub(crate) fn of(parameters: &ModelParameters, held: impl IntoIterator<Item = Held>) -> Self {
        let shapes: Vec<Vec<usize>> = parameters.infos.iter().map(|info| info.shape.clone()).collect();
        let held: Vec<Held> = held.into_iter().collect();
        assert_eq!(held.len(), shapes.len(), "one list of values a parameter");
        for (held, info) in held.iter().zip(&parameters.infos) {
            assert_eq!(held.values().len(), info.element_count(), "the values of `{}`", info.name);
        }
        let is_trained = |&index: &usize| matches!(held[index], Held::Trained(_));
        let trained: Vec<usize> = (0..held.len()).filter(is_trained).collect();
        let mut slots = vec![None; held.len()];
        trained.iter().enumerate().for_each(|(slot, &index)| slots[index] = Some(slot));
        Self { held, shapes, trained, slots, packed: Packed::default() }
    }

    /// The same weights, which multiply in bf16 at these places and in f32 elsewhere.
    pub(crate) fn rounded_at(mut self, places: impl IntoIterator<Item = Place>) -> Self {
        self.packed = Packed::new(places, |place| (self.matrix(place), self.columns(place.parameter)));
        self
    }

    /// Whether anything is multiplied in bf16.
    pub(crate) fn is_rounded(&self) -> bool {
        !self.packed.is_empty()
    }

    /// Number of parameters.
    pub fn count(&self) -> usize {
        self.held.len()
    }

    /// The indices of the trained parameters, ascending.
    pub fn trained(&self) -> &[usize] {
        &self.trained
    }

    /// The place of parameter `index` among the trained ones; `None` where it is frozen.
    pub fn slot(&self, index: usize) -> Option<usize> {
        self.slots[index]
    }

    /// The values of parameter `index`.
    pub fn values(&self, index: usize) -> Matrix<'_> {
        self.held[index].values()
    }

    /// The values of parameter `index`, which is trained or no matrix: those are f32.
    pub fn slice(&self, index: usize) -> &[f32] {
        match self.values(index) {
            Matrix::F32(values) => values,
            Matrix::Bf16(_) => unreachable!("parameter {index} is a frozen matrix; `values` shows it"),
        }
    }

    /// Changes the values of the trained parameter `index` in place, and packs them again where they are packed. Nothing is
    /// copied unless a training graph still holds the storage, and a graph borrows the policy for as long as it lives.
    ///
    /// # Panics
    /// The parameter is frozen.
    pub fn write(&mut self, index: usize, change: impl FnOnce(&mut [f32])) {
        match &mut self.held[index] {
            Held::Trained(storage) => change(storage.storage_mut::<f32>()),
            Held::Frozen(_) => panic!("parameter {index} is frozen: it is not written"),
        }
        let columns = self.columns(index);
        self.packed.renew(index, self.held[index].values(), columns);
    }

    /// Whether nothing but this holds the storage of the trained parameter `index`.
    pub fn is_unique(&self, index: usize) -> bool {
        match &self.held[index] {
            Held::Trained(storage) => storage.is_unique(),
            Held::Frozen(_) => false,
        }
    }

    /// Bytes of all values that are in memory of the process: what is mapped is the file's.
    pub(crate) fn bytes(&self) -> u64 {
        let owned = |held: &Held| match held {
            Held::Trained(_) => (size_of::<f32>() * held.values().len()) as u64,
            Held::Frozen(frozen) => frozen.owned_bytes(),
        };
        self.held.iter().map(owned).sum::<u64>() + self.packed.bytes()
    }

    /// Shape of parameter `index`.
    pub fn shape(&self, index: usize) -> &[usize] {
        &self.shapes[index]
    }

    /// The values of the matrix at `place`, `[rows, columns]`.
    pub(crate) fn matrix(&self, place: Place) -> Matrix<'_> {
        self.values(place.parameter).rows(self.range(place), 1)
    }

    /// The matrix at `place` as products read it, `[rows, columns]`.
    pub(crate) fn weight(&self, place: Place) -> Weight<'_> {
        weight(self.matrix(place), self.packed.get(place))
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
        View { held: self.held[index].clone(), range, packed: None }
    }

    /// The matrix at `place`, for an operation to hold.
    pub(crate) fn view_of(&self, place: Place) -> View {
        View { packed: self.packed.get(place).cloned(), ..self.view(place.parameter, self.range(place)) }
    }

    /// The same values with those frozen that `is_frozen` names.
    pub(crate) fn freeze(self, parameters: &ModelParameters, is_frozen: impl Fn(usize) -> bool) -> Self {
        let freeze = |(index, held): (usize, Held)| match held {
            Held::Trained(_) if is_frozen(index) => Held::Frozen(Frozen::from(widened(held.values()))),
            held => held,
        };
        Self::of(parameters, self.held.into_iter().enumerate().map(freeze))
    }

    /// The same values with those frozen ones replaced that `change` gives another value.
    pub(crate) fn map_frozen(
        self,
        parameters: &ModelParameters,
        change: impl Fn(usize, Matrix) -> Option<Vec<f32>>,
    ) -> Self {
        let map = |(index, held): (usize, Held)| match change(index, held.values()) {
            Some(values) => Held::Frozen(Frozen::from(values)),
            None => held,
        };
        Self::of(parameters, self.held.into_iter().enumerate().map(map))
    }

    /// The first parameters, those of `parameters`: what is frozen of them is shared.
    pub(crate) fn first(&self, parameters: &ModelParameters) -> Self {
        let count = parameters.infos.len();
        let first = Self::of(parameters, self.held.iter().zip(&self.shapes).take(count).map(copy));
        Self { packed: self.packed.first(count), ..first }
    }

    /// A copy: what is trained has storage of its own, what is frozen is shared.
    pub fn duplicate(&self) -> Self {
        Self {
            held: self.held.iter().zip(&self.shapes).map(copy).collect(),
            shapes: self.shapes.clone(),
            trained: self.trained.clone(),
            slots: self.slots.clone(),
            packed: self.packed.clone(),
        }
    }
}

fn copy((held, shape): (&Held, &Vec<usize>)) -> Held {
    match held {
        Held::Trained(_) => Held::trained(widened(held.values()), shape),
        Held::Frozen(frozen) => Held::Frozen(frozen.clone()),
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

    fn parameters() -> ModelParameters {
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
        ModelParameters::new(9, &layer, &[kind(8)], Head::Tied, ExpertLayout::Separate)
    }

    #[test]
    fn values_are_taken_and_shared_without_a_copy() {
        let parameters = parameters();
        let values: Vec<Vec<f32>> = parameters.infos.iter().map(|info| vec![0.5; info.element_count()]).collect();
        let places: Vec<*const f32> = values.iter().map(|values| values.as_ptr()).collect();
        let mut weights = Weights::new(&parameters, values);
        for (index, &place) in places.iter().enumerate() {
            assert_eq!(weights.slice(index).as_ptr(), place);
        }
        let shared = weights.view(0, 0..4);
        assert!(!weights.is_unique(0));
        drop(shared);
        weights.write(0, |values| values[3] = 2.0);
        assert!(weights.slice(0).as_ptr() == places[0] && weights.slice(0)[3] == 2.0);
        assert_ne!(weights.duplicate().slice(0).as_ptr(), places[0]);
    }

    #[test]
    fn what_is_packed_follows_what_is_written_and_is_shared_until_then() {
        let parameters = parameters();
        let values = || parameters.infos.iter().map(|info| vec![0.5; info.element_count()]);
        let mut weights = Weights::new(&parameters, values()).rounded_at(parameters.rounded_places());
        let head = parameters.head;
        let packed = |weights: &Weights, place: Place| Arc::clone(weights.packed.get(place).expect("packed"));
        let (before, copy) = (weights.view_of(head), weights.duplicate());
        assert!(Arc::ptr_eq(&packed(&weights, head), &packed(&copy, head)));
        weights.write(head.parameter, |values| values[7] = 3.0);
        assert!(before.weight() == copy.weight(head) && weights.weight(head) != copy.weight(head));
        let anew = Weights::new(
            &parameters,
            values().enumerate().map(|(index, mut values)| {
                if index == head.parameter {
                    values[7] = 3.0;
                }
                values
            }),
        );
        let anew = anew.rounded_at(parameters.rounded_places());
        for place in parameters.rounded_places() {
            assert_eq!(packed(&weights, place), packed(&anew, place));
        }
        assert!(anew.is_rounded() && weights.bytes() > Weights::new(&parameters, values()).bytes());
    }

    #[test]
    fn duplicates_share_what_is_frozen() {
        let parameters = parameters();
        let held = parameters.infos.iter().enumerate().map(|(index, info)| {
            let values = vec![0.5; info.element_count()];
            if index == 2 { Held::trained(values, &info.shape) } else { Held::Frozen(Frozen::from(values)) }
        });
        let weights = Weights::of(&parameters, held);
        let copy = weights.duplicate();
        assert_eq!((weights.trained(), weights.slot(2), weights.slot(3)), (&[2][..], Some(0), None));
        for index in 0..weights.count() {
            let is_shared = weights.slice(index).as_ptr() == copy.slice(index).as_ptr();
            assert_eq!(is_shared, index != 2, "parameter {index}");
        }
    }
}
