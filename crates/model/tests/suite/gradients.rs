//! The gradient against finite differences, from many threads, and what a write does to the storage.

use crate::common::{controls, forward, hold_differences, requests, rows, tiny};
use cohort_core::{Gradient, Policy, RowGradients, RowSpec, Sample, Sampler};
use cohort_model::{Prompts, TextPolicy};

const SPEC: RowSpec = RowSpec::at(0.9);

fn batch(policy: &TextPolicy, count: usize, seed: u64) -> Vec<Sample> {
    policy.sample(&requests(count, &controls(1.0, 9), seed)).expect("samples")
}

/// Some numbers, different for every action.
fn weights(samples: &[Sample]) -> Vec<RowGradients> {
    let mut n = 0;
    let mut next = |step: usize| {
        n += step;
        ((n % 17) as f64 - 8.0) / 10.0
    };
    samples
        .iter()
        .map(|sample| RowGradients {
            logp: sample.actions.iter().map(|_| next(5)).collect(),
            entropy: Some(sample.actions.iter().map(|_| next(3)).collect()),
            ..RowGradients::default()
        })
        .collect()
}

fn loss(policy: &TextPolicy, samples: &[Sample], weights: &[RowGradients]) -> f64 {
    let all: Vec<&Sample> = samples.iter().collect();
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    rows(policy, &all, SPEC.temperature)
        .iter()
        .zip(weights)
        .map(|(rows, w)| dot(&rows.logp, &w.logp) + dot(&rows.entropy, w.entropy.as_deref().unwrap_or_default()))
        .sum()
}

fn gradient(policy: &TextPolicy, samples: &[Sample], weights: &[RowGradients]) -> Gradient {
    let all: Vec<&Sample> = samples.iter().collect();
    policy.forward(&all, SPEC).expect("forward").1.backward(weights)
}

/// A group's prompt once or once a completion: the same rows to the bit, and the same gradient but for the order of its sums.
#[test]
fn a_shared_prompt_is_the_same_prompt() {
    let shared = tiny(4, true);
    let mut samples = batch(&shared, 12, 7);
    samples.push(Sample::given(samples[11].sampled_under.clone(), &[]));
    samples.sort_by_key(|sample| sample.sampled_under.as_tokens().map(<[u32]>::to_vec));
    let groups = samples.chunk_by(|a, b| a.sampled_under == b.sampled_under).map(<[Sample]>::len).max();
    assert!(groups > Some(2), "no group in {groups:?}");
    let (weights, repeated) = (weights(&samples), tiny(4, true).with_prompts(Prompts::Repeated));
    let all: Vec<&Sample> = samples.iter().collect();
    assert_eq!(rows(&shared, &all, 0.9), rows(&repeated, &all, 0.9));
    assert_eq!(forward(&shared, &all, 0.9), forward(&repeated, &all, 0.9));
    assert_eq!(batch(&shared, 12, 7), batch(&repeated, 12, 7));
    let [once, often] = [&shared, &repeated].map(|policy| gradient(policy, &samples, &weights));
    for (info, (once, often)) in shared.parameters().iter().zip(once.0.iter().zip(&often.0)) {
        let largest = often.iter().fold(0.0f32, |most, x| most.max(x.abs()));
        let apart = once.iter().zip(often).fold(0.0f32, |most, (a, b)| most.max((a - b).abs()));
        assert!(largest > 0.0 && apart <= 2e-5 * largest, "{}: {apart} of {largest}", info.name);
    }
}

#[test]
fn as_finite_differences_through_the_whole_model() {
    for tied in [true, false] {
        let mut policy = tiny(4, tied);
        let samples = batch(&policy, 4, 1);
        let weights = weights(&samples);
        let exact = gradient(&policy, &samples, &weights);
        hold_differences(&format!("tied {tied}"), &mut policy, &exact, (4e-3, 4e-3), |policy| {
            loss(policy, &samples, &weights)
        });
    }
}

#[test]
fn the_sum_of_two_samples_is_the_sum_of_gradients() {
    let policy = tiny(5, true);
    let samples = batch(&policy, 2, 2);
    let weights = weights(&samples);
    let together = gradient(&policy, &samples, &weights);
    let mut apart = gradient(&policy, &samples[..1], &weights[..1]);
    apart.add(&gradient(&policy, &samples[1..], &weights[1..]));
    for (a, b) in together.0.iter().flatten().zip(apart.0.iter().flatten()) {
        assert!((a - b).abs() <= 1e-5 + 1e-4 * a.abs(), "{a} {b}");
    }
}

#[test]
fn zero_row_gradients_and_no_samples_give_zeros() {
    let policy = tiny(6, false);
    let samples = batch(&policy, 3, 3);
    let mut zero = weights(&samples);
    for gradient in &mut zero {
        gradient.logp.fill(0.0);
        gradient.entropy = None;
    }
    for gradient in [gradient(&policy, &samples, &zero), gradient(&policy, &[], &[])] {
        assert_eq!(gradient.0.len(), policy.parameters().len());
        for (values, info) in gradient.0.iter().zip(policy.parameters()) {
            assert!(values.len() == info.element_count() && values.iter().all(|&g| g == 0.0));
        }
    }
}

#[test]
fn many_threads_go_back_at_once_to_the_same_bits() {
    let policy = tiny(7, true);
    let batches: Vec<Vec<Sample>> = (0..4).map(|i| batch(&policy, 3 + i, 10 + i as u64)).collect();
    let alone: Vec<Gradient> = batches.iter().map(|samples| gradient(&policy, samples, &weights(samples))).collect();
    let policy = &policy;
    std::thread::scope(|scope| {
        for (samples, alone) in batches.iter().zip(&alone) {
            scope.spawn(move || {
                for round in 0..25 {
                    assert!(gradient(policy, samples, &weights(samples)) == *alone, "round {round}");
                }
            });
        }
    });
}

#[test]
fn a_write_is_in_place_once_tapes_are_gone() {
    let mut policy = tiny(8, true);
    let samples = batch(&policy, 5, 4);
    let weights = weights(&samples);
    let places = |policy: &TextPolicy| -> Vec<*const f32> {
        (0..policy.parameters().len()).map(|index| policy.weights().slice(index).as_ptr()).collect()
    };
    let before = places(&policy);
    for round in 0..3 {
        let all: Vec<&Sample> = samples.iter().collect();
        let (_, abandoned) = policy.forward(&all, SPEC).expect("forward");
        gradient(&policy, &samples, &weights);
        drop(abandoned);
        for index in 0..policy.parameters().len() {
            assert!(policy.weights().is_unique(index), "parameter {index} is held by a graph, round {round}");
            policy.write(index, &mut |values| values.iter_mut().for_each(|x| *x *= 0.999));
        }
        assert_eq!(places(&policy), before);
    }
}

#[test]
fn a_duplicate_has_storage_of_its_own() {
    let mut policy = tiny(9, true);
    let copy = policy.duplicate();
    let mut first = 0.0;
    policy.read(0, &mut |values| first = values[0]);
    policy.write(0, &mut |values| values[0] += 1.0);
    copy.read(0, &mut |values| assert_eq!(values[0], first));
    assert_eq!((copy.assets(), copy.position_limit()), (policy.assets(), Some(96)));
}
