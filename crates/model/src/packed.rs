//! The matrices of a policy that multiplies in bf16, rounded and packed: once for every change of the weights.

use std::{collections::HashMap, sync::Arc};

use cohort_kernels::{Matrix, PackedBf16};

use crate::layer::{Feed, Gated, ModelParameters, Place};

/// What is multiplied in bf16, by its place: nothing in a policy that multiplies in f32. Duplicates share what neither has
/// written since.
#[derive(Clone, Debug, Default)]
pub(crate) struct Packed(HashMap<Place, Arc<PackedBf16>>);

impl Packed {
    /// Packs the matrices at `places`, whose numbers and columns `of` gives.
    pub(crate) fn new<'a>(places: impl IntoIterator<Item = Place>, of: impl Fn(Place) -> (Matrix<'a>, usize)) -> Self {
        let pack = |place: Place| {
            let (values, columns) = of(place);
            (place, Arc::new(PackedBf16::new(values, columns, place.rows)))
        };
        Self(places.into_iter().map(pack).collect())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn get(&self, place: Place) -> Option<&Arc<PackedBf16>> {
        self.0.get(&place)
    }

    /// Packs again what stands in `parameter`, whose values are now `values`. Whoever holds the old ones keeps them.
    pub(crate) fn renew(&mut self, parameter: usize, values: Matrix, columns: usize) {
        for (place, packed) in self.0.iter_mut().filter(|(place, _)| place.parameter == parameter) {
            let values = values.rows(place.from..place.from + place.rows, columns);
            match Arc::get_mut(packed) {
                Some(packed) => packed.pack(values),
                None => *packed = Arc::new(PackedBf16::new(values, columns, place.rows)),
            }
        }
    }

    /// What stands in the first `count` parameters.
    pub(crate) fn first(&self, count: usize) -> Self {
        let first = self.0.iter().filter(|(place, _)| place.parameter < count);
        Self(first.map(|(place, packed)| (*place, Arc::clone(packed))).collect())
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.0.values().map(|packed| packed.bytes() as u64).sum()
    }
}

impl ModelParameters {
    /// What a policy in bf16 multiplies in bf16: the matrices of attention, of the MLPs and of every expert, and the head. Routers and
    /// adapters stay in f32: they are small, and a router's choice is of what is larger.
    pub(crate) fn rounded_places(&self) -> Vec<Place> {
        let of_layers = self.layers.iter().flat_map(|layer| {
            let experts = match &layer.feed {
                Feed::Dense(_) => &[][..],
                Feed::Experts(experts) => &experts.experts,
            };
            let in_experts = experts.iter().flat_map(|Gated { gate, up, down }| [gate, up, down]);
            layer.projections().into_iter().chain(in_experts).map(|projection| projection.weight).collect::<Vec<_>>()
        });
        of_layers.chain([self.head]).collect()
    }
}
