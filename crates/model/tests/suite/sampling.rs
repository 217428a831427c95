//! What a sampler promises: stops, bans, draws from the distribution, and what it refuses.

use std::sync::Arc;

use crate::common::{controls, forward, requests, rows, tiny};
use cohort_core::{
    Action, Choice, Context, Controls, Decoding, PayloadKey, Policy, PolicyError, Request, RowSpec, Sample, Sampler,
    StopReason, Stream,
};
use cohort_model::TextPolicy;

fn one(context: &[u32], controls: &Controls) -> Request {
    Request {
        context: Context::of_tokens(context),
        controls: Arc::new(controls.clone()),
        dice: Stream::new(3, "one").dice(0, 0, 0),
    }
}

fn refused(policy: &TextPolicy, context: &[u32], controls: &Controls) -> PolicyError {
    policy.sample(&[one(context, controls)]).expect_err("refused")
}

#[test]
fn samples_end_where_they_say() {
    let policy = tiny(1, true);
    let mut wanted = controls(1.0, 12);
    wanted.stop = vec![1, 5, 9, 20, 33];
    wanted.policy_version = 7;
    let samples = policy.sample(&requests(90, &wanted, 1)).expect("samples");
    let mut ends = 0;
    for sample in &samples {
        let tokens: Vec<u32> = sample.tokens().collect();
        let (last, before) = tokens.split_last().expect("an action");
        assert!(before.iter().all(|id| !wanted.stop.contains(id)));
        match sample.stop {
            StopReason::End(id) => {
                ends += 1;
                assert!(id == *last && wanted.stop.contains(&id));
            }
            StopReason::Length => assert!(tokens.len() == 12 && !wanted.stop.contains(last)),
            other => panic!("{other:?}"),
        }
        assert_eq!((sample.policy_version, sample.behaviour.len()), (7, tokens.len()));
    }
    assert!(ends > 10 && ends < 90, "{ends}");
}

#[test]
fn forbidden_ids_are_never_drawn_and_rows_are_taken_before_the_ban() {
    let policy = tiny(2, true);
    let mut banned = controls(0.8, 12);
    banned.forbidden = vec![1, 2, 3, 30, 31, 999];
    let samples = policy.sample(&requests(40, &banned, 2)).expect("samples");
    for sample in &samples {
        assert!(sample.tokens().all(|id| !banned.forbidden.contains(&id)));
        assert_eq!(sample.stop, StopReason::Length);
    }
    let all: Vec<&Sample> = samples.iter().collect();
    let scored = rows(&policy, &all, 0.8);
    assert!(samples.iter().zip(&scored).all(|(sample, rows)| sample.behaviour == *rows));
}

#[test]
fn one_action_is_drawn_from_the_context_alone() {
    let policy = tiny(3, true);
    let samples = policy.sample(&requests(10, &controls(1.0, 1), 3)).expect("samples");
    let all: Vec<&Sample> = samples.iter().collect();
    assert_eq!(rows(&policy, &all, 1.0), samples.iter().map(|s| s.behaviour.clone()).collect::<Vec<_>>());
    let none = policy.sample(&requests(2, &controls(1.0, 0), 3)).expect("samples");
    assert!(none.iter().all(|sample| sample.actions.is_empty() && sample.stop == StopReason::Length));
    assert!(policy.sample(&[]).expect("none").is_empty());
}

#[test]
fn draws_follow_the_distribution() {
    let policy = tiny(4, true);
    let draws = 4000;
    let controls = Arc::new(controls(1.3, 1));
    let stream = Stream::new(6, "draws");
    let all: Vec<Request> = (0..draws)
        .map(|i| Request {
            context: Context::of_tokens([4, 8]),
            controls: Arc::clone(&controls),
            dice: stream.dice(0, 0, i),
        })
        .collect();
    let mut counts = vec![0.0; 40];
    for sample in policy.sample(&all).expect("samples") {
        counts[sample.tokens().next().expect("an action") as usize] += 1.0;
    }
    let choices: Vec<Sample> = (0..40).map(|id| Sample::given(Context::of_tokens([4, 8]), &[id])).collect();
    let scored = rows(&policy, &choices.iter().collect::<Vec<_>>(), 1.3);
    let total: f64 = scored.iter().map(|rows| rows.logp[0].exp()).sum();
    assert!((total - 1.0).abs() < 1e-5, "{total}");
    for (id, (count, rows)) in counts.iter().zip(&scored).enumerate() {
        let p = rows.logp[0].exp();
        let deviation = (f64::from(draws) * p * (1.0 - p)).sqrt();
        assert!((count - f64::from(draws) * p).abs() < 4.5 * deviation + 1.0, "id {id}: {count} of p = {p}");
    }
}

#[test]
fn contexts_that_cannot_be_run_are_refused() {
    let policy = tiny(5, true);
    let usual = controls(1.0, 8);
    assert!(matches!(refused(&policy, &[], &usual), PolicyError::EmptyContext));
    assert!(matches!(refused(&policy, &[3, 40], &usual), PolicyError::UnknownToken { id: 40, vocabulary: 40 }));
    assert!(matches!(refused(&policy, &[3; 89], &usual), PolicyError::TooLong { context: 89, new: 8, limit: 96 }));
    assert!(policy.sample(&[one(&[3; 88], &usual)]).is_ok());
    assert!(matches!(refused(&policy, &[3], &controls(1.0, usize::MAX)), PolicyError::TooLong { .. }));
    for temperature in [0.0, -1.0, f32::NAN] {
        assert!(matches!(refused(&policy, &[3], &controls(temperature, 8)), PolicyError::Unsupported { .. }));
        assert!(matches!(policy.rows(&[], RowSpec::at(temperature)), Err(PolicyError::Unsupported { .. })));
    }
    let everything = Controls { forbidden: (0..40).collect(), decoding: Decoding::Greedy, ..usual };
    assert!(matches!(refused(&policy, &[3], &everything), PolicyError::Unsupported { .. }));
}

#[test]
fn what_is_no_token_cannot_be_scored() {
    let policy = tiny(6, true);
    let spec = RowSpec::at(1.0);
    let mut payload = Context::of_tokens([1]);
    payload.push_payload(PayloadKey(1));
    let seen = Sample::given(payload, &[2]);
    assert!(matches!(policy.rows(&[&seen], spec), Err(PolicyError::Unsupported { .. })));
    let mut option = Sample::given(Context::of_tokens([1]), &[2]);
    option.actions.push(Action { choice: Choice::Option(1), ..Action::given(0) });
    assert!(matches!(policy.forward(&[&option], spec), Err(PolicyError::Unsupported { .. })));
}

#[test]
fn weights_that_are_not_finite_are_found_where_they_show() {
    let mut policy = tiny(7, true);
    let last = policy.parameters().len() - 1;
    policy.write(last, &mut |values| values[0] = f32::NAN);
    let given = Sample::given(Context::of_tokens([2]), &[3]);
    let none = Sample::given(Context::of_tokens([2]), &[]);
    for result in [
        policy.rows(&[&none, &given], RowSpec::at(1.0)).map(drop),
        policy.forward(&[&none, &given], RowSpec::at(1.0)).map(drop),
        policy.sample(&[one(&[2], &controls(1.0, 4)), one(&[2], &controls(1.0, 4))]).map(drop),
    ] {
        assert!(matches!(result, Err(PolicyError::NotFinite { action: 0, .. })), "{result:?}");
    }
}

#[test]
fn rows_are_of_the_scored_context() {
    let policy = tiny(8, true);
    let mut hinted = policy.sample(&[one(&[2, 3, 4, 5], &controls(1.0, 6))]).expect("a sample").remove(0);
    hinted.scored_under = Some(Context::of_tokens([2, 3]));
    let plain = Sample::given(Context::of_tokens([2, 3]), &hinted.tokens().collect::<Vec<_>>());
    assert_eq!(rows(&policy, &[&hinted], 1.0), forward(&policy, &[&plain], 1.0));
    assert_ne!(rows(&policy, &[&hinted], 1.0)[0], hinted.behaviour);
}

#[test]
fn long_calls_are_cut_without_a_trace() {
    let policy = tiny(9, true);
    let many: Vec<Sample> =
        (0..150).map(|i| Sample::given(Context::of_tokens([2 + i % 30, 3, 4]), &[5 + i % 20; 60])).collect();
    let all: Vec<&Sample> = many.iter().collect();
    assert_eq!(rows(&policy, &all, 1.0), forward(&policy, &all, 1.0));
}

#[test]
fn threads_sample_and_train_at_once() {
    let policy = tiny(10, true);
    let wanted = requests(20, &controls(1.0, 10), 4);
    let alone = policy.sample(&wanted).expect("samples");
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..10 {
                    let samples = policy.sample(&wanted).expect("samples");
                    assert_eq!(samples, alone);
                    let all: Vec<&Sample> = samples.iter().collect();
                    let trained = forward(&policy, &all, 1.0);
                    assert!(samples.iter().zip(&trained).all(|(sample, rows)| sample.behaviour == *rows));
                }
            });
        }
    });
}
