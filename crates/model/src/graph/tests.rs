//! Every operation against its twin: the output and all gradients.

use std::sync::Arc;

use burn::{
    backend::Flex,
    tensor::{Device, Tensor, TensorData},
};
use cohort_core::{Context, Sample, Stream};
use cohort_kernels::{AttentionShape, RopeTable};

use super::{
    attention::Layout,
    forward::{Graph, Leaf, forward},
    head::Targets,
    kernels::Kernels,
    operation::{contiguous, slice},
    operators::Operators,
    plain::Plain,
    rope::Rotation,
};
use crate::{
    blueprint::Blueprint,
    config::Architecture,
    init::random_weights,
    layer,
    pack::{Limits, Pack},
    rope::Rotations,
    slices::Model,
};

fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    let values = tensor.try_into_primitive::<Flex>().expect("on the CPU");
    slice(&contiguous(values)).to_vec()
}

fn random(count: usize, seed: u64) -> Vec<f32> {
    let dice = Stream::new(seed, "test").dice(0, 0, 0);
    (0..count).map(|i| dice.normal_pair(i)[0] as f32).collect()
}

fn leaf<const D: usize>(shape: [usize; D], seed: u64) -> Tensor<D> {
    let values = random(shape.iter().product(), seed);
    Tensor::from_data(TensorData::new(values, shape), &Device::flex().autodiff()).require_grad()
}

/// Equal up to `tolerance` of the largest number.
fn close(name: &str, tolerance: f32, a: &[f32], b: &[f32]) {
    assert_eq!(a.len(), b.len(), "{name}");
    let scale = b.iter().fold(1e-3_f32, |m, x| m.max(x.abs()));
    for (i, (a, b)) in a.iter().zip(b).enumerate() {
        assert!((a - b).abs() <= tolerance * scale, "{name}[{i}]: {a}, the twin {b}, scale {scale}");
    }
}

/// Output and gradients of `run` under the weights of a random linear loss.
fn pull<const N: usize>(inputs: [Tensor<2>; N], out: Tensor<2>) -> Vec<Vec<f32>> {
    let [rows, columns] = out.dims();
    let weights = TensorData::new(random(rows * columns, 99), [rows, columns]);
    let forward = numbers(out.clone().inner());
    let gradients = (out * Tensor::from_data(weights, &Device::flex())).sum().backward();
    let mut all = vec![forward];
    all.extend(inputs.iter().map(|input| numbers(input.grad(&gradients).expect("a gradient"))));
    all
}

fn twins<const N: usize>(name: &str, shapes: [[usize; 2]; N], run: impl Fn(&dyn Runner, [Tensor<2>; N]) -> Tensor<2>) {
    let of = |runner: &dyn Runner| {
        let mut seed = 0;
        let inputs = shapes.map(|shape| {
            seed += 1;
            leaf(shape, seed)
        });
        let out = run(runner, inputs.clone());
        pull(inputs, out)
    };
    let (ours, theirs) = (of(&Kernels::default()), of(&Plain));
    for (i, (a, b)) in ours.iter().zip(&theirs).enumerate() {
        close(&format!("{name} {}", if i == 0 { "output" } else { "gradient" }), 2e-5, a, b);
    }
}

/// [`Operators`] as an object.
trait Runner: Operators {}
impl<T: Operators> Runner for T {}

fn rotation(positions: &[u32], heads: usize, head_dim: usize) -> Arc<Rotation> {
    let rope = layer::Rope { theta: 1e4, head_dim, scaling: layer::RopeScaling::Default };
    Arc::new(Rotation {
        positions: Arc::new(positions.to_vec()),
        heads,
        rope,
        table: Arc::new(RopeTable::new(&rope.inverse_frequencies(), 64, 1.0)),
    })
}

#[test]
fn linear() {
    twins("linear", [[7, 20], [9, 20]], |r, [x, w]| r.linear(x, w));
    twins("linear of one row", [[1, 600], [3, 600]], |r, [x, w]| r.linear(x, w));
}

#[test]
fn rms_norm() {
    for (columns, width) in [(24, 24), (24, 8)] {
        twins("rms_norm", [[5, columns], [1, width]], |r, [x, w]| r.rms_norm(x, w.reshape([width]), 1e-6));
    }
}

#[test]
fn rope() {
    let rotation = rotation(&[0, 1, 2, 0, 31], 3, 8);
    twins("rope", [[5, 24]], |r, [x]| r.rope(x, &rotation));
}

#[test]
fn attention() {
    for starts in [vec![0, 6], vec![0, 1, 4, 11]] {
        let tokens = starts[starts.len() - 1];
        let shape = AttentionShape { query_heads: 4, kv_heads: 2, head_dim: 8, window: None };
        let layout = Arc::new(Layout { shape, starts: Arc::new(starts) });
        let shapes = [[tokens, 32], [tokens, 16], [tokens, 16]];
        twins("attention", shapes, |r, [q, k, v]| r.attention(q, k, v, &layout));
    }
}

#[test]
fn swiglu() {
    twins("swiglu", [[6, 10], [6, 10]], |r, [gate, up]| r.swiglu(gate, up));
}

#[test]
fn gather() {
    let rows = Arc::new(vec![3, 0, 3, 4, 3]);
    twins("gather", [[5, 6]], |r, [table]| r.gather(table, &rows));
}

#[test]
fn head() {
    for inverse_temperature in [1.0, 1.0 / 0.7] {
        let targets = Arc::new(Targets { ids: Arc::new(vec![0, 10, 36, 3]), inverse_temperature });
        twins("head", [[4, 12], [37, 12]], |r, [hidden, weight]| r.head(hidden, weight, &targets));
    }
}

#[test]
fn whole_models() {
    for tied in [true, false] {
        let architecture = Architecture::new(&Blueprint {
            vocabulary: 30,
            width: 16,
            layers: 2,
            query_heads: 4,
            kv_heads: 2,
            head_dim: 6,
            inner: 20,
            positions: 32,
            rope_theta: 1e4,
            norm_eps: 1e-6,
            tied,
            end_ids: vec![],
            pad_id: None,
        })
        .expect("an architecture");
        let parameters = architecture.parameters();
        let mut weights = random_weights(&parameters, Stream::new(1, "init"));
        for index in 0..weights.count() {
            weights.slice_mut(index).iter_mut().for_each(|x| *x *= 8.0);
        }
        let rotations = Rotations::new(architecture.layer.attention.rope);
        let model =
            Model { architecture: &architecture, parameters: &parameters, weights: &weights, rotations: &rotations };
        let samples = [
            Sample::given(Context::of_tokens([1, 2, 3]), &[4, 5, 6]),
            Sample::given(Context::of_tokens([7]), &[8]),
            Sample::given(Context::of_tokens([29, 0, 3, 3, 3]), &[3, 9]),
        ];
        let all: Vec<&Sample> = samples.iter().collect();
        let pack = Pack::of(&all, Limits { vocabulary: 30, positions: 32 }).expect("packs");
        let pulled = |graph: Graph| {
            let weights = TensorData::new(random(12, 5), [6, 2]);
            let rows = graph.values();
            let gradients = (graph.rows * Tensor::<2>::from_data(weights, &Device::flex())).sum().backward();
            let mut all = vec![rows];
            all.extend(graph.leaves.iter().map(|leaf| match leaf {
                Leaf::Vector(leaf) => numbers(leaf.grad(&gradients).expect("a gradient")),
                Leaf::Matrix(leaf) => numbers(leaf.grad(&gradients).expect("a gradient")),
            }));
            all
        };
        let kernels = Kernels::default();
        let ours = pulled(forward(&model, &pack, 0.8, &kernels));
        let theirs = pulled(forward(&model, &pack, 0.8, &Plain));
        close("rows", 2e-5, &ours[0], &theirs[0]);
        for (i, info) in parameters.infos.iter().enumerate() {
            close(&info.name, 1e-3, &ours[i + 1], &theirs[i + 1]);
        }
    }
}
