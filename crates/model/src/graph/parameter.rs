//! A parameter as an operation holds it: its numbers, and where its derivative goes.

use std::{ops::Range, sync::Arc};

use cohort_kernels::Weight;

use super::sink::Sink;
use crate::{
    layer::Place,
    weights::{View, Weights},
};

/// Some values of a parameter within one graph.
#[derive(Clone, Debug)]
pub(super) struct Parameter {
    view: View,
    index: usize,
    range: Range<usize>,
    sink: Arc<Sink>,
}

impl Parameter {
    pub(super) fn new(weights: &Weights, sink: &Arc<Sink>, index: usize, range: Range<usize>) -> Self {
        Self { view: weights.view(index, range.clone()), index, range, sink: Arc::clone(sink) }
    }

    /// A matrix.
    pub(super) fn at(weights: &Weights, sink: &Arc<Sink>, place: Place) -> Self {
        let (index, range) = (place.parameter, weights.range(place));
        Self { view: weights.view_of(place), index, range, sink: Arc::clone(sink) }
    }

    /// Of a vector, or of a trained parameter.
    pub(super) fn numbers(&self) -> &[f32] {
        self.view.slice()
    }

    /// Of a matrix, as products read it.
    pub(super) fn weight(&self) -> Weight<'_> {
        self.view.weight()
    }

    pub(super) fn is_trained(&self) -> bool {
        self.sink.is_trained(self.index)
    }

    /// Adds what `compute` writes over its argument to the derivative, where the parameter is trained.
    pub(super) fn differentiate(&self, compute: impl FnOnce(&mut [f32])) {
        self.sink.add(self.index, self.range.clone(), compute);
    }
}
