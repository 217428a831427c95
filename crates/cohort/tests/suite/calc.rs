//! `calc`, `methods` and `rewards` from outside, and the methods in runs of the binary.

use std::{
    io::Write,
    process::{Command, Stdio},
};

use serde_json::{Value, json};

use crate::common::{Place, Ran, assert_same_run};

/// `cohort calc` on a document from stdin.
fn calc(recipe: &str, document: &str) -> Ran {
    let place = Place::of(recipe);
    let mut command = place.command(&["calc", "--recipe", "recipe.toml"]);
    answer(&mut command, document)
}

fn answer(command: &mut Command, document: &str) -> Ran {
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().expect("the binary starts");
    // Whoever refuses its arguments reads nothing.
    let _ = child.stdin.take().expect("piped").write_all(document.as_bytes());
    Ran::of(child.wait_with_output().expect("it ends"))
}

fn batch(trajectories: &[Value]) -> String {
    json!({"groups": [{"trajectories": trajectories}]}).to_string()
}

#[test]
fn the_default_is_grpo_by_hand() {
    let document = batch(&[
        json!({"reward": 1, "logp": [-0.5, -1.0], "old_logp": [-0.5, -0.9], "unread": [1, 2, 3]}),
        json!({"reward": 0, "logp": [-1.0], "mask": [true]}),
    ]);
    let got = calc("", &document).well().json();
    // Rewards 1 and 0: mean 1/2, sample std sqrt(1/2).
    let a = 0.5 / (0.5f64.sqrt() + 1e-4);
    let close = |value: &Value, want: f64| assert!((value.as_f64().expect("a number") - want).abs() < 1e-15, "{value}");
    close(&got["advantage"][0][0][0], a);
    close(&got["advantage"][0][1][0], -a);
    let ratio = (-0.1f64).exp();
    close(&got["loss"], -(0.25 * a + 0.25 * ratio * a) + 0.5 * a);
    close(&got["d_logp"][0][0][1], -0.25 * ratio * a);
    close(&got["d_logp"][0][1][0], 0.5 * a);
    assert!(got.get("d_entropy").is_none(), "nothing reads the entropy");
    assert!(got["metrics"]["clip_fraction"].is_number());
}

#[test]
fn what_is_missing_is_named() {
    let member = |reward: f64| json!({"reward": reward, "logp": [-0.5]});
    let two = batch(&[member(1.0), member(0.0)]);
    let kl = "[objective]\nkl = { estimator = \"k3\", coefficient = 0.1 }";
    calc(kl, &two).failed(3, &["group 0, trajectory 0", "`ref_logp`", "missing", "hint:"]);
    calc("[objective]\nentropy = { bonus = { coefficient = 0.1 } }", &two).failed(3, &["trajectory 0", "`entropy`"]);
    calc("[advantage]\nscope = { stratum = {} }", &two).failed(3, &["trajectory 0", "`facts.calls`", "missing"]);
    calc("[objective]\nsurrogate.policy_gradient.ratio = \"segment\"", &two).failed(3, &["trajectory 0", "`segment`"]);
    calc("[objective]\nmismatch = { truncate = {} }", &two).failed(3, &["trajectory 0", "`behaviour_logp`"]);
    let no_reward = batch(&[member(1.0), json!({"logp": [-0.5]})]);
    calc("", &no_reward).failed(3, &["group 0, trajectory 1", "`reward`", "missing"]);
    let term = "[reward.terms.answer]\n[reward.terms.format]";
    let partly = batch(&[json!({"rewards": {"answer": 1}, "logp": [-0.5]}), member(0.0)]);
    calc(term, &partly).failed(3, &["group 0, trajectory 0", "`rewards.format`", "missing"]);
}

#[test]
fn what_is_wrong_is_named() {
    let member = |reward: f64| json!({"reward": reward, "logp": [-0.5]});
    let uneven = json!({"reward": 1, "logp": [-0.5], "old_logp": [-0.5, -0.1]});
    calc("", &batch(&[member(0.0), uneven])).failed(3, &["trajectory 1", "`old_logp`", "2 entries", "have 1"]);
    calc("", &batch(&[member(1.0)])).failed(3, &["group 0", "`trajectories`", "at least 2"]);
    calc("", "{\"groups\":[{\"trajectories\":[{\"reward\":1,\"logp\":[1e999]}]}]}").failed(3, &["line 1", "hint:"]);
    calc("", "{\"groups\":[{\"trajectories\":[{\"reward\":1,\"logp\":[NaN]}]}]}").failed(3, &["line 1"]);
    calc("", "").failed(3, &["stdin", "hint:"]);
    calc("[advantage]\nbaseline = \"middle\"", "{}").failed(2, &["recipe.toml:2", "`middle`", "`median`"]);
    calc("[objective]\nsurrogate = { regression = {} }", "{}").failed(2, &["`train.inner_epochs`", "at least 2"]);
    let clip = "[objective]\nsurrogate.policy_gradient.gate.clip = { low = 2.0 }";
    calc(clip, "{}").failed(2, &["recipe.toml:2", "objective.surrogate.policy_gradient.gate.clip.low"]);
    let place = Place::of("");
    place.cohort(&["calc", "--recipe", "nowhere.toml"]).failed(2, &["nowhere.toml"]);
    place.cohort(&["calc", "--recipe", "recipe.toml", "--input", "nowhere.json"]).failed(3, &["nowhere.json"]);
}

/// Nobody is compared with a member that has no reward, and an auxiliary stands beside.
#[test]
fn the_shape_of_the_input_is_kept() {
    let document = batch(&[
        json!({"reward": 1, "logp": [-0.5]}),
        json!({"reward": null, "logp": [-0.5, -0.2]}),
        json!({"role": "auxiliary", "weight": 0.25, "logp": [-2.0, -1.0]}),
        json!({"reward": 0, "logp": []}),
    ]);
    let got = calc("[advantage]\nscale = \"none\"", &document).well().json();
    assert_eq!(got["advantage"], json!([[[0.5], [0.0, 0.0], [0.25, 0.25], []]]));
    // Three members share the loss; the one group has the auxiliary's whole likelihood.
    assert_eq!(got["d_logp"][0][2], json!([-0.25, -0.25]));
    assert!((got["loss"].as_f64().expect("a number") - (-0.5 / 3.0 + 0.25 * 3.0)).abs() < 1e-15);
}

#[test]
fn the_registry_is_a_document() {
    let place = Place::new();
    let listed = place.cohort(&["methods", "--json"]).well().json();
    let listed = listed.as_array().expect("a list").clone();
    assert!(listed.len() > 90, "{}", listed.len());
    for entry in &listed {
        assert!(entry["source"].as_str().is_some_and(|s| !s.is_empty()), "{entry}");
        assert!(entry["unverified"].is_boolean() && entry["axis"].is_string() && entry["name"].is_string(), "{entry}");
    }
    let page = place.cohort(&["methods", "scale.mad"]).well().stdout;
    assert!(page.contains("formula") && page.contains("eps = 1e-3") && page.contains("example"), "{page}");
    let both = place.cohort(&["methods", "mean", "--json"]).well().json();
    assert!(both.as_array().is_some_and(|both| both.len() >= 2), "mean is a baseline and a scale: {both}");
    place.cohort(&["methods", "medium"]).failed(2, &["`medium`", "median"]);
    let rewards = place.cohort(&["rewards", "--json"]).well().json();
    let names: Vec<&str> = rewards.as_array().expect("a list").iter().filter_map(|r| r["name"].as_str()).collect();
    assert!(["regex", "answer", "position_decay", "trust_gate"].iter().all(|n| names.contains(n)), "{names:?}");
    assert!(place.cohort(&["rewards", "answer"]).well().stdout.contains("tag"));
    place.cohort(&["rewards", "none such"]).failed(2, &["none such"]);
}

/// Every surrogate, and a gate of every scope, moves the weights of a real policy.
#[test]
fn surrogates_train() {
    let place = Place::new();
    let run = |name: &str, set: &[&str]| {
        let more: Vec<&str> = set.iter().flat_map(|s| ["--set", s]).chain(["--set", "train.steps=2"]).collect();
        place.train(name, &more).well();
        place.lines(&format!("{name}/metrics.jsonl")).iter().filter_map(|l| l["grad_norm"].as_f64()).sum::<f64>()
    };
    // One term of 0 and 1.
    let binary = "reward.terms.plus.weight=0.0";
    for surrogate in ["regression", "rebel", "disco", "nft", "topr", "vespo", "luspo", "dro", "dpo"] {
        let norm = run(surrogate, &[&format!("objective.surrogate={{ {surrogate} = {{}} }}"), binary]);
        assert!(norm > 0.0, "{surrogate}");
    }
    for gate in ["clip_cov", "kl_cov", "soft", "cispo", "tv_mask"] {
        let norm = run(gate, &[&format!("objective.surrogate.policy_gradient.gate={{ {gate} = {{}} }}")]);
        assert!(norm > 0.0, "{gate}");
    }
    let more = [
        ("forks", "weight.tokens={ top_entropy = { scope = \"batch\" } }"),
        ("band", "objective.entropy={ band = {} }"),
        ("geometric", "objective.surrogate.policy_gradient.ratio=geometric"),
        ("mask", "objective.mismatch={ mask = {} }"),
        ("loo", "advantage.baseline=leave_one_out"),
        ("rewards", "reward.derive=[{ into = \"long\", with = { overlong = { max_length = 8, cache = 4 } } }]"),
    ];
    for (name, set) in more {
        assert!(run(name, &[set]) > 0.0, "{name}");
    }
}

/// A method that needs the rows of the whole batch gives the same run for every number of workers, and after a kill.
#[test]
fn a_curriculum_and_a_batch_scope_objective_resume_to_the_bit() {
    let place = Place::new();
    let set = [
        "curriculum.filter={ zero_variance = { budget = 2 } }",
        "curriculum.order={ easy_to_hard = { buckets = 2 } }",
        "objective.surrogate.policy_gradient.gate={ clip_cov = { fraction = 0.1 } }",
        "reward.derive=[{ into = \"steady\", with = { running_z = { of = \"digit\" } } }]",
    ];
    let with = |more: &[&'static str]| -> Vec<&'static str> {
        set.iter().flat_map(|s| ["--set", s]).chain(more.iter().copied()).collect()
    };
    place.train("whole", &with(&["--workers", "1"])).well();
    place.train("parts", &with(&["--workers", "2", "--set", "train.steps=4"])).well();
    place.train("parts", &with(&["--workers", "3", "--resume", "--set", "train.steps=6"])).well();
    let weights = |run: &str| place.bytes(&format!("{run}/checkpoints/last/model.safetensors"));
    assert_eq!(weights("whole"), weights("parts"));
    assert_eq!(place.bytes("whole/rollouts.jsonl"), place.bytes("parts/rollouts.jsonl"));
    place.train("again", &with(&["--workers", "2"])).well();
    assert_same_run(&place.path("whole"), &place.path("again"));
    let drawn: f64 = place.lines("whole/metrics.jsonl").iter().filter_map(|line| line["groups/drawn"].as_f64()).sum();
    let written = place.lines("whole/rollouts.jsonl");
    assert_eq!(written.len() as f64, 4.0 * drawn, "what was discarded is written down, too");
    assert!(written.iter().any(|line| line["discarded"].is_string()) || drawn == 24.0);
}

/// What a recipe asks for and nobody gives is said before anything is sampled, or where it is first read.
#[test]
fn what_a_run_cannot_give_is_refused() {
    let place = Place::new();
    place.train("hint", &["--set", "curriculum.hint={ ladder = {} }"]).failed(2, &["curriculum.hint", "--set"]);
    let stratum = "advantage.scope={ stratum = { by = \"calls\" } }";
    place.train("stratum", &["--set", stratum]).failed(2, &["step 1", "facts.calls", "hint:"]);
    let regression = ["--set", "objective.surrogate={ regression = {} }", "--set", "train.inner_epochs=1"];
    place.train("regression", &regression).failed(2, &["`train.inner_epochs` must be at least 2"]);
}

/// With one update a batch, a run's opening lines say which part of its method is inert.
#[test]
fn what_is_inert_is_said() {
    let place = Place::new();
    let said = |name: &str, set: &[&str]| {
        let more: Vec<&str> = set.iter().flat_map(|s| ["--set", s]).chain(["--set", "train.steps=1"]).collect();
        place.train(name, &more).well().stderr
    };
    assert!(said("one", &["train.inner_epochs=1"]).contains("every ratio is exactly 1"));
    assert!(!said("two", &[]).contains("every ratio is exactly 1"));
    let nft = ["train.inner_epochs=1", "objective.surrogate={ nft = {} }", "reward.terms.plus.weight=0.0"];
    assert!(said("nft", &nft).contains("GRPO"));
    let ignored =
        ["objective.surrogate={ disco = {} }", "reward.terms.plus.weight=0.0", "objective.denominator=tokens"];
    assert!(said("disco", &ignored).contains("objective.denominator is not read"));
}
