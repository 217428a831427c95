//! The recipes on shared data, where it is there.

use cohort_testing::shared_data;

use crate::common::{Place, Ran, model, repository_recipe};

/// A recipe of the repository, limited to what a test can afford.
fn run(name: &str, place: &Place, more: &[&str]) -> Ran {
    repository_recipe(name, place, "run", more)
}

#[test]
fn arithmetic_from_a_given_checkpoint() {
    if shared_data("arithmetic_from_a_given_checkpoint", "arith/sft-small").is_none() {
        return;
    }
    let place = Place::new();
    let less = ["train.steps=1", "train.prompts_per_step=4", "preflight.prompts=8", "eval.limit=4", "eval.samples=1"];
    run("arith-peer", &place, &less).well();
    let step = &place.lines("run/metrics.jsonl")[0];
    assert!(step["reward/format"].as_f64() > Some(0.5), "the checkpoint knows the format: {step}");
    assert!(step["logp_gap"].as_f64() <= Some(1e-5), "{step}");
    assert_eq!(place.json("run/summary.json")["steps"], 1);
}

#[test]
fn grade_school_mathematics_for_a_random_checkpoint() {
    if shared_data("grade_school_mathematics_for_a_random_checkpoint", "gsm8k/train.jsonl").is_none() {
        return;
    }
    let place = Place::new();
    let directory = place.path("model");
    model::characters(&directory);
    let model = format!("policy.model={}", directory.display());
    let less = [
        &model,
        "train.steps=2",
        "train.prompts_per_step=2",
        "rollout.group_size=4",
        "rollout.max_new_tokens=12",
        "eval.limit=2",
        "eval.samples=1",
    ];
    let ran = run("gsm8k", &place, &less).well();
    assert!(ran.stderr.contains("7345 train, 128 dev, 1319 test"), "every row is read: {}", ran.stderr);
    let rollouts = place.lines("run/rollouts.jsonl");
    assert_eq!(rollouts.len(), 2 * 2 * 4);
    for line in &rollouts {
        let prompt = line["prompt"].as_str().expect("text");
        assert!(prompt.starts_with("Question: ") && prompt.ends_with("Answer:"), "{prompt}");
        assert_eq!(line["samples"][0]["context_tokens"], prompt.chars().count(), "an id a character");
        assert_eq!(line["rewards"]["answer"]["outcome"], "scored", "{line}");
    }
    run("gsm8k", &Place::new(), &[]).failed(2, &["`policy`", "--set policy.model=DIR"]);
}

#[test]
fn the_quickstart_is_a_recipe() {
    let place = Place::new();
    let less = [
        "policy.new.width=32",
        "policy.new.head_dim=16",
        "policy.new.layers=1",
        "policy.new.inner=64",
        "supervised={ steps = 2 }",
        "train.steps=1",
        "train.prompts_per_step=2",
        "eval.limit=2",
        "eval.samples=1",
        "preflight={ prompts = 1, no_signal = \"warn\" }",
    ];
    run("quickstart", &place, &less).well();
    let stages = place.json("run/manifest.json");
    assert_eq!((&stages["initial"], &stages["step"]), (&"supervised/step-000002".into(), &1.into()));
}
