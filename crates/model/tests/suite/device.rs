//! A policy on a device against the same policy on the processor: rows, gradients and samples.
//!
//! Every device that this program was built with is held to it, and Burn's own backend on the processor always is: the code is the
//! same. A device adds and rounds in another order, and its exponential is its own, so numbers agree to a tolerance.

use std::path::Path;

use cohort_core::{
    Activations, Against, Context, Controls, Decoding, Execution, Gradient, Policy, PolicyError, Precision, RedLine,
    RowGradients, RowSpec, Rows, Sample, Sampler, Soft,
};
use cohort_model::{Device, DeviceError, DeviceKind, DevicePolicy, Lora, Selection, TextPolicy};

use crate::common::{controls, derivatives, model, requests, tiny};

/// Of a log-probability or an entropy, in nats.
const ROWS: f64 = 5e-5;
/// Of a derivative, as a share of the largest of its parameter.
const GRADIENT: f32 = 1e-3;

fn devices() -> Vec<Device> {
    DeviceKind::ALL.into_iter().filter(|kind| kind.is_built()).map(|kind| Device { kind, index: None }).collect()
}

fn open(policy: TextPolicy, device: Device) -> DevicePolicy {
    DevicePolicy::open(policy, device).unwrap_or_else(|error| panic!("{device}: {error}"))
}

fn all(samples: &[Sample]) -> Vec<&Sample> {
    samples.iter().collect()
}

fn close_rows(name: &str, a: &[Rows], b: &[Rows]) {
    assert_eq!(a.len(), b.len(), "{name}");
    for (i, (a, b)) in a.iter().zip(b).enumerate() {
        assert_eq!((a.logp.len(), a.entropy.len()), (b.logp.len(), b.entropy.len()), "{name}, sample {i}");
        for (a, b) in a.logp.iter().zip(&b.logp).chain(a.entropy.iter().zip(&b.entropy)) {
            assert!((a - b).abs() <= ROWS, "{name}, sample {i}: {a}, on the processor {b}");
        }
    }
}

fn close_gradients(name: &str, policy: &dyn Policy, a: &Gradient, b: &Gradient) {
    assert_eq!((a.0.len(), b.0.len()), (policy.parameters().len(), policy.parameters().len()), "{name}");
    for ((a, b), info) in a.0.iter().zip(&b.0).zip(policy.parameters()) {
        let largest = b.iter().fold(1e-6_f32, |most, x| most.max(x.abs()));
        let apart = a.iter().zip(b).fold(0.0_f32, |most, (a, b)| most.max((a - b).abs()));
        assert!(a.len() == b.len() && apart <= GRADIENT * largest, "{name}, {}: {apart} of {largest}", info.name);
    }
}

/// Rows and gradient of `ours` against those of `theirs`, which has the same values.
fn hold(name: &str, ours: &dyn Policy, theirs: &dyn Policy, samples: &[Sample], temperature: f32) {
    let (spec, samples_of) = (RowSpec::at(temperature), all(samples));
    let expected = theirs.rows(&samples_of, spec).expect("rows");
    let rows = ours.rows(&samples_of, spec).expect("rows");
    close_rows(name, &rows, &expected);
    let derivatives = derivatives(samples);
    let gradient = |policy: &dyn Policy, activations| {
        let execution = Execution { activations, ..Execution::default() };
        let (rows, tape) = policy.forward_by(&samples_of, spec, execution).expect("forward");
        (rows, tape.backward(&derivatives))
    };
    let (_, expected) = gradient(theirs, Activations::Keep);
    for activations in [Activations::Keep, Activations::Recompute] {
        let (again, gradient) = gradient(ours, activations);
        assert!(again == rows, "{name}: rows and forward of the same samples, {activations:?}");
        close_gradients(name, theirs, &gradient, &expected);
    }
}

/// The sampler's rows against the trainer's of the same policy.
fn hold_the_line(name: &str, policy: &dyn Policy, samples: &[Sample], temperature: f32) {
    let rows = policy.rows(&all(samples), RowSpec::at(temperature)).expect("rows");
    let pairs = samples.iter().zip(&rows).flat_map(|(sample, rows)| {
        sample.behaviour.logp.iter().copied().zip(rows.logp.iter().copied()).collect::<Vec<_>>()
    });
    let gap = cohort_core::Gap::of(pairs);
    let line = RedLine::of(policy.precision(), 1_000_000);
    println!("{name}: the largest gap of sampler and trainer is {:.1e}", gap.max);
    assert!(!line.is_crossed_by(gap), "{name}: {gap:?} over {line:?}");
}

fn update(policy: &mut dyn Policy) {
    for index in 0..policy.parameters().len() {
        let step = |(i, x): (usize, &mut f32)| *x += 1e-2 * ((i * 7 + index) % 11) as f32 - 5e-2;
        policy.write(index, &mut |values| values.iter_mut().enumerate().for_each(step));
    }
}

#[test]
fn rows_and_gradients_before_and_after_an_update() {
    for device in devices() {
        for tied in [true, false] {
            let (mut ours, mut theirs) = (open(tiny(1, tied), device), tiny(1, tied));
            for round in 0..2 {
                let samples = theirs.sample(&requests(9, &controls(0.9, 12), 5)).expect("samples");
                hold(&format!("{device}, tied {tied}, round {round}"), &ours, &theirs, &samples, 0.9);
                update(&mut ours);
                update(&mut theirs);
            }
        }
    }
}

#[test]
fn soft_tokens_are_fed_and_scored_as_on_the_processor() {
    for device in devices() {
        // Wide bounds: at a bound a rounding decides which side's slope it is.
        let soft = Soft { until: 7, top_k: 5, top_p: 1.0, tau: 0.4, clamp: [-60.0, 60.0] };
        let controls = Controls { soft: Some(soft), ..controls(0.9, 12) };
        let (ours, theirs) = (open(tiny(1, true), device), tiny(1, true));
        let samples = theirs.sample(&requests(30, &controls, 5)).expect("samples");
        hold(&format!("{device}, soft"), &ours, &theirs, &samples, 0.9);
        let drawn = ours.sample(&requests(30, &controls, 5)).expect("samples");
        let same = drawn.iter().zip(&samples).filter(|(a, b)| a.actions == b.actions).count();
        assert!(same >= 28, "{device}: {same} of 30 are the same");
        hold_the_line(&format!("{device}, soft"), &ours, &drawn, 0.9);
    }
}

/// Enough rows that the batch is full, and begun anew with contexts while others go on; long enough that columns run out.
#[test]
fn the_sampler_is_the_trainer() {
    for device in devices() {
        let (ours, theirs) = (open(tiny(2, true), device), tiny(2, true));
        for (count, actions, temperature) in [(1, 5, 1.0), (40, 80, 0.8), (330, 9, 1.0)] {
            let requests = requests(count, &controls(temperature, actions), 3);
            let samples = ours.sample(&requests).expect("samples");
            hold_the_line(&format!("{device}, {count} requests"), &ours, &samples, temperature);
            // The dice are the same, so that a sample differs only where a draw falls between two roundings.
            let expected = theirs.sample(&requests).expect("samples");
            let same = samples.iter().zip(&expected).filter(|(a, b)| a.actions == b.actions && a.stop == b.stop);
            let same = same.count();
            assert!(samples.len() == count && 50 * same >= 49 * count, "{device}: {same} of {count} are the same");
        }
    }
}

#[test]
fn what_is_drawn_is_a_function_of_the_request() {
    for device in devices() {
        let policy = open(tiny(3, true), device);
        let requests = requests(60, &controls(1.0, 16), 8);
        let together = policy.sample(&requests).expect("samples");
        assert_eq!(policy.sample(&requests).expect("samples"), together);
        let halves = requests.chunks(23).flat_map(|part| policy.sample(part).expect("samples"));
        let same = halves.zip(&together).filter(|(a, b)| a.actions == b.actions).count();
        assert!(same >= 58, "{device}: {same} of 60 are the same in other company");
    }
}

/// Every tiny checkpoint of the parity suite: windows, biases, norms of heads, rotations, experts.
#[test]
fn every_architecture() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut folders: Vec<_> =
        std::fs::read_dir(golden).expect("the folder").map(|entry| entry.expect("an entry").path()).collect();
    folders.retain(|path| path.is_dir());
    folders.sort();
    assert!(folders.len() >= 12);
    for device in devices() {
        for folder in &folders {
            let name = format!("{device}, {}", folder.display());
            let load = || TextPolicy::load(folder).expect("a model");
            let (ours, theirs) = (open(load(), device), load());
            // 60 actions: beyond every window.
            let samples = ours.sample(&requests(5, &controls(0.7, 60), 5)).expect("samples");
            hold_the_line(&name, &ours, &samples, 0.7);
            hold(&name, &ours, &theirs, &samples, 0.7);
        }
    }
}

#[test]
fn an_adapter_beside_a_frozen_base() {
    let folder = model::base(cohort_core::NumberType::Bf16);
    let opening = model::opening(Selection::Lora(model::lora()));
    for device in devices() {
        let (mut ours, mut theirs) =
            (open(model::open(folder.path(), &opening), device), model::open(folder.path(), &opening));
        let base = ours.reference();
        update(&mut ours);
        update(&mut theirs);
        let samples = theirs.sample(&requests(6, &controls(1.0, 9), 4)).expect("samples");
        hold(&format!("{device}, an adapter"), &ours, &theirs, &samples, 1.0);
        let without = model::open(folder.path(), &opening);
        let rows = |policy: &dyn Policy| policy.rows(&all(&samples), RowSpec::at(1.0)).expect("rows");
        close_rows(&format!("{device}, the base"), &rows(base.as_ref()), &rows(&without));
    }
}

#[test]
fn copies_go_their_own_ways() {
    for device in devices() {
        let mut policy = open(tiny(4, true), device);
        let samples = policy.sample(&requests(4, &controls(1.0, 6), 1)).expect("samples");
        let rows = |policy: &dyn Policy| policy.rows(&all(&samples), RowSpec::at(1.0)).expect("rows");
        let (copy, before) = (policy.duplicate(), rows(&policy));
        update(&mut policy);
        assert!(rows(copy.as_ref()) == before && rows(&policy) != before);
        assert_eq!((policy.name(), policy.host().parameters()), (device, copy.parameters()));
    }
}

#[test]
fn nothing_to_score_gives_zeros() {
    for device in devices() {
        let policy = open(tiny(6, false), device);
        let sample = Sample::given(Context::of_tokens([1, 2]), &[3, 4]);
        let zero = RowGradients { logp: vec![0.0; 2], ..RowGradients::default() };
        for (samples, gradients) in [(vec![&sample], vec![zero]), (Vec::new(), Vec::new())] {
            let (_, tape) = policy.forward(&samples, RowSpec::at(1.0)).expect("forward");
            let gradient = tape.backward(&gradients);
            assert_eq!(gradient.0.len(), policy.parameters().len());
            for (values, info) in gradient.0.iter().zip(policy.parameters()) {
                assert!(values.len() == info.element_count() && values.iter().all(|&g| g == 0.0));
            }
        }
        let greedy = cohort_core::Controls { stop: vec![1], ..cohort_core::Controls::new(Decoding::Greedy, 0) };
        assert!(policy.sample(&requests(2, &greedy, 1)).expect("samples").iter().all(|s| s.actions.is_empty()));
    }
}

#[test]
fn what_the_processor_alone_runs_is_refused() {
    let refused = |policy: TextPolicy| match DevicePolicy::open(policy, Device::CPU) {
        Err(DeviceError::Unsupported { device, what }) => format!("{device} {what}"),
        other => panic!("{other:?}"),
    };
    assert!(refused(tiny(1, true).with_precision(Precision::Bf16)).contains("policy.compute"));
    let folder = model::base(cohort_core::NumberType::F32);
    let lora = Lora { dropout: 0.1, ..model::lora() };
    assert!(refused(model::open(folder.path(), &model::opening(Selection::Lora(lora)))).contains("dropout"));
    let policy = open(tiny(1, true), Device::CPU);
    let sample = Sample::given(Context::of_tokens([1, 2]), &[3, 4]);
    let kept = tiny(1, true).distributions(&[&sample], RowSpec::at(1.0)).expect("distributions");
    let against = Against { old: Some(kept), reference: None };
    let divergence = policy.rows_against(&[&sample], RowSpec::at(1.0), &against);
    assert!(matches!(divergence, Err(PolicyError::Unsupported { what }) if what.contains("divergence")));
    for kind in DeviceKind::ALL.into_iter().filter(|kind| !kind.is_built()) {
        let error = DevicePolicy::open(tiny(1, true), Device { kind, index: None }).expect_err("not built in");
        assert!(error.to_string().contains(&format!("--features {}", kind.name())), "{error}");
    }
}
