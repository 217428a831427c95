//! A part of a model as a graph of its own, from one leaf to one output.

use burn::tensor::Tensor;
use cohort_kernels::Team;

use super::{
    held::Held,
    operation::{Operation, Values, apply, matrix, tensor, values},
};

/// A layer, or the head: built forward, used once to go back.
#[derive(Debug)]
pub(super) struct Segment {
    input: Tensor<2>,
    output: Tensor<2>,
    held: Held,
}

impl Segment {
    /// Runs `build` from `x`, which is outside any graph. What the operations of `build` hold goes with the segment.
    pub(super) fn new(x: Tensor<2>, build: impl FnOnce(&Held, Tensor<2>) -> Tensor<2>) -> Self {
        let held = Held::default();
        let input = Tensor::from_inner(x).require_grad();
        let output = build(&held, input.clone());
        Self { input, output, held }
    }

    /// The output's numbers, outside the graph.
    pub(super) fn output(&self) -> Tensor<2> {
        self.output.clone().inner()
    }

    /// The derivative for the input, given the output's.
    pub(super) fn backward(self, d_output: Tensor<2>) -> Tensor<2> {
        let seed = apply([self.output], &self.held, Team::ALONE, |_| Seed { d: values(d_output) });
        let mut found = seed.backward();
        match self.input.grad_remove(&mut found) {
            Some(d_input) => tensor(values(d_input)),
            None => unreachable!("the output of a segment depends on its input"),
        }
    }
}

/// Runs `build` from `x` outside any graph; each operation lets go of its inputs as it ends.
pub(super) fn without_graph(x: Tensor<2>, build: impl FnOnce(&Held, Tensor<2>) -> Tensor<2>) -> Tensor<2> {
    build(&Held::default(), Tensor::from_inner(x)).inner()
}

/// A scalar whose derivative for its input is what it was given.
struct Seed {
    d: Values,
}

impl Operation<1> for Seed {
    fn forward(&mut self, _: Team) -> Values {
        matrix(vec![0.0], 1, 1)
    }

    fn backward(self, _: Team, _: &[f32], _: [bool; 1]) -> [Option<Values>; 1] {
        [Some(self.d)]
    }
}
