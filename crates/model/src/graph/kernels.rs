//! The operations as extensions of Burn's CPU backend, by the slice kernels.

use std::sync::Arc;

use burn::{
    backend::{
        Autodiff, Backend, Dispatch, Flex, autodiff::checkpoint::strategy::CheckpointStrategy, backend_extension,
        tensor::FloatTensor,
    },
    tensor::Tensor,
};

use super::{
    attention::{Attend, Layout},
    gather::Gather,
    head::{Head, Statistics, Targets},
    held::Held,
    linear::Linear,
    operation::{Operation, Values, contiguous, tracked},
    operators::Operators,
    rms_norm::RmsNorm,
    rope::{Rotate, Rotation},
    swiglu::SwiGlu,
};

/// [`Operators`] on the primitives of a backend.
#[backend_extension(Flex, Autodiff)]
pub(crate) trait KernelOps: Backend {
    fn kernel_linear(x: FloatTensor<Self>, weight: FloatTensor<Self>, held: Arc<Held>) -> FloatTensor<Self>;
    fn kernel_rms_norm(x: FloatTensor<Self>, weight: FloatTensor<Self>, eps: f32, held: Arc<Held>)
    -> FloatTensor<Self>;
    fn kernel_rope(x: FloatTensor<Self>, rotation: Arc<Rotation>, held: Arc<Held>) -> FloatTensor<Self>;
    fn kernel_attention(
        queries: FloatTensor<Self>,
        keys: FloatTensor<Self>,
        values: FloatTensor<Self>,
        layout: Arc<Layout>,
        held: Arc<Held>,
    ) -> FloatTensor<Self>;
    fn kernel_swiglu(gate: FloatTensor<Self>, up: FloatTensor<Self>, held: Arc<Held>) -> FloatTensor<Self>;
    fn kernel_gather(table: FloatTensor<Self>, rows: Arc<Vec<u32>>, held: Arc<Held>) -> FloatTensor<Self>;
    fn kernel_head(
        hidden: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        targets: Arc<Targets>,
        held: Arc<Held>,
    ) -> FloatTensor<Self>;
}

fn untracked<O: Operation<N>, const N: usize>(
    inputs: [Values; N],
    _: &Held,
    make: impl FnOnce([Values; N]) -> O,
) -> Values {
    make(inputs.map(contiguous)).forward()
}

/// Both implementations: the same operation, run outside a graph and within one.
macro_rules! implement {
    ([$($generics:tt)*], $backend:ty, $($run:tt)*) => {
        impl<$($generics)*> KernelOps for $backend {
            fn kernel_linear(x: FloatTensor<Self>, weight: FloatTensor<Self>, held: Arc<Held>) -> FloatTensor<Self> {
                $($run)*([x, weight], &held, |[x, weight]| Linear { x, weight })
            }

            fn kernel_rms_norm(x: FloatTensor<Self>, weight: FloatTensor<Self>, eps: f32, held: Arc<Held>) -> FloatTensor<Self> {
                $($run)*([x, weight], &held, |[x, weight]| RmsNorm { x, weight, eps })
            }

            fn kernel_rope(x: FloatTensor<Self>, rotation: Arc<Rotation>, held: Arc<Held>) -> FloatTensor<Self> {
                $($run)*([x], &held, |[x]| Rotate { x, rotation })
            }

            fn kernel_attention(
                queries: FloatTensor<Self>,
                keys: FloatTensor<Self>,
                values: FloatTensor<Self>,
                layout: Arc<Layout>, held: Arc<Held>) -> FloatTensor<Self> {
                $($run)*([queries, keys, values], &held, |[queries, keys, values]| Attend { queries, keys, values, layout })
            }

            fn kernel_swiglu(gate: FloatTensor<Self>, up: FloatTensor<Self>, held: Arc<Held>) -> FloatTensor<Self> {
                $($run)*([gate, up], &held, |[gate, up]| SwiGlu { gate, up })
            }

            fn kernel_gather(table: FloatTensor<Self>, rows: Arc<Vec<u32>>, held: Arc<Held>) -> FloatTensor<Self> {
                $($run)*([table], &held, |[table]| Gather { table, rows })
            }

            fn kernel_head(
                hidden: FloatTensor<Self>,
                weight: FloatTensor<Self>,
                targets: Arc<Targets>, held: Arc<Held>) -> FloatTensor<Self> {
                $($run)*([hidden, weight], &held, |[hidden, weight]| {
                    Head { hidden, weight, targets, statistics: Statistics::default() }
                })
            }
        }
    };
}

implement!([], Flex, untracked);

implement!([C: CheckpointStrategy], Autodiff<Flex, C>, tracked::<C, _, _>);

/// [`Operators`] by slice kernels, on the CPU.
#[derive(Debug, Default)]
pub(crate) struct Kernels {
    /// What the graph that is built holds.
    pub held: Arc<Held>,
}

impl Kernels {
    fn held(&self) -> Arc<Held> {
        Arc::clone(&self.held)
    }
}

impl Operators for Kernels {
    fn linear(&self, x: Tensor<2>, weight: Tensor<2>) -> Tensor<2> {
        Tensor::from_dispatch(Dispatch::kernel_linear(x.into_dispatch(), weight.into_dispatch(), self.held()))
    }

    fn rms_norm(&self, x: Tensor<2>, weight: Tensor<1>, eps: f32) -> Tensor<2> {
        Tensor::from_dispatch(Dispatch::kernel_rms_norm(x.into_dispatch(), weight.into_dispatch(), eps, self.held()))
    }

    fn rope(&self, x: Tensor<2>, rotation: &Arc<Rotation>) -> Tensor<2> {
        Tensor::from_dispatch(Dispatch::kernel_rope(x.into_dispatch(), Arc::clone(rotation), self.held()))
    }

    fn attention(&self, queries: Tensor<2>, keys: Tensor<2>, values: Tensor<2>, layout: &Arc<Layout>) -> Tensor<2> {
        let [queries, keys, values] = [queries, keys, values].map(Tensor::into_dispatch);
        Tensor::from_dispatch(Dispatch::kernel_attention(queries, keys, values, Arc::clone(layout), self.held()))
    }

    fn swiglu(&self, gate: Tensor<2>, up: Tensor<2>) -> Tensor<2> {
        Tensor::from_dispatch(Dispatch::kernel_swiglu(gate.into_dispatch(), up.into_dispatch(), self.held()))
    }

    fn gather(&self, table: Tensor<2>, rows: &Arc<Vec<u32>>) -> Tensor<2> {
        Tensor::from_dispatch(Dispatch::kernel_gather(table.into_dispatch(), Arc::clone(rows), self.held()))
    }

    fn head(&self, hidden: Tensor<2>, weight: Tensor<2>, targets: &Arc<Targets>) -> Tensor<2> {
        let [hidden, weight] = [hidden, weight].map(Tensor::into_dispatch);
        Tensor::from_dispatch(Dispatch::kernel_head(hidden, weight, Arc::clone(targets), self.held()))
    }
}
