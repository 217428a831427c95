//! The law: the sampler's rows, the rows without a tape and those of the training graph are the same bits.

mod common;

use cohort_core::{Policy, Sample, Sampler};
use common::{controls, forward, requests, rows, tiny};

fn hold_the_law(policy: &cohort_model::TextPolicy, count: usize, temperature: f32) {
    let samples = policy.sample(&requests(count, &controls(temperature, 20), 5)).expect("samples");
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
    for tied in [true, false] {
        let policy = tiny(1, tied);
        for count in [1, 2, 3, 7, 33, 70, 150] {
            for temperature in [1.0, 0.7] {
                hold_the_law(&policy, count, temperature);
            }
        }
    }
}

#[test]
fn after_a_write() {
    let mut policy = tiny(2, true);
    for index in 0..policy.parameters().len() {
        policy.write(index, &mut |values| values.iter_mut().enumerate().for_each(|(i, x)| *x += 1e-3 * (i % 7) as f32));
    }
    hold_the_law(&policy, 40, 1.0);
}

#[test]
fn a_sample_does_not_depend_on_its_neighbours() {
    let policy = tiny(3, true);
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
