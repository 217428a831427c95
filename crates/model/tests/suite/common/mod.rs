//! What the tests of this crate share.
#![allow(dead_code)]

pub mod model;

use std::sync::Arc;

use cohort_core::{
    Context, Controls, Decoding, Gradient, Policy, Request, RowGradients, RowSpec, Rows, Sample, Stream, policy::Asset,
};
use cohort_model::{Architecture, Blueprint, TextPolicy, arithmetic_tokenizer};

/// A two-layer model with grouped heads; `seed` decides its weights.
pub fn tiny(seed: u64, tied: bool) -> TextPolicy {
    two_layers(seed, Blueprint { tied, ..blueprint(40) }, Vec::new(), 8.0)
}

/// The same, of the tokens of the arithmetic tokenizer.
pub fn speaking(seed: u64) -> TextPolicy {
    two_layers(seed, blueprint(64), arithmetic_tokenizer(), 4.0)
}

fn blueprint(vocabulary: usize) -> Blueprint {
    Blueprint {
        vocabulary,
        width: 32,
        layers: 2,
        query_heads: 4,
        kv_heads: 2,
        head_dim: 8,
        inner: 48,
        experts: None,
        positions: 96,
        rope_theta: 10_000.0,
        norm_eps: 1e-6,
        tied: true,
        end_ids: vec![1],
        pad_id: Some(0),
    }
}

fn two_layers(seed: u64, blueprint: Blueprint, tokenizer: Vec<Asset>, factor: f32) -> TextPolicy {
    let architecture = Architecture::new(&blueprint).expect("a possible architecture");
    let mut policy = TextPolicy::new(architecture, tokenizer, Stream::new(seed, "init")).expect("a new policy");
    scale(&mut policy, factor);
    policy
}

/// Larger weights, so that distributions are far from uniform.
pub fn scale(policy: &mut TextPolicy, factor: f32) {
    for index in 0..policy.parameters().len() {
        if policy.parameters()[index].shape.len() == 2 {
            policy.write(index, &mut |values| values.iter_mut().for_each(|x| *x *= factor));
        }
    }
}

pub fn controls(temperature: f32, max_actions: usize) -> Controls {
    Controls { stop: vec![1], ..Controls::new(Decoding::Temperature(temperature), max_actions) }
}

/// `count` requests over a few contexts of different lengths.
pub fn requests(count: usize, controls: &Controls, seed: u64) -> Vec<Request> {
    let controls = Arc::new(controls.clone());
    let stream = Stream::new(seed, "sample");
    (0..count)
        .map(|i| {
            let prompt = (i / 3) as u32;
            let ids: Vec<u32> = (0..1 + prompt % 7).map(|j| 2 + (prompt * 5 + j * 3) % 38).collect();
            Request {
                context: Context::of_tokens(ids),
                controls: Arc::clone(&controls),
                dice: stream.dice(0, prompt, i as u32),
            }
        })
        .collect()
}

pub fn rows(policy: &TextPolicy, samples: &[&Sample], temperature: f32) -> Vec<Rows> {
    policy.rows(samples, RowSpec::at(temperature)).expect("rows")
}

pub fn forward(policy: &TextPolicy, samples: &[&Sample], temperature: f32) -> Vec<Rows> {
    policy.forward(samples, RowSpec::at(temperature)).expect("forward").0
}

/// Some derivatives, different for every action.
pub fn derivatives(samples: &[Sample]) -> Vec<RowGradients> {
    let mut n = 0;
    let mut next = |step: usize| {
        n += step;
        ((n % 17) as f64 - 8.0) / 10.0
    };
    let of = |sample: &Sample| RowGradients {
        logp: sample.actions.iter().map(|_| next(5)).collect(),
        entropy: Some(sample.actions.iter().map(|_| next(3)).collect()),
        ..RowGradients::default()
    };
    samples.iter().map(of).collect()
}

/// Holds a gradient to central differences of the loss, at three entries of every parameter: the two with the largest derivatives and one in
/// the middle. A difference is of two losses in f32 that are `2 step` apart: what it may be off besides 2 % is `slack`.
pub fn hold_differences(
    of: &str,
    policy: &mut TextPolicy,
    exact: &Gradient,
    (step, slack): (f32, f64),
    loss: impl Fn(&TextPolicy) -> f64,
) {
    for index in 0..policy.parameters().len() {
        let mut places: Vec<usize> = (0..exact.0[index].len()).collect();
        places.sort_by(|&a, &b| exact.0[index][b].abs().total_cmp(&exact.0[index][a].abs()));
        for at in [places[0], places[1], places[places.len() / 2]] {
            let mut moved = |by: f32| {
                policy.write(index, &mut |values| values[at] += by);
                let loss = loss(policy);
                policy.write(index, &mut |values| values[at] -= by);
                loss
            };
            let numeric = (moved(step) - moved(-step)) / (2.0 * f64::from(step));
            let exact = f64::from(exact.0[index][at]);
            let name = &policy.parameters()[index].name;
            assert!(
                (numeric - exact).abs() <= 0.02 * exact.abs() + slack,
                "{of}, {name}[{at}]: {exact}, by differences {numeric}"
            );
        }
    }
}
