//! A parameter as an operation holds it: its numbers, and where its derivative goes.

use std::{ops::Range, sync::Arc};

use cohort_kernels::Matrix;

use super::sink::Sink;
use crate::weights::{View, Weights};

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

    /// Of a vector, or of a trained parameter.
    pub(super) fn numbers(&self) -> &[f32] {
        self.view.slice()
    }

    /// Of a matrix, in the type that it is held in.
    pub(super) fn matrix(&self) -> Matrix<'_> {
        self.view.matrix()
    }

    pub(super) fn is_trained(&self) -> bool {
        self.sink.is_trained(self.index)
    }

    /// Adds what `compute` writes over its argument to the derivative, where the parameter is trained.
    pub(super) fn differentiate(&self, compute: impl FnOnce(&mut [f32])) {
        self.sink.add(self.index, self.range.clone(), compute);
    }
}
