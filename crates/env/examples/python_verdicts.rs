//! Verdicts of `python_tests` a second, by two workers, with nothing kept from one to the next:
//! `cargo run --release -p cohort-env --example python_verdicts [seconds]`.

use std::{
    error::Error,
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use cohort_core::{Context, Outcome, StopReason};
use cohort_env::{Item, Means, Origin, VerifierConfig, View, judge_one};
use serde_json::json;

const WORKERS: usize = 2;

fn main() -> Result<(), Box<dyn Error>> {
    let seconds = std::env::args().nth(1).map_or(Ok(10), |n| n.parse())?;
    let config: VerifierConfig = serde_json::from_value(json!({ "python_tests": {} }))?;
    let verifier = config.build(&Means::default())?;
    for (kind, tests) in [
        ("assertions", json!("assert add(1, 2) == 3\nassert add(-1, 1) == 0")),
        ("stdin and stdout", json!([{"stdin": "", "stdout": ""}])),
    ] {
        let columns = json!({ "tests": tests }).as_object().cloned().unwrap_or_default();
        let item = Item {
            prompt: String::new(),
            context: Context::of_tokens([]),
            columns,
            solution: None,
            origin: Origin::Generated { generator: "sums", index: 0 },
        };
        let count = AtomicU64::new(0);
        let begun = Instant::now();
        thread::scope(|scope| {
            for worker in 0..WORKERS {
                let (count, item, verifier) = (&count, &item, &verifier);
                scope.spawn(move || {
                    while begun.elapsed() < Duration::from_secs(seconds) {
                        let number = count.fetch_add(1, Ordering::Relaxed);
                        // Another program each time, or the verdict would be remembered.
                        let completion =
                            format!("```python\ndef add(a, b):\n    return a + b  # {worker} {number}\n```");
                        let (completion, stop) = (completion.as_str(), StopReason::Complete);
                        let view = View { item, completion, tokens: &[], stop, turns: 1, payloads: &[], step: 0 };
                        let verdict = judge_one(&**verifier, &view);
                        assert_eq!(verdict.outcome, Outcome::scored(1.0), "{verdict:?}");
                    }
                });
            }
        });
        let each = count.load(Ordering::Relaxed) as f64 / begun.elapsed().as_secs_f64();
        println!("{kind}: {each:.0} verdicts a second, {WORKERS} workers");
    }
    Ok(())
}
