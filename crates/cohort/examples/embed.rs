//! Trains a policy from Rust, with a closure as its reward: `cargo run --release --example embed [RUN_DIR]`.

use cohort::{Error, Summary, Trainer, View};

/// A small policy from random weights. The term of the recipe has no weight: it only says what counts as right.
const RECIPE: &str = r#"
name = "embed"

[policy.new]
tokenizer = "arithmetic"
width = 32
layers = 1
heads = 2
kv_heads = 1
head_dim = 16
inner = 64
positions = 64

[task.arithmetic]
held_out = 64
dev = 0

[rollout]
max_new_tokens = 8

[reward.terms.a_digit]
weight = 0.0
verifier.regex = { pattern = "[0-9]", mode = "search" }

[train]
steps = 40
prompts_per_step = 8
lr = 3e-3
save_every = 20
"#;

/// The share of the completion's characters that are digits.
fn digits(view: &View<'_>) -> f64 {
    let count = view.completion.chars().filter(char::is_ascii_digit).count();
    count as f64 / view.completion.chars().count().max(1) as f64
}

/// Trains in `run_dir`, which must be empty.
pub fn run(run_dir: &std::path::Path) -> Result<Summary, Error> {
    Trainer::from_text("embed.toml", RECIPE)?.reward("digits", (0.0, 1.0), digits).run(run_dir)
}

#[allow(dead_code, reason = "a test calls `run`")]
fn main() -> Result<(), Error> {
    let run_dir = std::env::args().nth(1).unwrap_or_else(|| "runs/embed".to_owned());
    let summary = run(run_dir.as_ref())?;
    println!("{} steps: {}", summary.steps, summary.ended);
    println!("before: {:?}\nafter:  {:?}", summary.eval.before, summary.eval.after);
    Ok(())
}
