//! What a jail costs: the time of `/bin/true` in it, over the bare program's; then from a process that holds 2 GB.
//!
//! `cargo run --release -p cohort-sandbox --example overhead [runs]`

use std::{process::Command, time::Instant};

use cohort_sandbox::{Jail, Layer, Program};

fn main() {
    let runs = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(200);
    for layer in Layer::ALL {
        println!("{:<20} {:?}{}", layer.name(), layer.given(), if layer.matters() { "" } else { " (does not matter)" });
    }
    let program = Program::new("/bin/true");
    let jail = Jail::of_this_kernel().unwrap_or_else(|e| panic!("{e}"));
    let held = |what: &str| {
        let bare = median(runs, || drop(Command::new("/bin/true").output()));
        let unconfined = median(runs, || drop(Jail::unconfined().run(&program)));
        let jailed = median(runs, || assert!(jail.run(&program).is_ok_and(|report| report.is_success())));
        let ratio = jailed / bare;
        println!(
            "{what}: bare {bare:.2} ms, unconfined {unconfined:.2} ms, in a jail {jailed:.2} ms: {:.2} ms more, ratio {ratio:.2}",
            jailed - bare
        );
    };
    held("small process");
    let large = vec![1u8; 2 << 30];
    held("with 2 GB");
    drop(large);
}

/// In milliseconds.
fn median(runs: usize, mut one: impl FnMut()) -> f64 {
    let mut times: Vec<f64> = (0..runs)
        .map(|_| {
            let begun = Instant::now();
            one();
            begun.elapsed().as_secs_f64() * 1000.0
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
