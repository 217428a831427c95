//! Laws of sampling controls: a sample is a function of its own request, rows are taken before any truncation, and what is
//! recorded beside them is the distribution that was drawn from.

use std::{collections::BTreeMap, sync::Arc};

use crate::common::{forward, requests, rows, speaking, tiny};
use cohort_core::{Context, Controls, Decoding, PolicyError, Request, Sample, Sampler, StopReason, Stream, Truncation};
use cohort_model::{SpecialTokens, TextPolicy};

const TEMPERATURE: f32 = 0.9;

fn plain(max_actions: usize) -> Controls {
    Controls { stop: vec![1], ..Controls::new(Decoding::Temperature(TEMPERATURE), max_actions) }
}

/// One of each, and all of them at once.
fn every_control() -> Vec<Controls> {
    let off = Truncation::OFF;
    let truncated = |truncation| Controls { truncation, ..plain(16) };
    let bad_words = vec![vec![9], vec![8, 8], vec![7, 6, 5], vec![10, 11]];
    let stop_texts = vec!["12".to_owned(), "<think>".to_owned(), "=".to_owned()];
    vec![
        truncated(Truncation { top_k: Some(5), ..off }),
        truncated(Truncation { top_p: 0.8, ..off }),
        truncated(Truncation { min_p: 0.1, ..off }),
        Controls { bad_words: bad_words.clone(), ..plain(16) },
        Controls { stop_texts: stop_texts.clone(), ..plain(16) },
        Controls {
            truncation: Truncation { top_k: Some(20), top_p: 0.9, min_p: 0.02 },
            forbidden: vec![0, 12],
            bad_words: bad_words.clone(),
            stop_texts: stop_texts.clone(),
            ..plain(16)
        },
        Controls { decoding: Decoding::Greedy, bad_words, stop_texts, ..plain(16) },
    ]
}

#[test]
fn a_sample_is_a_function_of_its_own_request() {
    let policy = speaking(1);
    // All controls in one call: who else is there, and with which controls, shows nowhere.
    let all: Vec<Request> =
        every_control().iter().enumerate().flat_map(|(i, controls)| requests(30, controls, i as u64)).collect();
    let together = policy.sample(&all).expect("samples");
    for (i, request) in all.iter().enumerate().step_by(3) {
        assert_eq!(policy.sample(std::slice::from_ref(request)).expect("a sample")[0], together[i], "request {i}");
    }
    let mut reversed = all.clone();
    reversed.reverse();
    let mut back = policy.sample(&reversed).expect("samples");
    back.reverse();
    assert_eq!(back, together);
    for size in [2, 37, 65] {
        let parts: Vec<Sample> = all.chunks(size).flat_map(|part| policy.sample(part).expect("samples")).collect();
        assert_eq!(parts, together, "{size} at a time");
    }
}

#[test]
fn the_samplers_row_is_the_trainers_for_every_batch_shape() {
    let policy = speaking(2);
    for controls in every_control() {
        let temperature = controls.decoding.row_temperature();
        for (count, is_shared) in [(1, true), (3, true), (70, true), (70, false)] {
            let mut wanted = requests(count, &controls, 5);
            if !is_shared {
                for (i, request) in wanted.iter_mut().enumerate() {
                    request.context = Context::of_tokens([2 + i as u32 % 60, 5, 2 + i as u32 / 60]);
                }
            }
            let samples = policy.sample(&wanted).expect("samples");
            let all: Vec<&Sample> = samples.iter().collect();
            let (scored, trained) = (rows(&policy, &all, temperature), forward(&policy, &all, temperature));
            for (i, sample) in samples.iter().enumerate() {
                assert_eq!(sample.behaviour, scored[i], "{controls:?}: sample {i} of {count}");
                assert_eq!(scored[i], trained[i], "{controls:?}: sample {i} of {count}");
            }
        }
    }
}

/// The log-probabilities of every id after a context, at the sampling temperature.
fn distribution(policy: &TextPolicy, context: &[u32]) -> Vec<f64> {
    let vocabulary = policy.architecture().vocabulary as u32;
    let given: Vec<Sample> = (0..vocabulary).map(|id| Sample::given(Context::of_tokens(context), &[id])).collect();
    rows(policy, &given.iter().collect::<Vec<_>>(), TEMPERATURE).iter().map(|rows| rows.logp[0]).collect()
}

/// The truncated distribution from its definition: `None` for an id that is not in it.
fn truncated(logp: &[f64], truncation: Truncation, banned: &[u32]) -> Vec<Option<f64>> {
    let allowed = |i: usize| !banned.contains(&(i as u32));
    let mut p: Vec<f64> = logp.iter().enumerate().map(|(i, x)| if allowed(i) { x.exp() } else { 0.0 }).collect();
    let above = |p: &[f64], i: usize| -> (usize, f64) {
        let more: Vec<f64> = p.iter().copied().filter(|&q| q > p[i]).collect();
        (more.len(), more.iter().sum())
    };
    let keep = |p: &mut Vec<f64>, left: &dyn Fn(&[f64], usize) -> bool| {
        *p = (0..p.len()).map(|i| if left(p, i) { p[i] } else { 0.0 }).collect();
    };
    keep(&mut p, &|p, i| truncation.top_k.is_none_or(|k| above(p, i).0 < k));
    keep(&mut p, &|p, i| above(p, i).1 < truncation.top_p * p.iter().sum::<f64>());
    keep(&mut p, &|p, i| p[i] >= truncation.min_p * p.iter().copied().fold(0.0, f64::max));
    let total: f64 = p.iter().sum();
    p.iter().map(|&p| (p > 0.0).then(|| (p / total).ln())).collect()
}

#[test]
fn what_is_recorded_is_the_distribution_that_was_drawn_from() {
    let policy = speaking(3);
    let mut least_share = 1.0f64;
    for controls in every_control() {
        for (number, request) in requests(12, &controls, 9).iter().enumerate() {
            let sample = policy.sample(std::slice::from_ref(request)).expect("a sample").remove(0);
            let Some(recorded) = &sample.truncated_logp else {
                assert!(controls.truncation.is_off());
                continue;
            };
            let mut context: Vec<u32> = request.context.as_tokens().expect("tokens").to_vec();
            let prompt = context.len();
            for (i, id) in sample.tokens().enumerate() {
                let banned: Vec<u32> =
                    controls.forbidden.iter().copied().chain(controls.banned_after(&context[prompt..])).collect();
                let logp = distribution(&policy, &context);
                let left = truncated(&logp, controls.truncation, &banned);
                let expected = left[id as usize].expect("an id that was left");
                assert!(
                    (recorded[i] - expected).abs() < 1e-5,
                    "sample {number}, action {i}: {} {expected}",
                    recorded[i]
                );
                assert!(recorded[i] >= sample.behaviour.logp[i]);
                least_share = least_share.min((sample.behaviour.logp[i] - recorded[i]).exp());
                context.push(id);
            }
            assert_eq!(recorded.len(), sample.actions.len());
        }
    }
    assert!(least_share < 0.8, "{least_share}: nothing was truncated");
}

#[test]
fn a_truncation_that_keeps_all_changes_no_draw() {
    let policy = tiny(4, true);
    let (all, off) = (Truncation { top_k: Some(40), top_p: 1.0, min_p: 0.0 }, Truncation::OFF);
    let sample = |truncation| {
        let controls = Controls { truncation, ..plain(16) };
        policy.sample(&requests(50, &controls, 3)).expect("samples")
    };
    for (kept, plain) in sample(all).into_iter().zip(sample(off)) {
        let gap = |(a, b): (&f64, &f64)| (a - b).abs();
        let recorded = kept.truncated_logp.clone().expect("recorded");
        assert!(recorded.iter().zip(&plain.behaviour.logp).map(gap).fold(0.0, f64::max) < 1e-6);
        assert_eq!(Sample { truncated_logp: None, ..kept }, plain);
    }
}

#[test]
fn bad_words_stand_in_no_sample() {
    let policy = speaking(5);
    let words = vec![vec![9], vec![8, 8], vec![7, 6, 5], vec![10, 11]];
    let has = |sample: &Sample, word: &[u32]| {
        let ids: Vec<u32> = sample.tokens().collect();
        ids.windows(word.len()).any(|window| window == word)
    };
    // Of a policy that likes them: its draws without the ban have some.
    let free = policy.sample(&requests(400, &plain(30), 1)).expect("samples");
    let seen = words.iter().filter(|word| free.iter().any(|sample| has(sample, word))).count();
    assert!(seen >= 3, "{seen}");
    let controls = Controls { bad_words: words.clone(), ..plain(30) };
    for sample in policy.sample(&requests(400, &controls, 1)).expect("samples") {
        assert!(words.iter().all(|word| !has(&sample, word)), "{sample:?}");
    }
}

#[test]
fn a_sample_ends_with_the_token_that_completes_a_stop_string() {
    let policy = speaking(6);
    let tokenizer = policy.tokenizer().expect("a tokenizer");
    let text = |ids: &[u32]| tokenizer.decode_with(ids, SpecialTokens::Keep);
    let free = policy.sample(&requests(300, &plain(30), 2)).expect("samples");
    // Two tokens that this policy likes to write one after the other.
    let mut pairs: BTreeMap<[u32; 2], usize> = BTreeMap::new();
    for sample in &free {
        let ids: Vec<u32> = sample.tokens().collect();
        ids.windows(2).filter(|pair| pair.iter().all(|&id| id > 7)).for_each(|pair| {
            *pairs.entry([pair[0], pair[1]]).or_default() += 1;
        });
    }
    let (pair, _) = pairs.iter().max_by_key(|(_, count)| **count).expect("a pair");
    let stop_texts = vec![text(pair), "<think>".to_owned(), "=".to_owned()];
    let controls = Controls { stop_texts: stop_texts.clone(), ..plain(30) };
    let stopped = policy.sample(&requests(300, &controls, 2)).expect("samples");
    let mut ends = [0; 3];
    for (sample, free) in stopped.iter().zip(&free) {
        let ids: Vec<u32> = sample.tokens().collect();
        let whole: Vec<u32> = free.tokens().collect();
        assert_eq!(ids, whole[..ids.len()], "the tokens are those of the sample that went on");
        let first = (1..=whole.len()).find(|&n| stop_texts.iter().any(|stop| text(&whole[..n]).contains(stop)));
        match sample.stop {
            StopReason::Text(stop) => {
                ends[stop as usize] += 1;
                assert_eq!(Some(ids.len()), first);
                assert!(text(&ids).ends_with(&stop_texts[stop as usize]));
                assert!(!sample.stop.is_truncated());
            }
            other => assert_eq!((other, first), (free.stop, None)),
        }
    }
    assert!(ends.iter().all(|&n| n > 0), "{ends:?}");
}

#[test]
fn controls_that_mean_nothing_here_are_refused() {
    let ask = |policy: &TextPolicy, controls: Controls| {
        let context = Context::of_tokens([3]);
        let dice = Stream::new(1, "one").dice(0, 0, 0);
        policy.sample(&[Request { context, controls: Arc::new(controls), dice }])
    };
    let (mute, speaks) = (tiny(7, true), speaking(7));
    let stops = Controls { stop_texts: vec!["a".to_owned()], ..plain(4) };
    assert!(matches!(ask(&mute, stops.clone()), Err(PolicyError::Unsupported { .. })));
    assert!(ask(&speaks, stops).is_ok());
    for truncation in [
        Truncation { top_k: Some(0), ..Truncation::OFF },
        Truncation { top_p: 0.0, ..Truncation::OFF },
        Truncation { min_p: 1.5, ..Truncation::OFF },
    ] {
        assert!(matches!(ask(&mute, Controls { truncation, ..plain(4) }), Err(PolicyError::Unsupported { .. })));
    }
    // After id 5 everything is banned; before it only it is left.
    let trap = Controls { forbidden: (0..40).filter(|&id| id != 5).collect(), bad_words: vec![vec![5, 5]], ..plain(4) };
    assert!(matches!(ask(&mute, trap), Err(PolicyError::NothingLeft { sample: 0, action: 1 })));
}
