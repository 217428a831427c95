//! Dropout of adapters: in training passes alone, the same in every pass of a step, and differentiated as it was drawn.

use std::num::NonZeroUsize;

use crate::common::{
    controls,
    model::{base, lora, open, opening, update},
    requests, rows,
};
use cohort_core::{
    Activations, Execution, Noise, NumberType, Policy, RowGradients, RowSpec, Rows, Sample, Sampler, Stream,
};
use cohort_model::{Lora, Prompts, Selection, TextPolicy};

fn spec(step: u32) -> RowSpec {
    RowSpec { noise: Some(Noise { stream: Stream::new(7, "dropout"), step }), ..RowSpec::at(0.9) }
}

/// An adapter that has begun, with this dropout; and without any.
fn pair(dropout: f64) -> [TextPolicy; 2] {
    let model = base(NumberType::F32);
    [dropout, 0.0].map(|dropout| {
        let mut policy = open(model.path(), &opening(Selection::Lora(Lora { dropout, ..lora() })));
        update(&mut policy);
        policy
    })
}

fn samples(policy: &TextPolicy) -> Vec<Sample> {
    policy.sample(&requests(7, &controls(1.0, 9), 3)).expect("samples")
}

fn scored(policy: &TextPolicy, samples: &[&Sample], spec: RowSpec) -> Vec<Rows> {
    policy.rows(samples, spec).expect("rows")
}

#[test]
fn samples_and_rows_without_noise_know_nothing_of_it() {
    let [policy, plain] = pair(0.3);
    assert!(policy.is_noisy() && !plain.is_noisy());
    let drawn = samples(&policy);
    assert_eq!(drawn, samples(&plain));
    let all: Vec<&Sample> = drawn.iter().collect();
    assert_eq!(rows(&policy, &all, 0.9), rows(&plain, &all, 0.9));
    assert_eq!(scored(&plain, &all, spec(1)), rows(&plain, &all, 0.9), "nothing is left out of nothing");
    let noisy = scored(&policy, &all, spec(1));
    assert!(noisy.iter().zip(rows(&policy, &all, 0.9)).all(|(noisy, plain)| noisy.logp != plain.logp));
    assert_ne!(noisy, scored(&policy, &all, spec(2)), "each step has noise of its own");
}

#[test]
fn every_pass_of_a_step_has_the_same_noise() {
    let [policy, _] = pair(0.3);
    let drawn = samples(&policy);
    let all: Vec<&Sample> = drawn.iter().collect();
    let together = scored(&policy, &all, spec(1));
    for (sample, rows) in all.iter().zip(&together) {
        assert_eq!(scored(&policy, &[sample], spec(1))[0], *rows, "a row does not depend on its neighbours");
    }
    let ones: Vec<RowGradients> = all
        .iter()
        .map(|sample| RowGradients { logp: vec![1.0; sample.actions.len()], ..RowGradients::default() })
        .collect();
    let two = NonZeroUsize::new(2).expect("two");
    let mut gradients = Vec::new();
    for (activations, threads) in
        [(Activations::Keep, NonZeroUsize::MIN), (Activations::Recompute, NonZeroUsize::MIN), (Activations::Keep, two)]
    {
        let (rows, tape) = policy.forward_by(&all, spec(1), Execution { activations, threads }).expect("a pass");
        assert_eq!(rows, together, "forward and rows");
        gradients.push(tape.backward(&ones));
    }
    assert!(gradients.iter().all(|gradient| *gradient == gradients[0]));
    let repeated = policy.with_prompts(Prompts::Repeated);
    assert_eq!(scored(&repeated, &all, spec(1)), together, "a prompt that samples share, and one for each");
}

#[test]
fn gradients_are_differences_with_the_noise_fixed() {
    let [mut policy, _] = pair(0.4);
    let drawn = samples(&policy);
    let all: Vec<&Sample> = drawn.iter().collect();
    let ones: Vec<RowGradients> = all
        .iter()
        .map(|sample| RowGradients { logp: vec![1.0; sample.actions.len()], ..RowGradients::default() })
        .collect();
    let exact = policy.forward(&all, spec(5)).expect("a pass").1.backward(&ones).0;
    let total = |policy: &TextPolicy| scored(policy, &all, spec(5)).iter().flat_map(|rows| &rows.logp).sum::<f64>();
    for (index, exact) in exact.iter().enumerate() {
        let largest = (0..exact.len()).max_by(|&i, &j| exact[i].abs().total_cmp(&exact[j].abs()));
        let at = largest.expect("entries");
        let step = 2e-3_f32;
        let mut moved = |by: f32| {
            policy.write(index, &mut |values| values[at] += by);
            let sum = total(&policy);
            policy.write(index, &mut |values| values[at] -= by);
            sum
        };
        let slope = (moved(step) - moved(-step)) / (2.0 * f64::from(step));
        let expected = f64::from(exact[at]);
        let name = &policy.parameters()[index].name;
        assert!((slope - expected).abs() <= 0.03 * expected.abs() + 0.02, "{name}: {slope}, backward {expected}");
    }
}
