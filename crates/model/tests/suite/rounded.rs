//! A policy that multiplies in bf16: near the one in f32 and near transformers, and as certain of its bits.

use std::{num::NonZeroUsize, path::Path};

use crate::common::{controls, requests, rows, tiny};
use cohort_core::{
    Activations, Context, Execution, Gradient, Policy, Precision, RowGradients, RowSpec, Sample, Sampler,
};
use cohort_model::TextPolicy;
use serde_json::Value;

const SPEC: RowSpec = RowSpec::at(1.0);

fn samples() -> Vec<Sample> {
    tiny(4, true).sample(&requests(24, &controls(1.0, 12), 3)).expect("samples")
}

fn derivatives(samples: &[Sample]) -> Vec<RowGradients> {
    let column = |sample: &Sample, step: usize| {
        (0..sample.actions.len()).map(|i| ((i * step) % 7) as f64 / 7.0 - 0.4).collect::<Vec<f64>>()
    };
    samples
        .iter()
        .map(|s| RowGradients { logp: column(s, 3), entropy: Some(column(s, 5)), ..RowGradients::default() })
        .collect()
}

fn gradient(policy: &TextPolicy, samples: &[Sample], execution: Execution) -> Gradient {
    let all: Vec<&Sample> = samples.iter().collect();
    policy.forward_by(&all, SPEC, execution).expect("forward").1.backward(&derivatives(samples))
}

fn norm(values: impl Iterator<Item = f32>) -> f64 {
    values.map(|x| f64::from(x).powi(2)).sum::<f64>().sqrt()
}

/// Operands have 8 bits, so their rounding is a relative error of at most 2^-9 each, and a few layers of them some 2^-5.
#[test]
fn the_gradient_is_that_of_f32_up_to_the_rounding_of_operands() {
    for tied in [true, false] {
        let (single, rounded) = (tiny(4, tied), tiny(4, tied).with_precision(Precision::Bf16));
        let samples = samples();
        let single_gradient = gradient(&single, &samples, Execution::default());
        let rounded_gradient = gradient(&rounded, &samples, Execution::default());
        for ((a, b), info) in rounded_gradient.0.iter().zip(&single_gradient.0).zip(single.parameters()) {
            let error = norm(a.iter().zip(b).map(|(a, b)| a - b)) / norm(b.iter().copied());
            assert!(error < 1.0 / 16.0, "{}: {error}", info.name);
            assert!(error > 0.0, "{} has the bits of f32", info.name);
        }
    }
}

#[test]
fn threads_and_recomputed_layers_change_no_bit() {
    let (policy, samples) = (tiny(5, true).with_precision(Precision::Bf16), samples());
    let expected = gradient(&policy, &samples, Execution::default());
    for activations in [Activations::Keep, Activations::Recompute] {
        for threads in [1, 2, 3].map(|threads| NonZeroUsize::new(threads).expect("not 0")) {
            assert_eq!(gradient(&policy, &samples, Execution { threads, activations }), expected);
        }
    }
}

#[test]
fn copies_multiply_alike_and_keep_their_numbers() {
    let mut policy = tiny(6, false).with_precision(Precision::Bf16);
    let samples = samples();
    let all: Vec<&Sample> = samples.iter().collect();
    let before = rows(&policy, &all, 1.0);
    assert_ne!(before, rows(&tiny(6, false), &all, 1.0));
    let (copy, reference) = (policy.duplicate(), policy.reference());
    for index in 0..policy.parameters().len() {
        policy.write(index, &mut |values| values.iter_mut().for_each(|x| *x *= 1.05));
    }
    assert_ne!(rows(&policy, &all, 1.0), before);
    for other in [copy, reference] {
        assert_eq!(other.precision(), Precision::Bf16);
        assert_eq!(other.rows(&all, SPEC).expect("rows"), before);
    }
    assert_eq!(
        rows(&policy.with_precision(Precision::F32).with_precision(Precision::Bf16), &all, 1.0).len(),
        all.len()
    );
}

/// Transformers' rows are of f32: every architecture of the parity suite is 4e-3 to 8e-3 nats from them in the mean.
#[test]
fn rows_are_those_of_transformers_up_to_bf16() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let folders = std::fs::read_dir(golden).expect("the folder").map(|entry| entry.expect("an entry").path());
    let mut count = 0;
    for folder in folders.filter(|path| path.is_dir()) {
        let policy = TextPolicy::load(&folder).expect("a model").with_precision(Precision::Bf16);
        let bytes = std::fs::read(folder.join("golden.json")).expect("a golden file");
        let document: Value = serde_json::from_slice(&bytes).expect("JSON");
        let ids = |value: &Value| -> Vec<u32> { serde_json::from_value(value.clone()).expect("ids") };
        let (mut sum, mut actions) = (0.0, 0.0);
        for case in document["cases"].as_array().expect("cases") {
            let sample = Sample::given(Context::of_tokens(ids(&case["context"])), &ids(&case["actions"]));
            let temperature = case["temperature"].as_f64().expect("a temperature") as f32;
            let theirs: Vec<f64> = serde_json::from_value(case["logp"].clone()).expect("numbers");
            let ours = &rows(&policy, &[&sample], temperature)[0].logp;
            sum += ours.iter().zip(&theirs).map(|(a, b)| (a - b).abs()).sum::<f64>();
            actions += ours.len() as f64;
        }
        println!("{}: mean {:.2e}", folder.display(), sum / actions);
        assert!(sum / actions < 1.5e-2, "{}: {}", folder.display(), sum / actions);
        count += 1;
    }
    assert!(count >= 12);
}
