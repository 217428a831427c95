//! Row gradients in, the gradient of every parameter out.

use std::sync::Arc;

use burn::{
    backend::Flex,
    tensor::{Gradients, Tensor, TensorData},
};
use cohort_core::{Gradient, RowGradients, Tape};

use super::{
    forward::{Graph, Leaf},
    held::Held,
    operation::contiguous,
};
use crate::weights::Weights;

/// The graph of a forward pass, or nothing where no sample had an action.
#[derive(Debug)]
pub(crate) struct GraphTape<'a> {
    pub weights: &'a Weights,
    pub graph: Option<Graph>,
    /// Lets go of what the graph holds when the tape is dropped.
    pub _held: Arc<Held>,
    /// Number of rows of each sample.
    pub counts: Vec<usize>,
}

impl GraphTape<'_> {
    /// `[actions, 2]`, row-major: the derivatives for logp and entropy.
    fn packed(&self, gradients: &[RowGradients]) -> Vec<f32> {
        assert_eq!(gradients.len(), self.counts.len(), "row gradients for another number of samples");
        let mut packed = Vec::with_capacity(2 * self.counts.iter().sum::<usize>());
        for (gradient, &count) in gradients.iter().zip(&self.counts) {
            assert_eq!(gradient.logp.len(), count, "row gradients for another number of actions");
            debug_assert!(gradient.kl_old.is_none() && gradient.kl_ref.is_none(), "no row had a divergence");
            for action in 0..count {
                let entropy = gradient.entropy.as_ref().map_or(0.0, |column| column[action]);
                packed.extend([gradient.logp[action] as f32, entropy as f32]);
            }
        }
        packed
    }

    fn zeros(&self, index: usize) -> Vec<f32> {
        vec![0.0; self.weights.slice(index).len()]
    }
}

impl Tape for GraphTape<'_> {
    fn backward(mut self: Box<Self>, gradients: &[RowGradients]) -> Gradient {
        let packed = self.packed(gradients);
        let graph = self.graph.take().filter(|_| packed.iter().any(|&g| g != 0.0));
        let Some(Graph { rows, leaves }) = graph else {
            return Gradient((0..self.weights.count()).map(|index| self.zeros(index)).collect());
        };
        let shape = [packed.len() / 2, 2];
        // Entered on the plain device: a constant of the graph.
        let device = rows.device().inner();
        let row_gradients = Tensor::<2>::from_data(TensorData::new(packed, shape), &device);
        let mut found = (rows * Tensor::from_inner(row_gradients)).sum().backward();
        let values = leaves.iter().enumerate().map(|(index, leaf)| {
            let values = match leaf {
                Leaf::Vector(leaf) => take(leaf, &mut found),
                Leaf::Matrix(leaf) => take(leaf, &mut found),
            };
            values.unwrap_or_else(|| self.zeros(index))
        });
        Gradient(values.collect())
    }
}

fn take<const D: usize>(leaf: &Tensor<D>, found: &mut Gradients) -> Option<Vec<f32>> {
    let values = leaf.grad_remove(found)?.try_into_primitive::<Flex>().ok()?;
    contiguous(values).into_data().try_to_vec::<f32>().ok()
}
