//! Every operation against its twin: the output and all gradients.

use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData};
use cohort_core::{Context, Execution, Mixture, ParameterInfo, RowGradients, Sample, Soft, Stream, Tape};
use cohort_kernels::{AttentionShape, RopeTable, RoutingShape, RoutingWeights, Team};

use super::{
    attention::Layout,
    forward::Parts,
    head::Targets,
    held::Held,
    kernels::Kernels,
    mixture::Route,
    operation::tensor,
    operators::Operators,
    plain::{Constants, Leaves, Plain, Purpose, numbers, upload_all},
    rope::Rotation,
    sink::Sink,
    tape::GraphTape,
};
use crate::{
    blueprint::Blueprint,
    chosen::Chosen,
    config::Architecture,
    divergence::{Column, Kept, Measured, Read},
    init::random_weights,
    layer::{self, Head, ModelParameters, ParameterKind, Place, Projection},
    pack::{Limits, Pack, Prompts},
    rope::Rotations,
    slices::Model,
    weights::Weights,
};

fn random(count: usize, seed: u64) -> Vec<f32> {
    let dice = Stream::new(seed, "test").dice(0, 0, 0);
    (0..count).map(|i| dice.normal_pair(i)[0] as f32).collect()
}

fn constant(shape: [usize; 2], seed: u64) -> Tensor<2> {
    Tensor::from_data(TensorData::new(random(shape[0] * shape[1], seed), shape), &Device::flex())
}

/// Equal up to `tolerance` of the largest number.
fn close(name: &str, tolerance: f32, a: &[f32], b: &[f32]) {
    assert_eq!(a.len(), b.len(), "{name}");
    let scale = b.iter().fold(1e-3_f32, |m, x| m.max(x.abs()));
    for (i, (a, b)) in a.iter().zip(b).enumerate() {
        assert!((a - b).abs() <= tolerance * scale, "{name}[{i}]: {a}, the twin {b}, scale {scale}");
    }
}

/// Parameters of these shapes that stand nowhere in a model.
fn loose(shapes: &[&[usize]]) -> Weights {
    let place = Place { parameter: 0, from: 0, rows: 0 };
    let info = |(i, shape): (usize, &&[usize])| ParameterInfo { name: format!("p{i}"), shape: shape.to_vec() };
    let infos: Vec<ParameterInfo> = shapes.iter().enumerate().map(info).collect();
    let kinds = vec![ParameterKind::Matrix; infos.len()];
    let values: Vec<Vec<f32>> =
        infos.iter().enumerate().map(|(i, info)| random(info.element_count(), 50 + i as u64)).collect();
    Weights::new(
        &ModelParameters { infos, kinds, embedding: place, layers: vec![], final_norm: 0, head: place },
        values,
    )
}

fn sink(weights: &Weights) -> Arc<Sink> {
    Arc::new(Sink::new((0..weights.count()).map(|index| Some(weights.slice(index).len()))))
}

/// Output, and gradients of inputs and of parameters, of `run` under the weights of a random linear loss: by the
/// kernels and by the twins.
fn twins<const N: usize>(
    name: &str,
    shapes: [[usize; 2]; N],
    parameters: &[&[usize]],
    run: impl Fn(&dyn Operators, [Tensor<2>; N]) -> Tensor<2>,
) {
    twins_at(name, 2e-5, &[], shapes, parameters, run);
}

/// The same, where the kernels multiply in bf16 at `rounded`.
fn twins_at<const N: usize>(
    name: &str,
    tolerance: f32,
    rounded: &[Place],
    shapes: [[usize; 2]; N],
    parameters: &[&[usize]],
    run: impl Fn(&dyn Operators, [Tensor<2>; N]) -> Tensor<2>,
) {
    let weights = loose(parameters).rounded_at(rounded.iter().copied());
    let mut seed = 0;
    let inputs = shapes.map(|shape| {
        seed += 1;
        constant(shape, seed)
    });
    let leaves = || inputs.clone().map(|input| Tensor::from_inner(input).require_grad());
    let pull = |inputs: &[Tensor<2>; N], out: Tensor<2>| {
        let gradients = (out.clone() * Tensor::from_inner(constant(out.dims(), 99))).sum().backward();
        let mut all = vec![numbers(out.inner())];
        all.extend(inputs.iter().map(|input| numbers(input.grad(&gradients).expect("a gradient"))));
        (all, gradients)
    };
    let (sink, held) = (sink(&weights), Held::default());
    let ours = leaves();
    let (mut a, _) = pull(
        &ours,
        run(&Kernels { weights: &weights, sink: &sink, held: &held, team: Team::ALONE, dropout: None }, ours.clone()),
    );
    a.extend(sink.take().0);
    let device = Device::flex();
    let (values, constants, theirs) = (upload_all(&weights, &device), Constants::new(&device), leaves());
    let plain = Plain::new(Leaves::new(&values, Purpose::Training(&weights)), &constants);
    let (mut b, gradients) = pull(&theirs, run(&plain, theirs.clone()));
    b.extend(plain.into_leaves().iter().map(|(_, leaf)| numbers(leaf.grad(&gradients).expect("a gradient"))));
    assert_eq!(a.len(), b.len(), "{name}");
    for (i, (a, b)) in a.iter().zip(&b).enumerate() {
        close(&format!("{name} {}", if i == 0 { "output" } else { "gradient" }), tolerance, a, b);
    }
}

fn rotation(positions: &[u32], heads: usize, head_dim: usize) -> Arc<Rotation> {
    let rope = layer::Rope { theta: 1e4, head_dim, scaling: layer::RopeScaling::Default };
    Arc::new(Rotation {
        positions: Arc::new(positions.to_vec()),
        heads,
        rope,
        table: Arc::new(RopeTable::new(&rope.inverse_frequencies(), 64, 1.0)),
    })
}

fn matrix(parameter: usize, from: usize, rows: usize) -> Place {
    Place { parameter, from, rows }
}

#[test]
fn linear() {
    let projection = |from, rows, bias| Projection { weight: matrix(0, from, rows), bias, adapter: None };
    twins("linear", [[7, 20]], &[&[9, 20]], |o, [x]| o.linear(x, projection(0, 9, None)));
    twins("linear of one row", [[1, 600]], &[&[3, 600], &[3]], |o, [x]| o.linear(x, projection(0, 3, Some(1))));
    twins("slices of one tensor", [[5, 8]], &[&[3, 4, 8]], |o, [x]| {
        o.linear(x.clone(), projection(8, 4, None)) + o.linear(x, projection(0, 4, None))
    });
    twins("one weight used twice", [[5, 8]], &[&[8, 8]], |o, [x]| {
        o.linear(o.linear(x, projection(0, 8, None)), projection(0, 8, None))
    });
}

#[test]
fn rms_norm() {
    for (columns, width) in [(24, 24), (24, 8)] {
        twins("rms_norm", [[5, columns]], &[&[width]], |o, [x]| o.rms_norm(x, 0, 1e-6));
    }
}

#[test]
fn rope() {
    let rotation = rotation(&[0, 1, 2, 0, 31], 3, 8);
    twins("rope", [[5, 24]], &[], |o, [x]| o.rope(x, &rotation));
}

#[test]
fn attention() {
    for (starts, after, window) in [
        (vec![0, 6], vec![None], None),
        (vec![0, 1, 4, 11], vec![None; 3], None),
        (vec![0, 1, 4, 11], vec![None; 3], Some(3)),
        (vec![0, 5, 7, 7, 11, 12], vec![None, Some(0), Some(0), Some(0), None], None),
        (vec![0, 5, 7, 7, 11, 12], vec![None, Some(0), Some(0), Some(0), None], Some(4)),
    ] {
        let tokens = starts[starts.len() - 1];
        let shape = AttentionShape { query_heads: 4, kv_heads: 2, head_dim: 8, window };
        let layout = Arc::new(Layout { shape, starts: Arc::new(starts), after: Arc::new(after) });
        let shapes = [[tokens, 32], [tokens, 16], [tokens, 16]];
        twins("attention", shapes, &[], |o, [q, k, v]| o.attention(q, k, v, &layout));
    }
}

#[test]
fn gated() {
    let down = |bias| Projection { weight: matrix(0, 0, 9), bias, adapter: None };
    let parameters: &[&[usize]] = &[&[9, 10], &[9]];
    twins("gated", [[6, 10], [6, 10]], &parameters[..1], |o, [gate, up]| o.gated(gate, up, down(None)));
    twins("gated", [[6, 10], [6, 10]], parameters, |o, [gate, up]| o.gated(gate, up, down(Some(1))));
}

/// Operands rounded to bf16 have some 2^-9 of relative error each, and a sum of products about as much of its terms' size.
#[test]
fn rounded() {
    let tolerance = 1.0 / 64.0;
    let projection = |from, rows, bias| Projection { weight: matrix(0, from, rows), bias, adapter: None };
    let places = |from, rows| [matrix(0, from, rows)];
    twins_at("linear", tolerance, &places(0, 9), [[7, 20]], &[&[9, 20]], |o, [x]| o.linear(x, projection(0, 9, None)));
    let (shapes, bias) = ([[70, 150]], Some(1));
    twins_at("linear", tolerance, &places(0, 130), shapes, &[&[130, 150], &[130]], |o, [x]| {
        o.linear(x, projection(0, 130, bias))
    });
    twins_at("slice", tolerance, &places(3, 4), [[7, 20]], &[&[9, 20]], |o, [x]| o.linear(x, projection(3, 4, None)));
    twins_at("gated", tolerance, &places(0, 9), [[6, 10], [6, 10]], &[&[9, 10]], |o, [gate, up]| {
        o.gated(gate, up, projection(0, 9, None))
    });
    let ids = Arc::new(vec![0, 10, 36, 3]);
    for measured in [Measured::default(), measured()] {
        let chosen = Chosen { ids: Arc::clone(&ids), ..Chosen::default() };
        let targets = Arc::new(Targets { chosen, inverse_temperature: 1.0, measured });
        twins_at("head", tolerance, &places(0, 37), [[4, 12]], &[&[37, 12]], |o, [hidden]| {
            o.head(hidden, matrix(0, 0, 37), &targets)
        });
    }
}

#[test]
fn route_and_combine() {
    for weights in [RoutingWeights::AsTheyAre, RoutingWeights::Normalised] {
        let routing = RoutingShape { experts: 5, top_k: 2, weights };
        twins("route", [[7, 5]], &[], |o, [logits]| o.route(logits, routing).weights);
        let (choice, _) = Route::new(&random(7 * 5, 9), routing).choice();
        twins("combine", [[14, 6], [7, 2]], &[], |o, [given, weights]| o.combine(given, weights, &choice));
    }
}

#[test]
fn pick() {
    let rows = Arc::new(vec![3, 0, 3, 4, 3]);
    twins("pick", [[5, 6]], &[], |o, [x]| o.pick(x, &rows));
}

#[test]
fn head() {
    for inverse_temperature in [1.0, 1.0 / 0.7] {
        let ids = Arc::new(vec![0, 10, 36, 3]);
        let targets = |soft, measured| {
            let chosen = Chosen { ids: Arc::clone(&ids), soft };
            Arc::new(Targets { chosen, inverse_temperature, measured })
        };
        let none = Arc::default;
        for targets in
            [targets(none(), Measured::default()), targets(none(), measured()), targets(soft(), Measured::default())]
        {
            twins("head", [[4, 12]], &[&[37, 12]], |o, [hidden]| o.head(hidden, matrix(0, 0, 37), &targets));
        }
    }
}

/// Soft tokens of 5 and of 2 candidates in the first and the third of 4 rows over 37 ids.
fn soft() -> Arc<Vec<(u32, Arc<Mixture>)>> {
    // Wide enough that no draw lies on a bound, where a slope is of one side.
    let soft = Soft { until: 36, top_k: 5, top_p: 1.0, tau: 0.1, clamp: [-40.0, 40.0] };
    let dice = Stream::new(8, "soft").dice(0, 0, 0);
    let draw =
        |row: u32, ids: &[u32], logits: &[f32]| (row, Arc::new(soft.draw(ids, logits, Some((dice, row as usize)))));
    Arc::new(vec![draw(0, &[4, 7, 0, 22, 36], &[0.0, -0.5, -0.5, -1.0, -6.0]), draw(2, &[36, 1], &[0.0, -1.0])])
}

/// Two others' distributions over 37 ids for 4 rows, one of them of another width.
fn measured() -> Measured {
    let kept = |column, width: usize, inverse_temperature: f32| {
        let weights = loose(&[&[37, width]]);
        let hidden = random(4 * width, 77);
        let [mut logp, mut entropy, mut log_sum_exp] = [0; 3].map(|_| vec![0.0; 4]);
        let shape = cohort_kernels::HeadShape { rows: 4, width, vocabulary: 37 };
        let (ids, temperature) = ([0; 4], inverse_temperature);
        let columns = [&mut logp, &mut entropy, &mut log_sum_exp];
        let [logp, entropy, sums] = columns;
        cohort_kernels::head_rows(&hidden, weights.slice(0), &ids, temperature, shape, logp, entropy, sums);
        let weight = weights.view(0, 0..37 * width);
        let kept = Kept { hidden, log_sum_exp, width, inverse_temperature, weight };
        let against = cohort_core::Distributions::new(kept);
        match column {
            Column::Old => cohort_core::Against { old: Some(against), reference: None },
            Column::Reference => cohort_core::Against { old: None, reference: Some(against) },
        }
    };
    let both = cohort_core::Against {
        old: kept(Column::Old, 12, 0.8).old,
        reference: kept(Column::Reference, 5, 1.2).reference,
    };
    Read::of(&both, 4, 37).expect("of the same rows").rows(&(0..4))
}

fn blueprint(head: Head) -> Blueprint {
    Blueprint {
        vocabulary: 30,
        width: 16,
        layers: 2,
        query_heads: 4,
        kv_heads: 2,
        head_dim: 6,
        inner: 20,
        experts: None,
        positions: 32,
        rope_theta: 1e4,
        norm_eps: 1e-6,
        tied: head == Head::Tied,
        end_ids: vec![],
        pad_id: None,
    }
}

fn samples() -> [Sample; 5] {
    [
        Sample::given(Context::of_tokens([1, 2, 3]), &[4, 5, 6]),
        Sample::given(Context::of_tokens([7]), &[8]),
        Sample::given(Context::of_tokens([7]), &[1]),
        Sample::given(Context::of_tokens([7]), &[1, 2, 3, 4]),
        Sample::given(Context::of_tokens([29, 0, 3, 3, 3]), &[3, 9]),
    ]
}

fn pack(samples: &[Sample]) -> Pack {
    Pack::of(&samples.iter().collect::<Vec<_>>(), Limits { vocabulary: 30, positions: 32, width: 16 }, Prompts::Shared)
        .expect("packs")
}

/// Some numbers as row gradients, and the same packed.
fn row_gradients(counts: &[usize]) -> (Vec<RowGradients>, Vec<f32>) {
    let packed = random(2 * counts.iter().sum::<usize>(), 5);
    let mut pairs = packed.chunks_exact(2).map(|pair| (f64::from(pair[0]), f64::from(pair[1])));
    let gradients = counts.iter().map(|&count| {
        let (logp, entropy) = pairs.by_ref().take(count).unzip();
        RowGradients { logp, entropy: Some(entropy), ..RowGradients::default() }
    });
    (gradients.collect(), packed)
}

#[test]
fn whole_models() {
    for head in [Head::Tied, Head::Untied] {
        let architecture = Architecture::new(&blueprint(head)).expect("an architecture");
        let parameters = architecture.parameters();
        let mut weights = random_weights(&parameters, Stream::new(1, "init"));
        for index in 0..weights.count() {
            weights.write(index, |values| values.iter_mut().for_each(|x| *x *= 8.0));
        }
        let rotations = Rotations::new(architecture.layer.attention.rope);
        let model = Model {
            architecture: &architecture,
            parameters: &parameters,
            weights: &weights,
            rotations: &rotations,
            dropout: None,
        };
        let pack = pack(&samples());
        let (gradients, packed) = row_gradients(&pack.counts);

        let lengths = (0..weights.count()).map(|index| Some(weights.slice(index).len()));
        let tape =
            GraphTape::forward(model, &pack, 0.8, None, Measured::default(), Sink::new(lengths), Execution::default());
        let rows = tape.rows();
        let ours = Box::new(tape).backward(&gradients);

        let device = Device::flex();
        let (values, constants) = (upload_all(&weights, &device), Constants::new(&device));
        let plain = Plain::new(Leaves::new(&values, Purpose::Training(&weights)), &constants);
        let parts = Parts::new(model, &pack, 0.8, Measured::default());
        let layers = 0..parameters.layers.len();
        let out = parts.rows(&plain, layers.fold(parts.embed(&plain), |x, index| parts.layer(&plain, index, x)));
        close("rows", 2e-5, &rows, &numbers(out.clone().inner()));
        let loss = out * Tensor::from_inner(tensor(super::operation::matrix(packed, pack.chosen.ids.len(), 2)));
        let (found, leaves) = (loss.sum().backward(), plain.into_leaves());
        assert_eq!(leaves.len(), ours.0.len());
        for ((info, ours), (_, leaf)) in parameters.infos.iter().zip(&ours.0).zip(leaves) {
            close(&info.name, 1e-3, ours, &numbers(leaf.grad(&found).expect("a gradient")));
        }
    }
}

#[test]
fn a_frozen_parameter_changes_no_other_gradient() {
    let architecture = Architecture::new(&blueprint(Head::Tied)).expect("an architecture");
    let parameters = architecture.parameters();
    let weights = random_weights(&parameters, Stream::new(1, "init"));
    let rotations = Rotations::new(architecture.layer.attention.rope);
    let model = Model {
        architecture: &architecture,
        parameters: &parameters,
        weights: &weights,
        rotations: &rotations,
        dropout: None,
    };
    let pack = pack(&samples());
    let gradient = |trained: &dyn Fn(usize) -> bool| {
        let length = |index| trained(index).then(|| weights.slice(index).len());
        let sink = Sink::new((0..weights.count()).map(length));
        let tape = GraphTape::forward(model, &pack, 1.0, None, Measured::default(), sink, Execution::default());
        Box::new(tape).backward(&row_gradients(&pack.counts).0).0
    };
    let all = gradient(&|_| true);
    for parity in 0..2 {
        let half = gradient(&|index| index % 2 == parity);
        let expected: Vec<Vec<f32>> = all.iter().skip(parity).step_by(2).cloned().collect();
        assert_eq!(half, expected);
    }
}
