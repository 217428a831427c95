//! What must hold of every run, by the bits.

use std::{fs, path::Path};

use cohort_core::{Action, Context, Policy, RowSpec, Sample};
use cohort_model::TextPolicy;
use serde_json::Value;

use crate::common::{EQUAL, Place, assert_same_run, tree};

#[test]
fn equal_runs_have_equal_bytes_whatever_the_workers() {
    let place = Place::new();
    place.train("first", &["--workers", "1"]).well();
    for (run, workers) in [("again", "1"), ("two", "2"), ("three", "3")] {
        place.train(run, &["--workers", workers]).well();
        assert_same_run(&place.path("first"), &place.path(run));
        for name in ["checkpoints/last/config.json", "checkpoints/last/checksums.json", "checkpoints/last/state.json"] {
            assert_eq!(place.bytes(&format!("first/{name}")), place.bytes(&format!("{run}/{name}")), "{name}");
        }
        assert_eq!(place.json("first/summary.json")["eval"], place.json(&format!("{run}/summary.json"))["eval"]);
    }
    place.train("keyed", &["--set", "train.workers=3"]).well();
    assert_same_run(&place.path("first"), &place.path("keyed"));
    let divided = ["--set", "train.parallel=\"rows\"", "--set", "train.activations=\"recompute\"", "--workers", "3"];
    let ran = place.train("rows", &divided).well();
    assert_same_run(&place.path("first"), &place.path("rows"));
    let note = "with train.parallel = \"rows\", train.activations = \"recompute\"";
    assert!(ran.stderr.contains(note), "{}", ran.stderr);
    let plan = &place.json("rows/summary.json")["memory_plan"];
    assert_eq!((&plan["parallel"], &plan["recompute"]), (&Value::from("rows"), &Value::from(true)), "{plan}");
}

#[test]
fn products_in_bf16_are_another_run_with_the_same_laws() {
    let place = Place::new();
    let train = |run: &str, more: &[&str]| {
        let more = [&["--set", "policy.compute=\"bf16\""], more].concat();
        place.train(run, &more).well();
    };
    place.train("single", &[]).well();
    train("first", &["--workers", "1"]);
    assert_ne!(place.bytes("single/metrics.jsonl"), place.bytes("first/metrics.jsonl"));
    train("three", &["--workers", "3"]);
    train("rows", &["--set", "train.parallel=\"rows\"", "--set", "train.activations=\"recompute\"", "--workers", "3"]);
    train("resumed", &["--set", "train.steps=3"]);
    train("resumed", &["--resume", "--set", "train.steps=6"]);
    for run in ["three", "rows", "resumed"] {
        assert_same_run(&place.path("first"), &place.path(run));
    }
    // The sampler multiplies as the trainer does; the line that it is held to is that of bf16, a mean.
    assert_eq!(place.json("first/summary.json")["logp_gap_max"], 0.0);
    assert!(column(&place, "first", "logp_gap/mean").iter().all(|&gap| gap == 0.0));
}

#[test]
fn samples_without_a_derivative_need_no_way_back() {
    let place = Place::new();
    for (name, more) in [
        ("plain", &[][..]),
        ("entropy", &["--set", "objective.entropy.bonus.coefficient=0.01"]),
        ("epochs", &["--set", "train.inner_epochs=2", "--set", "train.lr=0.01"]),
    ] {
        let keep = [more, &["--set", "train.dead_samples=\"keep\"", "--workers", "2"]].concat();
        place.train(name, more).well();
        place.train("kept", &keep).well();
        assert_same_run(&place.path(name), &place.path("kept"));
        let dead = column(&place, name, "samples/dead");
        match name {
            "entropy" => assert!(dead.iter().all(|&dead| dead == 0.0), "{dead:?}"),
            _ => assert!(dead.iter().any(|&dead| dead > 0.0) && dead.iter().any(|&dead| dead < 1.0), "{dead:?}"),
        }
        fs::remove_dir_all(place.path("kept")).expect("a run");
    }
}

#[test]
fn another_seed_is_another_run() {
    let place = Place::new();
    place.train("zero", &["--seed", "0"]).well();
    place.train("one", &["--seed", "1"]).well();
    for name in EQUAL {
        assert_ne!(place.bytes(&format!("zero/{name}")), place.bytes(&format!("one/{name}")), "{name}");
    }
    assert_eq!(place.json("one/summary.json")["seed"], 1);
}

const START: &str = "checkpoints/supervised/step-000006/model.safetensors";

#[test]
fn all_seeds_start_from_one_cold_start() {
    let place = Place::cold();
    let made = place.train("zero", &["--seed", "0"]).well();
    assert!(!made.stderr.contains("from the cache"), "{}", made.stderr);
    let cached = place.train("one", &["--seed", "1"]).well();
    assert!(cached.stderr.contains("cold start of 6 steps from the cache"), "{}", cached.stderr);
    assert_eq!(place.bytes(&format!("zero/{START}")), place.bytes(&format!("one/{START}")));
    let state = "checkpoints/supervised/step-000006/state.json";
    assert_eq!(place.bytes(&format!("zero/{state}")), place.bytes(&format!("one/{state}")));
    assert_ne!(place.bytes("zero/metrics.jsonl"), place.bytes("one/metrics.jsonl"));
    // The same seed from the cache is the same run as the one that made it.
    place.train("again", &["--seed", "0"]).well();
    assert_same_run(&place.path("zero"), &place.path("again"));
    // Another cold start is another entry.
    let other = place.train("other", &["--set", "supervised.lr=0.02"]).well();
    assert!(!other.stderr.contains("from the cache"), "{}", other.stderr);
    let entries = fs::read_dir(place.path("cache/cold-start")).expect("a folder").flatten();
    assert_eq!(entries.filter(|entry| entry.path().is_dir()).count(), 2, "beside the folder's lock");
}

#[test]
fn a_broken_cache_entry_is_made_again() {
    let place = Place::cold();
    place.train("first", &[]).well();
    let broken = tree(&place.path("cache"));
    let weights = broken.keys().find(|path| path.ends_with("model.safetensors")).expect("weights");
    crate::common::model::flip(weights, "model.norm.weight");
    let ran = place.train("second", &[]).well();
    let said = ["warning", "the cached cold start is broken and was removed", "its checksum differs"];
    assert!(said.iter().all(|part| ran.stderr.contains(part)), "{}", ran.stderr);
    assert_same_run(&place.path("first"), &place.path("second"));
    assert_eq!(broken, tree(&place.path("cache")), "it is there again");
    assert!(place.train("third", &[]).well().stderr.contains("from the cache"));
}

#[test]
fn without_a_learning_rate_no_bit_of_the_weights_changes() {
    let place = Place::new();
    let still = ["--set", "train.lr=0", "--set", "train.weight_decay=0.1", "--set", "train.keep_checkpoints=9"];
    place.train("still", &still).well();
    let weights = |step: u64| place.bytes(&format!("still/checkpoints/step-{step:06}/model.safetensors"));
    assert_eq!(weights(2), weights(6));
    place.train("moved", &["--set", "train.keep_checkpoints=9"]).well();
    assert_ne!(place.bytes("moved/checkpoints/step-000002/model.safetensors"), weights(2));
    let eval = &place.json("still/summary.json")["eval"];
    assert_eq!(eval["before"], eval["after"], "and so the same draws give the same accuracies");
}

/// Sampler and trainer agree to the bit, the ids that are trained are the ids that were sampled, and what is logged
/// is what the weights say.
#[test]
fn what_is_logged_is_what_the_weights_say() {
    let place = Place::new();
    place.train("run", &["--set", "train.lr=0"]).well();
    let steps: Vec<Value> =
        place.lines("run/metrics.jsonl").into_iter().filter(|line| line.get("eval").is_none()).collect();
    assert_eq!(steps.len(), 6);
    assert!(steps.iter().all(|line| line["logp_gap"] == 0.0), "{steps:?}");
    assert_eq!(place.json("run/summary.json")["logp_gap_max"], 0.0);

    let policy = TextPolicy::load(&place.path("run/checkpoints/last")).expect("a policy");
    let tokenizer = policy.tokenizer().expect("a tokenizer");
    let rollouts = place.lines("run/rollouts.jsonl");
    assert_eq!(rollouts.len(), 6 * 4 * 4);
    for line in &rollouts {
        let sample = &line["samples"][0];
        let tokens: Vec<u32> = serde_json::from_value(sample["tokens"].clone()).expect("ids");
        let logged: Vec<f32> = serde_json::from_value(sample["logp"].clone()).expect("numbers");
        let prompt = tokenizer.encode(line["prompt"].as_str().expect("text")).expect("ids");
        let given = Sample::given(Context::of_tokens(prompt), &tokens);
        let rows = policy.rows(&[&given], RowSpec::at(1.0)).expect("rows");
        let scored: Vec<f32> = rows[0].logp.iter().map(|&x| x as f32).collect();
        assert_eq!(logged, scored, "{line}");
        assert_eq!(given.actions.iter().filter_map(Action::token).collect::<Vec<_>>(), tokens);
        assert_eq!(tokenizer.decode(&tokens), line["completion"].as_str().expect("text"));
        // An end was sampled, or the cap was reached; nothing is added.
        let ended = tokens.last() == Some(&1);
        assert_eq!(sample["stop"] == "length", !ended, "{line}");
        assert!(ended || tokens.len() == 8, "{line}");
        assert_eq!(tokens.iter().filter(|&&id| id == 1).count(), usize::from(ended));
    }
}

fn column(place: &Place, run: &str, name: &str) -> Vec<f64> {
    place.lines(&format!("{run}/metrics.jsonl")).iter().filter_map(|line| line[name].as_f64()).collect()
}

#[test]
fn a_divergence_in_the_loss_keeps_the_policy_close() {
    let place = Place::new();
    let with = |run: &str, coefficient: &str| {
        let kl = format!("objective.kl={{ estimator = \"k3\", coefficient = {coefficient} }}");
        place.train(run, &["--set", "train.steps=30", "--set", "train.lr=5e-3", "--set", &kl]).well();
        let kl = column(&place, run, "kl");
        assert_eq!(kl.len(), 30);
        kl
    };
    let (loose, tight) = (with("loose", "1e-6"), with("tight", "3.0"));
    assert!(loose[0] < 0.1 && tight[0] < 0.1, "both start at the reference");
    assert!(loose.iter().chain(&tight).all(|kl| kl.is_finite()));
    assert!(tight[29] < 0.3 * loose[29], "{} is not well below {}", tight[29], loose[29]);
    // The first pass of the first step is the reference's own, in its place.
    place.train("plain", &[]).well();
    assert!(column(&place, "plain", "kl").is_empty(), "what is not computed is absent");
}

/// Over the whole vocabulary, it is never negative, and holds the policy closer the more it weighs.
#[test]
fn an_exact_divergence_is_trained_as_an_estimate_is() {
    let place = Place::new();
    let last = |name: &str, coefficient: f64| {
        let kl = format!("objective.kl={{ estimator = \"exact\", coefficient = {coefficient} }}");
        place.train(name, &["--set", &kl, "--set", "train.lr=0.01"]).well();
        let kl = column(&place, name, "kl");
        assert!(kl.len() == 6 && kl.iter().all(|&kl| kl >= 0.0), "{kl:?}");
        kl[5]
    };
    let (loose, tight) = (last("loose", 1e-6), last("tight", 10.0));
    assert!(loose > 0.0 && tight < loose, "{tight} and {loose}");
}

#[test]
fn a_divergence_in_the_reward_is_taken_off_it() {
    let place = Place::new();
    let more = ["--set", "train.steps=30", "--set", "train.lr=5e-3"];
    place.train("plain", &more).well();
    let with: Vec<&str> = more.iter().copied().chain(["--set", "reward.kl.coefficient=1.0"]).collect();
    place.train("kept", &with).well();
    let kl = column(&place, "kept", "kl");
    assert_eq!(kl.len(), 30, "it is reported");
    // In the first step policy and reference are one: the rewards are the terms' own.
    let reward = |run: &str| column(&place, run, "reward/mean");
    assert_eq!(reward("plain")[0], reward("kept")[0]);
    assert_eq!(kl[0], 0.0);
    assert!(reward("plain")[29] > reward("kept")[29] + 0.05, "{:?}", reward("kept"));
    let digit = |run: &str| column(&place, run, "reward/digit").iter().rev().take(5).sum::<f64>() / 5.0;
    assert!(digit("plain") >= digit("kept"), "what is held back learns no more");
}

#[test]
fn resumed_runs_measure_from_the_same_reference() {
    let place = Place::new();
    let kl = "objective.kl={ estimator = \"k3\", coefficient = 0.1 }";
    place.train("whole", &["--set", kl]).well();
    place.train("halved", &["--set", kl, "--set", "train.steps=3"]).well();
    place.train("halved", &["--set", kl, "--resume"]).well();
    assert_same_run(&place.path("whole"), &place.path("halved"));
}

#[test]
fn no_file_of_a_run_holds_what_is_no_number() {
    let place = Place::new();
    place.train("run", &[]).well();
    for (path, bytes) in tree(&place.path("run")) {
        if path.extension() == Some("jsonl".as_ref()) {
            let text = String::from_utf8(bytes).expect("text");
            assert!(!text.contains("null") && !text.contains("NaN"), "{}", path.display());
        }
    }
    assert!(Path::new(&place.path("run/timings.jsonl")).exists());
}
