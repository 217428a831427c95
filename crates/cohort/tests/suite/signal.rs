//! A run that cannot learn, or whose rewards are broken, says so before it spends anything.

use crate::common::{Place, Ran, TINY};

const DIGIT: &str = "pattern = \"[0-9]\", mode = \"search\"";
const PLUS: &str = "pattern = \"[+=]\", mode = \"search\"";

/// A run whose two rewards search for `pattern`, with completions of up to `cap` tokens.
fn run(pattern: &str, cap: usize, more: &[&str]) -> (Place, Ran) {
    let search = format!("pattern = \"{pattern}\", mode = \"search\"");
    let recipe = TINY.replace(DIGIT, &search).replace(PLUS, &search);
    let place = Place::of(&recipe.replace("max_new_tokens = 8", &format!("max_new_tokens = {cap}")));
    let ran = place.train("run", more);
    (place, ran)
}

fn nothing(pattern: &str, cap: usize, parts: &[&str]) {
    let (place, ran) = run(pattern, cap, &[]);
    ran.failed(4, parts);
    assert!(!place.path("run/metrics.jsonl").exists() && !place.path("run/checkpoints/last").exists());
    let manifest = place.json("run/manifest.json");
    assert_eq!(manifest["state"], "failed");
    assert!(manifest["reason"].as_str().is_some_and(|reason| reason.contains(parts[0])), "{manifest}");
}

const NEVER: &str = "never to be seen";

#[test]
fn every_completion_is_cut() {
    nothing(NEVER, 2, &["% of the completions were cut at rollout.max_new_tokens = 2", "raise rollout.max_new_tokens"]);
}

#[test]
fn every_completion_is_right() {
    nothing("", 2, &["every completion is right already", "take a harder task"]);
}

#[test]
fn every_completion_is_alike() {
    nothing(NEVER, 50, &["get the same reward (0.000 in the mean)", "partial credit", "rollout.group_size"]);
}

#[test]
fn a_recipe_may_go_on_without_a_signal() {
    let (place, ran) = run(NEVER, 2, &["--set", "preflight.no_signal=warn"]);
    assert!(ran.well().stderr.contains("warning: "));
    let metrics = place.lines("run/metrics.jsonl");
    assert!(metrics.iter().filter_map(|line| line["groups/signal"].as_f64()).all(|signal| signal == 0.0));
    assert_eq!(place.json("run/summary.json")["steps"], 6);
}

/// A task whose gold answers are such that `compare = "number"` cannot read `bad` of every 12.
fn answers(bad: usize) -> Place {
    let data = "[data]\npath = \"rows.jsonl\"";
    let recipe = TINY.replace("[task.arithmetic]\nheld_out = 16\ndev = 16", data);
    let term = "\n[reward.terms.answer]\nverifier.answer = { compare = \"number\" }\n\n[train]";
    let place = Place::of(&recipe.replace("\n[train]", term));
    let row = |i: usize| {
        let answer = if i < bad { "a dozen".to_owned() } else { (i + 1).to_string() };
        format!("{{\"prompt\":\"{i}+1=\",\"answer\":\"{answer}\"}}\n")
    };
    place.write("rows.jsonl", &(0..12).map(row).collect::<String>());
    place
}

const BROKEN: [&str; 4] = ["have a reward that failed (more than 5 %)", "`answer`", "\"a dozen\"", "needs a number"];

#[test]
fn rewards_that_fail_end_the_run_with_a_sample() {
    let place = answers(12);
    let ran = place.train("run", &[]).failed(6, &BROKEN);
    assert!(!place.path("run/metrics.jsonl").exists(), "nothing is trained");
    let dump = place.json("run/dumps/step-000000-reward.json");
    assert_eq!(dump["rewards"]["answer"]["outcome"], "error");
    assert!(ran.stderr.contains("run/dumps/step-000000-reward.json"), "{}", ran.stderr);
    assert!(dump["origin"].as_str().is_some_and(|origin| origin.starts_with("rows.jsonl:")), "{dump}");

    let place = answers(12);
    let ran = place.train("run", &["--set", "preflight.no_signal=warn"]).failed(6, &BROKEN);
    assert!(ran.stderr.contains("step 1: 16 of 16 episodes"), "{}", ran.stderr);
    assert_eq!(place.json("run/manifest.json")["state"], "failed");
    assert!(place.path("run/dumps/step-000001-reward.json").exists());
}

#[test]
fn a_few_that_fail_are_counted_and_shown() {
    let place = answers(1);
    let ran = place.train("run", &["--set", "reward.error_budget=0.5"]).well();
    let metrics = place.lines("run/metrics.jsonl");
    let errors: f64 = metrics.iter().filter_map(|line| line["reward/answer/error"].as_f64()).sum();
    let rollouts = place.lines("run/rollouts.jsonl");
    let failed: Vec<_> = rollouts.iter().filter(|line| line["rewards"]["answer"]["outcome"] == "error").collect();
    assert!(!failed.is_empty(), "the prompt came up in six steps of four out of twelve");
    assert_eq!(errors, failed.len() as f64);
    assert!(failed.iter().all(|line| line["reward"].is_null() && line["advantage"] == 0.0), "{failed:?}");
    assert!(ran.stderr.contains("answer/error"), "{}", ran.stderr);
    // Twelve prompts, four a step: whichever step has it has a quarter of its episodes in it.
    answers(1).train("run", &[]).failed(6, &["4 of 16 episodes", BROKEN[0]]);
}
