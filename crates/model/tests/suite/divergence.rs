//! Exact divergences of text policies: against the sum over the vocabulary, against differences, and from what was kept.

use crate::common::{
    controls,
    model::{base, lora, open, opening, update},
    requests, rows, tiny,
};
use cohort_core::{
    Against, Distributions, Execution, NumberType, Policy, PolicyError, RowGradients, RowSpec, Rows, Sample, Sampler,
};
use cohort_model::{Prompts, Selection, TextPolicy};

const SPEC: RowSpec = RowSpec::at(0.9);

fn samples(policy: &TextPolicy) -> Vec<Sample> {
    policy.sample(&requests(5, &controls(1.0, 7), 3)).expect("samples")
}

fn kept(policy: &dyn Policy, samples: &[&Sample]) -> Distributions {
    policy.distributions(samples, SPEC).expect("distributions")
}

fn from(reference: &dyn Policy, samples: &[&Sample]) -> Against {
    Against { reference: Some(kept(reference, samples)), ..Against::default() }
}

fn against(policy: &TextPolicy, samples: &[&Sample], against: &Against) -> Vec<Rows> {
    policy.rows_against(samples, SPEC, against).expect("rows")
}

/// `sum_j p_j (ln p_j - ln q_j)` in f64, from logits, after every context of an action.
fn naive(p: &TextPolicy, q: &TextPolicy, sample: &Sample) -> Vec<f64> {
    let context = sample.sampled_under.as_tokens().expect("ids");
    let actions: Vec<u32> = sample
        .actions
        .iter()
        .map(|action| match action.choice {
            cohort_core::Choice::Token(id) => id,
            other => panic!("{other:?}"),
        })
        .collect();
    let ids: Vec<u32> = context.iter().chain(&actions[..actions.len() - 1]).copied().collect();
    let log_p = |policy: &TextPolicy| -> Vec<Vec<f64>> {
        let logits = policy.logits(&ids).expect("logits");
        let row = |z: &[f32]| {
            let z: Vec<f64> = z.iter().map(|&z| f64::from(z) / f64::from(SPEC.temperature)).collect();
            let sum = z.iter().map(|z| z.exp()).sum::<f64>().ln();
            z.iter().map(|z| z - sum).collect()
        };
        logits.chunks(logits.len() / ids.len()).skip(context.len() - 1).map(row).collect()
    };
    let divergence = |(p, q): (&Vec<f64>, &Vec<f64>)| p.iter().zip(q).map(|(p, q)| p.exp() * (p - q)).sum();
    log_p(p).iter().zip(&log_p(q)).map(divergence).collect()
}

#[test]
fn a_divergence_is_the_sum_over_the_vocabulary() {
    let (policy, reference) = (tiny(4, true), tiny(5, false));
    let drawn = samples(&policy);
    let all: Vec<&Sample> = drawn.iter().collect();
    let scored = against(&policy, &all, &from(&reference, &all));
    let mut seen = 0;
    for ((sample, scored), plain) in all.iter().zip(&scored).zip(rows(&policy, &all, SPEC.temperature)) {
        assert_eq!((&scored.logp, &scored.entropy), (&plain.logp, &plain.entropy), "the other columns stay");
        assert_eq!(scored.kl_old, None);
        for (kl, expected) in scored.kl_ref.as_ref().expect("a column").iter().zip(naive(&policy, &reference, sample)) {
            assert!((kl - expected).abs() <= 1e-5 * expected.max(1.0), "{kl}, by the sum {expected}");
            seen += usize::from(expected > 0.1);
        }
        let alone = against(&policy, &[sample], &from(&reference, &[sample]));
        assert_eq!(alone[0], *scored, "a row does not depend on its neighbours");
    }
    assert!(seen > 5, "the two policies differ");
    let (trained, tape) =
        policy.forward_against(&all, SPEC, Execution::default(), &from(&reference, &all)).expect("a pass");
    assert_eq!(trained, scored, "forward and rows");
    drop(tape);
    let repeated = policy.with_prompts(Prompts::Repeated);
    assert_eq!(
        against(&repeated, &all, &from(&reference, &all)),
        scored,
        "a prompt that samples share, and one for each"
    );
}

#[test]
fn nothing_diverges_from_itself_until_it_moves() {
    for tied in [true, false] {
        let mut policy = tiny(6, tied);
        let drawn = samples(&policy);
        let all: Vec<&Sample> = drawn.iter().collect();
        let both = Against { old: Some(kept(&policy, &all)), reference: Some(kept(&policy, &all)) };
        let zeros = |rows: &Rows| Some(vec![0.0; rows.len()]);
        for rows in against(&policy, &all, &both) {
            assert_eq!((&rows.kl_old, &rows.kl_ref), (&zeros(&rows), &zeros(&rows)));
        }
        // What was kept stays as it was, the head too.
        let start = policy.duplicate();
        update(&mut policy);
        let moved = against(&policy, &all, &both);
        assert_eq!(moved, against(&policy, &all, &Against { old: both.old.clone(), ..from(start.as_ref(), &all) }));
        assert!(moved.iter().flat_map(|rows| rows.kl_old.iter().flatten()).all(|&kl| kl > 0.0));
    }
}

/// Of all of a model, of one with an untied head, and of an adapter, whose reference is its base.
#[test]
fn gradients_are_differences() {
    let model = base(NumberType::F32);
    let adapter = open(model.path(), &opening(Selection::Lora(lora())));
    for mut policy in [tiny(4, true), tiny(4, false), adapter] {
        let reference = policy.reference();
        let drawn = samples(&policy);
        let all: Vec<&Sample> = drawn.iter().collect();
        let both = Against { old: Some(kept(&policy, &all)), ..from(reference.as_ref(), &all) };
        update(&mut policy);
        let mut n = 0;
        let mut next = |sample: &Sample| -> Vec<f64> {
            let mut one = || {
                n += 5;
                f64::from(n % 17) / 10.0 - 0.7
            };
            sample.actions.iter().map(|_| one()).collect()
        };
        let weights: Vec<RowGradients> = all
            .iter()
            .map(|sample| RowGradients {
                logp: next(sample),
                entropy: None,
                kl_old: Some(next(sample)),
                kl_ref: Some(next(sample)),
            })
            .collect();
        let (_, tape) = policy.forward_against(&all, SPEC, Execution::default(), &both).expect("a pass");
        let exact = tape.backward(&weights).0;
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let column = |rows: &Option<Vec<f64>>, weights: &Option<Vec<f64>>| {
            dot(rows.as_deref().expect("a column"), weights.as_deref().expect("weights"))
        };
        let loss = |policy: &TextPolicy| -> f64 {
            let rows = against(policy, &all, &both);
            let of = |(rows, w): (&Rows, &RowGradients)| {
                dot(&rows.logp, &w.logp) + column(&rows.kl_old, &w.kl_old) + column(&rows.kl_ref, &w.kl_ref)
            };
            rows.iter().zip(&weights).map(of).sum()
        };
        for (index, exact) in exact.iter().enumerate() {
            let largest = (0..exact.len()).max_by(|&i, &j| exact[i].abs().total_cmp(&exact[j].abs()));
            let at = largest.expect("entries");
            let step = 1e-3_f32;
            let mut moved = |by: f32| {
                policy.write(index, &mut |values| values[at] += by);
                let sum = loss(&policy);
                policy.write(index, &mut |values| values[at] -= by);
                sum
            };
            let slope = (moved(step) - moved(-step)) / (2.0 * f64::from(step));
            let expected = f64::from(exact[at]);
            let name = &policy.parameters()[index].name;
            assert!((slope - expected).abs() <= 0.03 * expected.abs() + 0.05, "{name}: {slope}, backward {expected}");
        }
    }
}

#[test]
fn distributions_of_others_are_refused() {
    let policy = tiny(4, true);
    let drawn = samples(&policy);
    let all: Vec<&Sample> = drawn.iter().collect();
    let fewer = Against { reference: Some(kept(&policy, &all[1..])), ..Against::default() };
    let foreign = Against { old: Some(Distributions::new(3_u8)), ..Against::default() };
    for against in [fewer, foreign] {
        let refused = policy.rows_against(&all, SPEC, &against);
        assert!(matches!(refused, Err(PolicyError::Unsupported { .. })), "{refused:?}");
    }
}
