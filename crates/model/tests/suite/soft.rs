//! Soft tokens: sampler and trainer are fed the same embeddings and give the same densities; no mixture is taken for another.

use std::sync::Arc;

use crate::common::{controls, derivatives, forward, hold_differences, requests, rows, tiny};
use cohort_core::{
    Against, Context, Controls, Decoding, Gradient, Mixture, Policy, PolicyError, Precision, Request, RowGradients,
    RowSpec, Sample, Sampler, Soft, StopReason, Stream,
};
use cohort_model::{Prompts, TextPolicy};

/// The id that ends a thought.
const UNTIL: u32 = 7;

fn soft() -> Soft {
    Soft { until: UNTIL, top_k: 5, top_p: 0.95, tau: 0.4, clamp: Soft::CLAMP }
}

fn thinking(temperature: f32, max_actions: usize) -> Controls {
    Controls { soft: Some(soft()), ..controls(temperature, max_actions) }
}

fn batch(policy: &TextPolicy, count: usize, seed: u64) -> Vec<Sample> {
    policy.sample(&requests(count, &thinking(0.9, 12), seed)).expect("samples")
}

fn all(samples: &[Sample]) -> Vec<&Sample> {
    samples.iter().collect()
}

#[test]
fn a_thought_is_soft_up_to_its_end() {
    let policy = tiny(1, true);
    let samples = batch(&policy, 360, 3);
    let (mut closed, mut several) = (0, 0);
    for sample in &samples {
        let (ids, mixtures) = (sample.tokens().collect::<Vec<_>>(), sample.mixtures.as_ref().expect("a column"));
        assert_eq!(mixtures.len(), ids.len());
        let end = ids.iter().position(|&id| id == UNTIL).map_or(ids.len(), |at| at + 1);
        closed += usize::from(end < ids.len());
        for (at, (mixture, &id)) in mixtures.iter().zip(&ids).enumerate() {
            assert_eq!(mixture.is_some(), at < end, "{ids:?}");
            let Some(mixture) = mixture else { continue };
            assert_eq!(mixture.id(), id);
            assert_eq!(mixture.embedding().is_none(), id == UNTIL, "the end of a thought is fed as itself");
            assert!((1..=5).contains(&mixture.ids().len()));
            several += usize::from(mixture.weights().iter().filter(|&&weight| weight > 0.05).count() > 1);
        }
        assert!(matches!(sample.stop, StopReason::End(1) | StopReason::Length));
    }
    assert!(closed > 10 && several > 100, "{closed} {several}");
}

/// The law, in both ways to multiply, in any company; and so the first ratio is exactly 1.
#[test]
fn the_sampler_is_the_trainer() {
    for (tied, precision) in [(true, Precision::F32), (false, Precision::F32), (true, Precision::Bf16)] {
        let policy = tiny(2, tied).with_precision(precision);
        for count in [1, 5, 70] {
            for temperature in [1.0, 0.7] {
                let samples = policy.sample(&requests(count, &thinking(temperature, 20), 5)).expect("samples");
                let (scored, trained) =
                    (rows(&policy, &all(&samples), temperature), forward(&policy, &all(&samples), temperature));
                for (i, sample) in samples.iter().enumerate() {
                    assert_eq!(sample.behaviour, scored[i], "sampler and rows, sample {i} of {count}");
                    assert_eq!(scored[i], trained[i], "rows and forward, sample {i} of {count}");
                    assert_eq!(forward(&policy, &[sample], temperature)[0], trained[i], "alone, {i} of {count}");
                }
            }
        }
    }
}

#[test]
fn a_sample_does_not_depend_on_the_others() {
    let policy = tiny(3, true);
    let requests = requests(70, &thinking(1.0, 14), 9);
    let together = policy.sample(&requests).expect("samples");
    let apart: Vec<Sample> = requests.chunks(11).flat_map(|part| policy.sample(part).expect("samples")).collect();
    assert_eq!(together, apart);
}

/// With every id a candidate, noise that is not held and cold weights, what is recorded and fed is a categorical draw (Gumbel's trick).
#[test]
fn a_cold_mixture_of_all_ids_is_a_draw_from_the_distribution() {
    let policy = tiny(4, true);
    let draws = 4000;
    let soft = Soft { until: 39, top_k: 40, top_p: 1.0, tau: 1e-6, clamp: [-60.0, 60.0] };
    let controls = Arc::new(Controls { soft: Some(soft), ..Controls::new(Decoding::Temperature(1.3), 1) });
    let stream = Stream::new(6, "draws");
    let request = |i| Request {
        context: Context::of_tokens([4, 8]),
        controls: Arc::clone(&controls),
        dice: stream.dice(0, 0, i),
    };
    let mut counts = vec![0.0; 40];
    for sample in policy.sample(&(0..draws).map(request).collect::<Vec<_>>()).expect("samples") {
        let mixture = sample.mixture(0).expect("a soft token");
        counts[mixture.id() as usize] += 1.0;
        assert!(mixture.weights().iter().any(|&weight| weight > 0.999), "{:?}", mixture.weights());
    }
    let choices: Vec<Sample> = (0..40).map(|id| Sample::given(Context::of_tokens([4, 8]), &[id])).collect();
    for (id, (count, rows)) in counts.iter().zip(rows(&policy, &all(&choices), 1.3)).enumerate() {
        // The offset of 1e-6 in the logarithm moves a probability by no more.
        let p = rows.logp[0].exp();
        let deviation = (f64::from(draws) * p * (1.0 - p)).sqrt();
        assert!((count - f64::from(draws) * p).abs() < 4.5 * deviation + 1.0, "id {id}: {count} of p = {p}");
    }
}

/// One candidate has all the weight and is fed as its embedding: the way of a greedy token, but for what its row is.
#[test]
fn one_candidate_is_a_token() {
    let policy = tiny(5, true);
    let one = Controls { soft: Some(Soft { top_k: 1, ..soft() }), ..controls(1.0, 14) };
    let greedy = Controls { decoding: Decoding::Greedy, ..controls(1.0, 14) };
    let [soft, plain] = [one, greedy].map(|controls| policy.sample(&requests(12, &controls, 2)).expect("samples"));
    for (soft, plain) in soft.iter().zip(&plain) {
        let until = soft.mixtures.iter().flatten().flatten().count();
        let ids = |sample: &Sample| sample.tokens().take(until).collect::<Vec<_>>();
        assert_eq!(ids(soft), ids(plain));
        assert_eq!(soft.behaviour.entropy[..until], plain.behaviour.entropy[..until], "they read the same");
    }
}

#[test]
fn greedy_thoughts_have_no_noise() {
    let policy = tiny(6, true);
    let greedy = Controls { decoding: Decoding::Greedy, ..thinking(1.0, 10) };
    let samples = policy.sample(&requests(9, &greedy, 1)).expect("samples");
    assert_eq!(samples, policy.sample(&requests(9, &greedy, 2)).expect("samples"), "dice decide nothing");
    let mixtures: Vec<&Arc<Mixture>> = samples.iter().flat_map(|s| s.mixtures.iter().flatten().flatten()).collect();
    assert!(mixtures.iter().all(|mixture| mixture.id() == mixture.ids()[0]));
    assert!(mixtures.iter().any(|mixture| mixture.weights()[0] < 0.95), "and are mixtures all the same");
}

#[test]
fn bans_hold_for_every_candidate() {
    let policy = tiny(7, true);
    let banned = Controls { forbidden: vec![1, 2, 3, 30], bad_words: vec![vec![12]], ..thinking(1.0, 12) };
    for sample in policy.sample(&requests(30, &banned, 2)).expect("samples") {
        let ids = sample.mixtures.iter().flatten().flatten().flat_map(|mixture| mixture.ids());
        assert!(ids.chain(&sample.tokens().collect::<Vec<_>>()).all(|id| ![1, 2, 3, 30, 12].contains(id)));
    }
}

/// A sample whose soft tokens are fed as others' embeddings has rows of its own, whatever it shares in ids.
#[test]
fn equal_ids_with_other_mixtures_are_apart() {
    let policy = tiny(8, true);
    let samples = batch(&policy, 40, 4);
    let long = samples.iter().find(|s| s.mixtures.iter().flatten().flatten().count() >= 10).expect("a long thought");
    let mut other = long.clone();
    let column = other.mixtures.as_mut().expect("a column");
    let moved = |mixture: &Arc<Mixture>| {
        let embedding = mixture.embedding().expect("not the end").iter().map(|x| 0.5 * x).collect();
        Arc::new(Mixture::clone(mixture).fed_as(embedding))
    };
    column[1] = column[1].as_ref().map(moved);
    assert!(long.tokens().eq(other.tokens()));
    let alone = [forward(&policy, &[long], 0.9), forward(&policy, &[&other], 0.9)].concat();
    let together = forward(&policy, &[long, &other, long], 0.9);
    assert_eq!(together[..2], alone, "neither is taken for the other");
    assert_eq!(together[2], alone[0]);
    assert_eq!(alone[0].logp[..2], alone[1].logp[..2]);
    assert_ne!(alone[0].logp[2..], alone[1].logp[2..], "what was fed decides what follows");
    // The same draw stands once: a plan of several chains.
    assert_eq!(rows(&policy, &[long, &other, long], 0.9), together);
}

fn gradient(policy: &TextPolicy, samples: &[Sample], weights: &[RowGradients]) -> Gradient {
    policy.forward(&all(samples), RowSpec::at(0.9)).expect("forward").1.backward(weights)
}

/// The stored embeddings stay as they are while weights move: no derivative goes through them, and none is missing elsewhere.
#[test]
fn the_gradient_is_that_of_finite_differences() {
    for tied in [true, false] {
        let mut policy = tiny(9, tied);
        // Noise that is not held: beyond a bound a difference sees a kink.
        let soft = Soft { clamp: [-60.0, 60.0], top_p: 1.0, ..soft() };
        let controls = Controls { soft: Some(soft), ..controls(0.9, 9) };
        let samples = policy.sample(&requests(4, &controls, 1)).expect("samples");
        assert!(samples.iter().flat_map(|s| s.mixtures.iter().flatten()).flatten().count() > 8);
        let weights = derivatives(&samples);
        let exact = gradient(&policy, &samples, &weights);
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let loss = |policy: &TextPolicy| -> f64 {
            let rows = rows(policy, &all(&samples), 0.9);
            rows.iter()
                .zip(&weights)
                .map(|(rows, w)| {
                    dot(&rows.logp, &w.logp) + dot(&rows.entropy, w.entropy.as_deref().unwrap_or_default())
                })
                .sum()
        };
        hold_differences(&format!("tied {tied}"), &mut policy, &exact, (2e-3, 8e-3), loss);
    }
}

#[test]
fn shared_beginnings_change_no_row_and_no_gradient() {
    let (shared, repeated) = (tiny(10, true), tiny(10, true).with_prompts(Prompts::Repeated));
    let mut samples = batch(&shared, 12, 7);
    assert_eq!(samples, batch(&repeated, 12, 7));
    samples.push(samples[11].clone());
    assert_eq!(forward(&shared, &all(&samples), 0.9), forward(&repeated, &all(&samples), 0.9));
    let weights = derivatives(&samples);
    let [once, often] = [&shared, &repeated].map(|policy| gradient(policy, &samples, &weights));
    for (once, often) in once.0.iter().zip(&often.0) {
        let largest = often.iter().fold(0.0f32, |most, x| most.max(x.abs()));
        assert!(once.iter().zip(often).all(|(a, b)| (a - b).abs() <= 2e-5 * largest));
    }
}

#[test]
fn what_has_no_meaning_is_refused() {
    let policy = tiny(11, true);
    let samples = batch(&policy, 3, 1);
    let refused = |result: Result<(), PolicyError>, part: &str| {
        let error = result.expect_err("refused").to_string();
        assert!(error.contains(part), "{error}");
    };
    refused(policy.distributions(&all(&samples), RowSpec::at(1.0)).map(drop), "rollout.thinking");
    let given: Vec<Sample> = samples.iter().map(|s| Sample { mixtures: None, ..s.clone() }).collect();
    let old = policy.distributions(&all(&given), RowSpec::at(1.0)).expect("of tokens");
    let against = Against { old: Some(old), reference: None };
    refused(policy.rows_against(&all(&samples), RowSpec::at(1.0), &against).map(drop), "rollout.thinking");
    let far = Controls { soft: Some(Soft { until: 40, ..soft() }), ..controls(1.0, 4) };
    assert!(matches!(policy.sample(&requests(1, &far, 1)), Err(PolicyError::UnknownToken { id: 40, .. })));
    let cold = Controls { soft: Some(Soft { tau: 0.0, ..soft() }), ..controls(1.0, 4) };
    refused(policy.sample(&requests(1, &cold, 1)).map(drop), "tau");
}
