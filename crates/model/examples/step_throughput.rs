//! Tokens a second of decoding and of a training pass, on one thread and on two at once.

use std::{sync::Arc, time::Instant};

use cohort_core::{Context, Controls, Decoding, Policy, Request, RowGradients, RowSpec, Sample, Sampler, Stream};
use cohort_model::{Architecture, Blueprint, TextPolicy};

const ROUNDS: usize = 5;

fn main() {
    let blueprint = Blueprint {
        vocabulary: 64,
        width: 256,
        layers: 4,
        query_heads: 4,
        kv_heads: 2,
        head_dim: 64,
        inner: 768,
        experts: None,
        positions: 128,
        rope_theta: 10_000.0,
        norm_eps: 1e-6,
        tied: true,
        end_ids: vec![1],
        pad_id: Some(0),
    };
    let architecture = match Architecture::new(&blueprint) {
        Ok(architecture) => architecture,
        Err(error) => return eprintln!("{error}"),
    };
    let policy = match TextPolicy::new(architecture, Vec::new(), Stream::new(0, "init")) {
        Ok(policy) => policy,
        Err(error) => return eprintln!("{error}"),
    };
    for threads in [1, 2] {
        for rows in [32, 64] {
            report(&format!("decode {rows} rows x 48"), threads, rows * 48, || decode(&policy, rows));
        }
        report("forward + backward 32 x 27", threads, 32 * 27, || train(&policy));
        report("rows 32 x 27", threads, 32 * 27, || score(&policy));
    }
}

/// Runs `work` on each thread a few times; prints the best and the median rate of all threads together.
fn report(name: &str, threads: usize, tokens: usize, work: impl Fn() + Sync) {
    work();
    let mut rates: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            std::thread::scope(|scope| {
                for _ in 0..threads {
                    scope.spawn(&work);
                }
            });
            (threads * tokens) as f64 / start.elapsed().as_secs_f64()
        })
        .collect();
    rates.sort_by(f64::total_cmp);
    println!(
        "{threads} thread(s)  {name:<28} {:>8.0} tokens/s median, {:>8.0} best",
        rates[ROUNDS / 2],
        rates[ROUNDS - 1]
    );
}

fn decode(policy: &TextPolicy, rows: usize) {
    let controls = Arc::new(Controls::new(Decoding::Temperature(1.0), 48));
    let stream = Stream::new(1, "throughput");
    let requests: Vec<Request> = (0..rows as u32)
        .map(|i| Request {
            context: Context::of_tokens([7 + i / 8, 17, 9, 21, 3, 8]),
            controls: Arc::clone(&controls),
            dice: stream.dice(0, i / 8, i),
        })
        .collect();
    let samples = policy.sample(&requests).expect("samples");
    assert!(samples.iter().all(|sample| sample.actions.len() == 48));
}

fn samples() -> Vec<Sample> {
    let stream = Stream::new(2, "throughput");
    (0..32)
        .map(|i| {
            let dice = stream.dice(0, i, 0);
            let id = |at: usize| 3 + dice.below(at, 60) as u32;
            let context: Vec<u32> = (0..6).map(id).collect();
            let actions: Vec<u32> = (6..28).map(id).collect();
            Sample::given(Context::of_tokens(context), &actions)
        })
        .collect()
}

fn train(policy: &TextPolicy) {
    let samples = samples();
    let all: Vec<&Sample> = samples.iter().collect();
    let (rows, tape) = policy.forward(&all, RowSpec::at(1.0)).expect("forward");
    let gradients: Vec<RowGradients> =
        rows.iter().map(|rows| RowGradients { logp: vec![0.01; rows.len()], ..RowGradients::default() }).collect();
    assert!(tape.backward(&gradients).norm() > 0.0);
}

fn score(policy: &TextPolicy) {
    let samples = samples();
    let all: Vec<&Sample> = samples.iter().collect();
    policy.rows(&all, RowSpec::at(1.0)).expect("rows");
}
