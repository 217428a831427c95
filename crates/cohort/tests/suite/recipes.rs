//! A recipe that cannot be run is refused with its key, its line and what would do.

use crate::common::{COLD, Place, TINY, model};

/// The line of `text` in a recipe.
fn line(recipe: &str, text: &str) -> usize {
    1 + recipe.lines().position(|l| l.contains(text)).unwrap_or_else(|| panic!("no {text}"))
}

/// Puts `new` in the place of `old`, and wants a refusal that names the line of `at`, and `parts`.
#[track_caller]
fn refused(old: &str, new: &str, at: &str, parts: &[&str]) {
    assert!(TINY.contains(old), "{old}");
    of_text(&TINY.replace(old, new), at, parts);
}

#[track_caller]
fn of_text(recipe: &str, at: &str, parts: &[&str]) {
    let place = Place::of(recipe);
    let ran = place.train("run", &[]).failed(2, parts);
    let at = format!("recipe.toml:{}:", line(recipe, at));
    assert!(ran.stderr.contains(&at), "no {at} in {}", ran.stderr);
    assert!(!place.path("run").exists(), "nothing is made");
}

/// The same by `--set`, which is named in the place of a line.
#[track_caller]
fn set(overrides: &[&str], parts: &[&str]) {
    let place = Place::new();
    let arguments: Vec<&str> = overrides.iter().flat_map(|o| ["--set", o]).collect();
    let ran = place.train("run", &arguments).failed(2, parts);
    assert!(ran.stderr.contains("--set"), "{}", ran.stderr);
    assert!(!place.path("run").exists(), "nothing is made");
}

#[test]
fn unknown_keys() {
    refused("name = \"tiny\"", "nam = \"tiny\"", "nam =", &["`nam`", "unknown field", "`name`", "`seed`"]);
    refused("lr = 1e-3", "learning_rate = 1e-3", "learning_rate", &["`train.learning_rate`", "unknown field", "`lr`"]);
    let pattern = "verifier.regex = { pattern = \"[0-9]\", mode = \"search\" }";
    let misspelt = "verifier.regex = { patern = \"[0-9]\", mode = \"search\" }";
    refused(pattern, misspelt, "patern", &["reward.terms.digit.verifier.regex", "`patern`", "`pattern`"]);
    let scale = "[advantage]\nscale.std = { ddof = 1, epsilon = 1e-4 }\n\n[train]";
    refused("[train]", scale, "epsilon", &["advantage.scale.std", "unknown field `epsilon`", "`ddof` or `eps`"]);
    let unknown = "[advantage]\nscale = \"variance\"\n\n[train]";
    refused("[train]", unknown, "variance", &["advantage.scale", "unknown variant `variance`", "`std`"]);
    let derive = |key: &str| format!("[[reward.derive]]\ninto = \"{key}\"\nwith.affine = {{ of = \"digit\" }}\n");
    let second = format!("{}{}wieght = 2.0\n\n[train]", derive("a"), derive("b"));
    refused("[train]", &second, "wieght", &["`reward.derive[1].wieght`", "unknown field", "`weight`"]);
}

#[test]
fn wrong_types() {
    refused("steps = 6", "steps = \"six\"", "six", &["`train.steps`", "invalid type: string \"six\"", "u64"]);
    refused("steps = 6", "steps = -6", "-6", &["`train.steps`", "-6"]);
    refused("lr = 1e-3", "lr = true", "lr = true", &["`train.lr`", "boolean"]);
    refused("[train]", "[train", "[train", &["unclosed table"]);
    refused("steps = 6", "steps = 6\nsteps = 7", "steps = 7", &["duplicate key"]);
}

#[test]
fn contradictions() {
    refused("group_size = 4", "group_size = 1", "group_size", &["`rollout.group_size` must be at least 2", "got 1"]);
    let both = "reward.kl.coefficient = 0.1\nobjective.kl = { estimator = \"k3\", coefficient = 0.1 }\n\n[policy.new]";
    refused("[policy.new]", both, "objective.kl", &["`objective.kl` contradicts reward.kl", "hint:"]);
    refused(
        "[policy.new]",
        "[policy]\nmodel = \"DIR\"\n\n[policy.new]",
        "[policy]",
        &["`policy`", "both", "remove one"],
    );
    let data = "[data]\npath = \"rows.jsonl\"\n\n[rollout]";
    refused("[rollout]", data, "[data]", &["`data` contradicts [task]", "remove one"]);
    let stages = "`stages` must be in order, and each once";
    of_text(&format!("stages = [\"rl\", \"supervised\"]\n{TINY}"), "stages", &[stages, "[\"supervised\", \"rl\"]"]);
    of_text(&format!("stages = [\"rl\", \"rl\"]\n{TINY}"), "stages", &[stages]);
    of_text(&format!("stages = [\"score\", \"rl\"]\n{TINY}"), "stages", &[stages]);
    of_text(&format!("stages = []\n{TINY}"), "stages", &["`stages` must name a stage"]);
    of_text(&format!("{TINY}{COLD}"), "[supervised]", &["`supervised` is given, and is no stage", "hint:"]);
}

#[test]
fn values_out_of_range() {
    refused("max_new_tokens = 8", "temperature = 0", "temperature", &["`rollout.temperature`", "above 0", "got 0"]);
    refused("max_new_tokens = 8", "temperature = nan", "temperature", &["`rollout.temperature`", "got NaN"]);
    refused("max_new_tokens = 8", "max_new_tokens = 0", "max_new", &["`rollout.max_new_tokens` must be at least 1"]);
    refused("lr = 1e-3", "lr = -1.0", "lr = -1", &["`train.lr`", "at least 0", "got -1"]);
    refused("lr = 1e-3", "lr = inf", "lr = inf", &["`train.lr`", "finite"]);
    refused("steps = 6", "steps = 0", "steps = 0", &["`train.steps` must be at least 1"]);
    refused("kv_heads = 1", "kv_heads = 3", "kv_heads", &["`policy.new.kv_heads` must divide"]);
    refused("width = 32", "width = 32\nrope_theta = -1.0", "rope_theta", &["`policy.new.rope_theta`", "above 0"]);
    refused("correct = \"digit\"", "correct = \"digits\"", "correct", &["`eval.correct`", "\"digits\"", "digit, plus"]);
    refused(
        "correct = \"digit\"",
        "correct = \"digit\"\ndetectors = [\"plus\", \"digits\"]",
        "detectors",
        &["`eval.detectors`", "\"digits\"", "digit, plus"],
    );
    refused("pattern = \"[0-9]\"", "pattern = \"[0-9\"", "[0-9\"", &["reward.terms.digit.verifier", "unclosed"]);
    let zero = format!("stages = [\"supervised\", \"rl\"]\n{TINY}{}", COLD.replace("save_every = 2", "save_every = 0"));
    of_text(&zero, "save_every = 0", &["`supervised.save_every` must be at least 1"]);
}

#[test]
fn what_is_missing() {
    let place = Place::new();
    place.cohort(&["train", "nowhere.toml"]).failed(2, &["cannot read the recipe nowhere.toml", "hint:"]);
    place.cohort(&["train", "nowhere"]).failed(2, &["no recipe named `nowhere`", "hint:"]);
    let start = TINY.find("[policy.new]").expect("a policy");
    let end = TINY.find("[task.arithmetic]").expect("a task");
    let without = |from: usize, to: usize| Place::of(&format!("{}{}", &TINY[..from], &TINY[to..]));
    without(start, end).train("run", &[]).failed(2, &["recipe.toml: `policy`", "neither `model` nor `new`", "--set"]);
    let rollout = TINY.find("[rollout]").expect("rollout");
    without(end, rollout).train("run", &[]).failed(2, &["`data`", "neither [task] nor [data]", "data.path"]);
    let (reward, train) = (TINY.find("[reward").expect("rewards"), TINY.find("[train]").expect("train"));
    without(reward, train).train("run", &[]).failed(2, &["`reward.terms` must have a term", "hint:"]);
}

#[test]
fn the_command_line() {
    set(&["train.lr"], &["--set train.lr: no `=`", "KEY=VALUE"]);
    set(&["train..lr=1"], &["an empty part in the key"]);
    set(&["train.learning_rate=1"], &["--set: `train.learning_rate`", "unknown field", "`lr`"]);
    set(&["nam=x"], &["--set: `nam`", "unknown field"]);
    set(&["train.steps=six"], &["--set: `train.steps`", "string \"six\""]);
    set(&["train=6"], &["--set: `train`", "invalid type"]);
    set(&["rollout.group_size=1"], &["--set: `rollout.group_size`", "at least 2"]);
    set(&["reward.terms.digit.verifier.regex.pattern=("], &["--set: `reward.terms.digit.verifier`", "unclosed group"]);
    let place = Place::new();
    place.train("run", &["--seed", "18446744073709551615"]).failed(2, &["`seed` must be at most 9223372036854775807"]);
    place.train("run", &["--seed", "minus"]).failed(2, &["--seed", "minus"]);
    place.train("run", &["--worker", "2"]).failed(2, &["--worker"]);
    place.cohort(&["train"]).failed(2, &["RECIPE"]);
}

#[test]
fn a_model_in_the_place_of_a_new_policy() {
    let place = Place::new();
    model::arithmetic(&place.path("model"));
    place.train("run", &["--set", "policy={ model = \"model\" }", "--set", "train.steps=1"]).well();
    let resolved = String::from_utf8(place.bytes("run/recipe.toml")).expect("text");
    assert!(resolved.contains("model = \"model\"") && !resolved.contains("policy.new"), "{resolved}");
    // The resolved recipe is a recipe, and the same run.
    place.cohort(&["train", "run/recipe.toml", "--run-dir", "again"]).well();
    crate::common::assert_same_run(&place.path("run"), &place.path("again"));
}
