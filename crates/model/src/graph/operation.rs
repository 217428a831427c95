//! What the graph's operations have in common: inputs in, one output out, a backward on slices.

use std::{fmt, marker::PhantomData};

use burn::{
    backend::{
        Autodiff, Flex,
        autodiff::{
            checkpoint::{base::Checkpointer, strategy::NoCheckpointing},
            grads::Gradients,
            ops::{Backward, Ops, OpsKind},
        },
        tensor::FloatTensor,
    },
    tensor::{Tensor, TensorData},
};

use cohort_kernels::Team;

use super::held::{Held, Slot};

/// A tensor of numbers.
pub(super) type Values = FloatTensor<Flex>;

/// A differentiable function of `N` activations, holding what its way back needs of them (shared, not copied), and the
/// parameters that it reads.
pub(super) trait Operation<const N: usize>: Send + 'static {
    /// The output; statistics that the backward reads may be kept.
    fn forward(&mut self, team: Team) -> Values;

    /// The derivatives for the inputs that want one, given the output's. Those of parameters go to the sink.
    fn backward(self, team: Team, d_out: &[f32], wanted: [bool; N]) -> [Option<Values>; N];
}

struct Step<O, const N: usize>(PhantomData<fn() -> O>);

impl<O, const N: usize> fmt::Debug for Step<O, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Step")
    }
}

impl<O: Operation<N>, const N: usize> Backward<Flex, N> for Step<O, N> {
    type State = (Slot<O>, Team);

    fn backward(self, ops: Ops<Self::State, N>, grads: &mut Gradients, _: &mut Checkpointer) {
        let d_out = contiguous(grads.consume::<Flex>(&ops.node));
        let wanted = ops.parents.each_ref().map(Option::is_some);
        let (slot, team) = ops.state;
        let Some(operation) = slot.take() else { unreachable!("the tape goes back before it lets go") };
        let derivatives = operation.backward(team, slice(&d_out), wanted);
        for (parent, derivative) in ops.parents.into_iter().zip(derivatives) {
            if let (Some(parent), Some(derivative)) = (parent, derivative) {
                grads.register::<Flex>(parent.id, derivative);
            }
        }
    }
}

/// Runs an operation within the graph of its inputs, whose backward finds it in `held`.
pub(super) fn apply<O: Operation<N>, const N: usize>(
    inputs: [Tensor<2>; N],
    held: &Held,
    team: Team,
    make: impl FnOnce([Values; N]) -> O,
) -> Tensor<2> {
    let mut guards = Vec::with_capacity(N);
    let values = inputs.map(|input| {
        let Ok(input) = input.try_into_primitive::<Autodiff<Flex>>() else {
            unreachable!("the graph is built on the CPU backend")
        };
        let (values, guard) = input.into_parts();
        guards.push(guard);
        contiguous(values)
    });
    let mut operation = make(values);
    let out = operation.forward(team);
    // One guard was pushed for each of the N inputs.
    let Ok(guards) = guards.try_into() else { unreachable!("a guard for each input") };
    let out = match Step::<O, N>(PhantomData).prepare::<NoCheckpointing>(guards).compute_bound().stateful() {
        OpsKind::Tracked(prepared) => prepared.finish((held.hold(operation), team), out),
        OpsKind::UnTracked(prepared) => prepared.finish(out),
    };
    Tensor::from_primitive::<Autodiff<Flex>>(out)
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

/// The numbers of a tensor outside a graph, or of what a graph's tensor holds.
pub(super) fn values(tensor: Tensor<2>) -> Values {
    match tensor.try_into_primitive::<Flex>() {
        Ok(values) => contiguous(values),
        Err(_) => unreachable!("the graph is built on the CPU backend"),
    }
}

/// A tensor outside any graph.
pub(super) fn tensor(values: Values) -> Tensor<2> {
    Tensor::from_primitive::<Flex>(values)
}
