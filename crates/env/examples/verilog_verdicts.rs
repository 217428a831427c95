//! Verdicts a second of `verilog_testbench` with 2 workers: `cargo run --release -p cohort-env --example verilog_verdicts PROBLEMS.jsonl`.
//!
//! Each is of a design that was not seen before: the problem's reference with one more comment.

use std::{
    error::Error,
    fs,
    path::Path,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::Instant,
};

use cohort_core::{Context, StopReason};
use cohort_env::{Item, Means, Origin, View, judge_one};

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("usage: verilog_verdicts PROBLEMS.jsonl")?;
    let config: cohort_env::VerifierConfig = serde_json::from_str(r#"{"verilog_testbench": {}}"#)?;
    let verifier = config.build(&Means::default())?;
    let items: Vec<Item> = fs::read_to_string(&path)?
        .lines()
        .enumerate()
        .map(|(i, line)| {
            let origin = Origin::File { path: Path::new(&path).into(), line: i + 1 };
            let columns = serde_json::from_str(line)?;
            Ok(Item { prompt: String::new(), context: Context::of_tokens(vec![0]), columns, solution: None, origin })
        })
        .collect::<Result<_, serde_json::Error>>()?;
    let (next, right, begun) = (AtomicUsize::new(0), AtomicUsize::new(0), Instant::now());
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let reference = item.columns["reference"].as_str().unwrap_or_default();
                    let completion = format!("{}\n// once more\n", reference.replace("RefModule", "TopModule"));
                    let view = View {
                        item,
                        completion: &completion,
                        tokens: &[],
                        stop: StopReason::End(0),
                        turns: 1,
                        payloads: &[],
                        step: 0,
                    };
                    let verdict = judge_one(&*verifier, &view);
                    right.fetch_add(usize::from(verdict.outcome.value() == Some(1.0)), Ordering::Relaxed);
                }
            });
        }
    });
    let seconds = begun.elapsed().as_secs_f64();
    println!(
        "{:.1} verdicts a second with 2 workers, {} of {} right",
        items.len() as f64 / seconds,
        right.into_inner(),
        items.len()
    );
    Ok(())
}
