//! What the graph's operations have in common: inputs in, one output out, a backward on slices.

use std::{fmt, marker::PhantomData};

use burn::{
    backend::{
        Autodiff, Flex,
        autodiff::{
            checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
            grads::Gradients,
            ops::{Backward, Ops, OpsKind},
        },
        tensor::FloatTensor,
    },
    tensor::TensorData,
};

use super::held::{Held, Slot};

/// A tensor of numbers.
pub(super) type Values = FloatTensor<Flex>;
/// A tensor that a graph knows.
pub(super) type Tracked = FloatTensor<Autodiff<Flex>>;

/// A differentiable function of `N` tensors, holding its inputs (shared, not copied).
pub(super) trait Operation<const N: usize>: Send + 'static {
    /// The output; statistics that the backward reads may be kept.
    fn forward(&mut self) -> Values;

    /// The derivatives for the inputs that want one, given the output's.
    fn backward(self, d_out: &[f32], wanted: [bool; N]) -> [Option<Values>; N];
}

struct Step<O, const N: usize>(PhantomData<fn() -> O>);

impl<O, const N: usize> fmt::Debug for Step<O, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Step")
    }
}

impl<O: Operation<N>, const N: usize> Backward<Flex, N> for Step<O, N> {
    type State = Slot<O>;

    fn backward(self, ops: Ops<Slot<O>, N>, grads: &mut Gradients, _: &mut Checkpointer) {
        let d_out = contiguous(grads.consume::<Flex>(&ops.node));
        let wanted = ops.parents.each_ref().map(Option::is_some);
        let Some(operation) = ops.state.take() else { unreachable!("the tape goes back before it lets go") };
        let derivatives = operation.backward(slice(&d_out), wanted);
        for (parent, derivative) in ops.parents.into_iter().zip(derivatives) {
            if let (Some(parent), Some(derivative)) = (parent, derivative) {
                grads.register::<Flex>(parent.id, derivative);
            }
        }
    }
}

/// Runs an operation within a graph, whose backward finds it in `held`.
pub(super) fn tracked<C: CheckpointStrategy, O: Operation<N>, const N: usize>(
    inputs: [Tracked; N],
    held: &Held,
    make: impl FnOnce([Values; N]) -> O,
) -> Tracked {
    let mut guards = Vec::with_capacity(N);
    let values = inputs.map(|input| {
        let (values, guard) = input.into_parts();
        guards.push(guard);
        contiguous(values)
    });
    let mut operation = make(values);
    let out = operation.forward();
    // One guard was pushed for each of the N inputs.
    let Ok(guards) = guards.try_into() else { unreachable!("a guard for each input") };
    match Step::<O, N>(PhantomData).prepare::<C>(guards).compute_bound().stateful() {
        OpsKind::Tracked(prepared) => prepared.finish(held.hold(operation), out),
        OpsKind::UnTracked(prepared) => prepared.finish(out),
    }
}

/// The values in row-major order without gaps; nothing is copied where they are already.
pub(super) fn contiguous(values: Values) -> Values {
    if values.as_slice::<f32>().is_some() { values } else { values.to_contiguous() }
}

/// The numbers of a contiguous tensor.
pub(super) fn slice(values: &Values) -> &[f32] {
    values.as_slice::<f32>().unwrap_or_else(|| unreachable!("graph tensors are contiguous f32"))
}

/// Rows and columns of a matrix.
pub(super) fn sizes(values: &Values) -> [usize; 2] {
    let shape = values.layout().shape();
    [shape[0], shape[1]]
}

pub(super) fn matrix(values: Vec<f32>, rows: usize, columns: usize) -> Values {
    Values::from_data(TensorData::new(values, [rows, columns]))
}

pub(super) fn vector(values: Vec<f32>) -> Values {
    let length = values.len();
    Values::from_data(TensorData::new(values, [length]))
}
