//! The law: the sampler's rows, the rows without a tape and those of the training graph are the same bits.

use std::path::Path;

use crate::common::{controls, forward, requests, rows, tiny};
use cohort_core::{Policy, Precision, Sample, Sampler};
use cohort_model::TextPolicy;

/// Both ways to multiply.
const PRECISIONS: [Precision; 2] = [Precision::F32, Precision::Bf16];

fn hold_the_law(policy: &TextPolicy, count: usize, max_actions: usize, temperature: f32) {
    let samples = policy.sample(&requests(count, &controls(temperature, max_actions), 5)).expect("samples");
    assert_eq!(samples.len(), count);
    let all: Vec<&Sample> = samples.iter().collect();
    let scored = rows(policy, &all, temperature);
    let trained = forward(policy, &all, temperature);
    for (i, sample) in samples.iter().enumerate() {
        assert_eq!(sample.behaviour, scored[i], "sampler and rows, sample {i} of {count} at {temperature}");
        assert_eq!(scored[i], trained[i], "rows and forward, sample {i} of {count} at {temperature}");
        let alone = forward(policy, &[sample], temperature);
        assert_eq!(alone[0], trained[i], "a sample alone and among others, {i} of {count} at {temperature}");
    }
}

#[test]
fn at_every_batch_size_and_temperature() {
    for (tied, precision) in PRECISIONS.into_iter().flat_map(|precision| [(true, precision), (false, precision)]) {
        let policy = tiny(1, tied).with_precision(precision);
        for count in [1, 2, 3, 7, 33, 70, 150] {
            for temperature in [1.0, 0.7] {
                hold_the_law(&policy, count, 20, temperature);
            }
        }
    }
}

/// Every tiny checkpoint of the parity suite: one an architecture and kind of rotation.
fn checkpoints() -> Vec<(String, TextPolicy)> {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut folders: Vec<_> =
        std::fs::read_dir(golden).expect("the folder").map(|entry| entry.expect("an entry").path()).collect();
    folders.retain(|path| path.is_dir());
    folders.sort();
    let load = |path: &std::path::PathBuf| (path.display().to_string(), TextPolicy::load(path).expect("a model"));
    folders.iter().map(load).collect()
}

#[test]
fn for_every_architecture_before_and_after_an_update() {
    let all = checkpoints();
    assert!(all.len() >= 12);
    let both = all.into_iter().zip(checkpoints()).flat_map(|((name, policy), (_, same))| {
        [(name.clone(), policy), (format!("{name} in bf16"), same.with_precision(Precision::Bf16))]
    });
    for (name, mut policy) in both {
        println!("{name}");
        for round in 0..2 {
            // 60 actions: beyond every window and every original context.
            for (count, temperature) in [(1, 1.0), (5, 0.7), (70, 1.0)] {
                hold_the_law(&policy, count, 60, temperature);
            }
            if round == 0 {
                for index in 0..policy.parameters().len() {
                    let step = |(i, x): (usize, &mut f32)| *x += 1e-2 * ((i * 7 + index) % 11) as f32 - 5e-2;
                    policy.write(index, &mut |values| values.iter_mut().enumerate().for_each(step));
                }
            }
        }
    }
}

#[test]
fn after_a_write() {
    for precision in PRECISIONS {
        let mut policy = tiny(2, true).with_precision(precision);
        for index in 0..policy.parameters().len() {
            let step = |(i, x): (usize, &mut f32)| *x += 1e-3 * (i % 7) as f32;
            policy.write(index, &mut |values| values.iter_mut().enumerate().for_each(step));
        }
        hold_the_law(&policy, 40, 20, 1.0);
    }
}

#[test]
fn a_sample_does_not_depend_on_its_neighbours() {
    for precision in PRECISIONS {
        alone_and_among_others(&tiny(3, true).with_precision(precision));
    }
}

fn alone_and_among_others(policy: &TextPolicy) {
    let all = requests(100, &controls(1.0, 16), 8);
    let together = policy.sample(&all).expect("samples");
    for (i, request) in all.iter().enumerate() {
        let alone = policy.sample(std::slice::from_ref(request)).expect("a sample");
        assert_eq!(alone[0], together[i], "request {i}");
    }
    let mut reversed = all.clone();
    reversed.reverse();
    let mut back = policy.sample(&reversed).expect("samples");
    back.reverse();
    assert_eq!(back, together);
    let halves: Vec<Sample> = all.chunks(37).flat_map(|part| policy.sample(part).expect("samples")).collect();
    assert_eq!(halves, together);
}
