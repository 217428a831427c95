//! Claims from outside: a tiny one whole, killed and gone on with, and what is refused.

use std::{fs, path::PathBuf, process::Stdio};

use cohort::zoo::{Case, stale};
use cohort_zoo::Arms;
use serde_json::Value;

use crate::common::{Place, Ran, Running, line_count};

/// A claim about the centre that a group is compared with, on a policy that trains in a second.
const CLAIM: &str = r#"name = "tiny"
about = "a claim of seconds"
stages = ["supervised", "rl"]

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
held_out = 16
dev = 16

[supervised]
steps = 4
batch_size = 16
lr = 1e-3

[rollout]
group_size = 4
max_new_tokens = 8

[reward.terms.digit]
verifier.regex = { pattern = "[0-9]", mode = "search" }

[reward.terms.plus]
weight = 0.5
verifier.regex = { pattern = "[+=]", mode = "search" }

[advantage]
baseline = "median"
scale.std = { ddof = 1, eps = 1e-4 }

[objective]
surrogate.policy_gradient = { ratio = "token", gate.clip = { low = 0.2, high = 0.2 } }
denominator = "sequence"

[train]
steps = 100
prompts_per_step = 4
groups_per_block = 1
lr = 1e-3
save_every = 2

[preflight]
prompts = 4

[eval]
correct = "digit"
samples = 2

[system]
number = 29
title = "Tiny"
source = "nowhere"
what = "A centre. A scale."
paper = "nothing"

[claim]
text = "The median is a better centre."
metric = "avg@2/plus"
effect = 0.05
tokens = 600
seeds = 3

[claim.switch]
"advantage.baseline" = "mean"

[claim.tuned."train.lr"]
trials = [1e-3, 2e-3]
method = 1e-3
baseline = 2e-3
"#;

/// A working directory with the claim and the base that it names.
fn place(claim: &str) -> Place {
    let place = Place::new();
    for folder in ["recipes/zoo", "recipes/base"] {
        fs::create_dir_all(place.path(folder)).expect("a folder");
    }
    place.write("recipes/zoo/tiny.toml", claim);
    let base = concat!(env!("CARGO_MANIFEST_DIR"), "/../../recipes/base/grpo.toml");
    fs::copy(base, place.path("recipes/base/grpo.toml")).expect("the base is copied");
    place
}

fn replaced(old: &str, new: &str) -> Place {
    assert!(CLAIM.contains(old), "{old}");
    place(&CLAIM.replace(old, new))
}

/// Refused before anything is run.
#[track_caller]
fn refused(old: &str, new: &str, parts: &[&str]) {
    let place = replaced(old, new);
    place.cohort(&["zoo", "verify", "tiny"]).failed(2, parts);
    assert!(!place.path("results").exists() && !place.path("cache/zoo").exists(), "nothing is run");
}

/// The folder of the runs of the only claim, once there is one.
fn begun(place: &Place) -> Option<PathBuf> {
    let mut entries = fs::read_dir(place.path("cache/zoo/tiny")).ok()?.flatten().map(|entry| entry.path());
    entries.find(|path| path.is_dir())
}

fn runs(place: &Place) -> PathBuf {
    begun(place).expect("one claim")
}

/// A line without what two verifies of one claim may differ in.
fn bare(mut line: Value) -> Value {
    let fields = line.as_object_mut().expect("an object");
    ["minutes", "commit"].iter().for_each(|key| assert!(fields.remove(*key).is_some(), "{key}"));
    line
}

#[test]
fn a_claim_is_verified_killed_and_gone_on_with() {
    let whole = place(CLAIM);
    let ran = whole.cohort(&["zoo", "verify", "tiny", "--json"]).well();
    let line = ran.json();
    assert_eq!(whole.lines("results/tiny.jsonl"), std::slice::from_ref(&line), "the line is what was printed");
    assert_eq!(line["seeds"], serde_json::json!([0, 1, 2]));
    assert!(line.get("trial").is_none() && line["system"] == 29, "{line}");
    for arm in ["method", "baseline"] {
        assert_eq!(line[arm].as_array().expect("numbers").len(), 3);
        let tokens = line["tokens"][arm].as_array().expect("tokens");
        // A step samples at most 4 x 4 x 8.
        assert!(tokens.iter().all(|t| (600..600 + 128).contains(&t.as_u64().expect("tokens"))), "{tokens:?}");
    }
    assert_eq!(line["control"]["seeds"], serde_json::json!([0, 1]));
    let start = |run: &str| {
        let text = fs::read(runs(&whole).join(run).join("manifest.json")).expect("a manifest");
        serde_json::from_slice::<Value>(&text).expect("JSON")["initial_sha256"].clone()
    };
    let all = ["method-0", "method-2", "baseline-1", "control-1", "check-plain"].map(start);
    assert!(all[0].is_string() && all.iter().all(|sum| *sum == all[0]), "one cold start: {all:?}");
    assert_ne!(line["method"], line["baseline"], "the arms differ");
    let page = fs::read_to_string(runs(&whole).join("compare.html")).expect("a page");
    assert!(page.contains("<polygon") && page.contains("seeds 0, 1, 2"));

    // Killed when a run of an arm is done, its children go with it, and the same command goes on.
    let killed = place(CLAIM);
    let mut command = killed.command(&["zoo", "verify", "tiny", "--json", "--jobs", "1"]);
    let mut running = Running::start(command.stdout(Stdio::piped()).stderr(Stdio::piped()));
    // Its summary is there a moment before its manifest says that it is complete.
    let is_done = || {
        let manifest = begun(&killed).and_then(|runs| fs::read(runs.join("baseline-0/manifest.json")).ok());
        let manifest = manifest.and_then(|text| serde_json::from_slice::<Value>(&text).ok());
        manifest.is_some_and(|manifest| manifest["state"] == "complete")
    };
    assert!(running.until(is_done), "it ended before");
    running.kill();
    assert_eq!(line_count(&killed.path("results/tiny.jsonl")), 0);
    let first =
        fs::metadata(runs(&killed).join("baseline-0/summary.json")).expect("a file").modified().expect("a time");
    let again = killed.cohort(&["zoo", "verify", "tiny", "--json", "--jobs", "2"]).well();
    assert_eq!(bare(again.json()), bare(line), "as if nothing had happened");
    let after =
        fs::metadata(runs(&killed).join("baseline-0/summary.json")).expect("a file").modified().expect("a time");
    assert_eq!(first, after, "what was finished was not run again");
}

/// Killed between two claims, and in the second one: each is judged once. Those of the binary come after them by name, and are not waited for.
#[test]
fn a_verify_of_all_is_killed_and_gone_on_with() {
    let place = place(&CLAIM.replace("\"tiny\"", "\"a-first\"").replace("seeds = 3", "seeds = 2"));
    let recipe = fs::read_to_string(place.path("recipes/zoo/tiny.toml")).expect("a recipe");
    place.write("recipes/zoo/a-first.toml", &recipe);
    place.write("recipes/zoo/a-second.toml", &recipe.replace("a-first", "a-second"));
    fs::remove_file(place.path("recipes/zoo/tiny.toml")).expect("it goes");
    let lines = || ["a-first", "a-second"].map(|name| line_count(&place.path(&format!("results/{name}.jsonl"))));
    let has_begun = |name: &str| {
        let folders = fs::read_dir(place.path(&format!("cache/zoo/{name}"))).into_iter().flatten().flatten();
        folders.map(|entry| entry.path()).any(|path| path.is_dir())
    };
    let until = |next: &str| {
        let mut command = place.command(&["zoo", "verify", "--all", "--json"]);
        let mut running = Running::start(command.stdout(Stdio::piped()).stderr(Stdio::piped()));
        assert!(running.until(|| has_begun(next)), "it ended before");
        running.kill();
    };
    until("a-second");
    assert_eq!(lines(), [1, 0]);
    // In the binary's zoo, the next name.
    until("br-rm");
    assert_eq!(lines(), [1, 1], "the first was not judged again");
}

/// The same task under one method, learned by a wide policy and by a narrow one.
fn study() -> String {
    let (start, end) = (CLAIM.find("[claim.switch]").expect("a switch"), CLAIM.len());
    let switch = "[claim.switch]\n\"policy.new.inner\" = 32\n";
    let told = "seeds = 3\ncompares = \"policies\"\nbeside = [\"greedy\", \"grad_norm\"]";
    let claim = CLAIM.replace("seeds = 3", told).replace("baseline = \"median\"", "baseline = \"mean\"");
    claim.replace(&CLAIM[start..end], switch)
}

#[test]
fn a_study_starts_each_policy_anew_for_every_seed() {
    let place = place(&study());
    let line = place.cohort(&["zoo", "verify", "tiny", "--seeds", "2", "--json"]).well().json();
    let runs = runs(&place);
    // What was loaded from the cache has no moments of the optimizer, so weights are compared.
    let start = |run: &str| -> Vec<u8> {
        let text = fs::read(runs.join(run).join("manifest.json")).expect("a manifest");
        let manifest: Value = serde_json::from_slice(&text).expect("JSON");
        let initial = manifest["initial"].as_str().expect("a checkpoint");
        fs::read(runs.join(run).join("checkpoints").join(initial).join("model.safetensors")).expect("weights")
    };
    let starts = ["method-0", "method-1", "baseline-0", "baseline-1"].map(start);
    assert_eq!(starts.iter().collect::<std::collections::HashSet<_>>().len(), 4, "each has its own");
    assert_eq!(start("control-1"), starts[1], "a control starts where its seed's method does");
    // The items of a seed's cold start are those of both policies, in one order.
    let tokens = |run: &str| -> Vec<Value> {
        let text = fs::read_to_string(runs.join(run).join("supervised.jsonl")).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON")["tokens/trained"].clone()).collect()
    };
    assert!(tokens("method-1").len() == 4 && tokens("method-1") == tokens("baseline-1"), "{:?}", tokens("method-1"));
    for (name, is_rate) in [("greedy", true), ("grad_norm", false)] {
        for arm in ["method", "baseline"] {
            let pairs = line["beside"][name][arm].as_array().unwrap_or_else(|| panic!("{name}: {line}"));
            let numbers =
                pairs.iter().flat_map(|pair| pair.as_array().expect("a pair")).map(|n| n.as_f64().expect("a number"));
            let numbers: Vec<f64> = numbers.collect();
            assert!(numbers.len() == 4 && numbers.iter().all(|n| *n >= 0.0 && (!is_rate || *n <= 1.0)), "{numbers:?}");
        }
    }
    let unknown = self::place(&study().replace("\"grad_norm\"", "\"nothing\""));
    unknown.cohort(&["zoo", "verify", "tiny"]).failed(2, &["`claim.beside` names \"nothing\"", "metrics.jsonl"]);
    let method = self::place(&study().replace("\"policy.new.inner\" = 32", "\"advantage.baseline\" = \"median\""));
    method.cohort(&["zoo", "verify", "tiny"]).failed(2, &["advantage.baseline", "must be of policy.new"]);
}

#[test]
fn fewer_seeds_are_a_trial_and_the_list_does_not_count_it() {
    let place = place(CLAIM);
    let line = place.cohort(&["zoo", "verify", "tiny", "--seeds", "1", "--json"]).well().json();
    assert_eq!((&line["trial"], &line["difference"]["low"]), (&Value::Bool(true), &Value::Null));
    assert_eq!(line["verdict"], "inconclusive");
    place.cohort(&["zoo", "verify", "tiny", "--seeds", "2"]).well();
    assert_eq!(place.lines("results/tiny.jsonl").len(), 2, "lines are appended");
    place
        .cohort(&["zoo", "verify", "tiny", "--seeds", "4"])
        .failed(2, &["--seeds must lie in 1 to the claim's 3, got 4"]);
    let list = place.cohort(&["zoo", "list", "--json"]).well().json();
    let list = list.as_array().expect("a list");
    assert_eq!(list.iter().filter(|l| l["system"].is_u64()).count(), 69);
    let tiny = list.iter().find(|l| l["name"] == "tiny").expect("it is listed");
    assert_eq!((&tiny["runs"], &tiny["verdict"]), (&Value::from(0), &Value::from("not_run")));
    let keys: Vec<&String> = list[0].as_object().expect("an object").keys().take(4).collect();
    assert_eq!(keys, ["name", "system", "runs", "verdict"]);
}

#[test]
fn an_interrupt_ends_the_runs_and_the_process() {
    let place = place(CLAIM);
    let mut command = place.command(&["zoo", "verify", "tiny", "--jobs", "1"]);
    let mut running = Running::start(command.stdout(Stdio::piped()).stderr(Stdio::piped()));
    let is_under_way = || begun(&place).is_some_and(|runs| runs.join("check-baseline/manifest.json").is_file());
    assert!(running.until(is_under_way), "it ended before");
    place.cohort(&["zoo", "verify", "tiny"]).failed(2, &["another process holds", "verify.lock"]);
    running.signal("INT");
    running.end().failed(130, &["interrupted", "the same command goes on"]);
    place.cohort(&["zoo", "verify", "tiny", "--seeds", "2"]).well();
}

#[test]
fn a_run_that_fails_says_its_last_words() {
    // A wrong key is refused with its line, whichever command reads it.
    let place = replaced("[train]\n", "[train]\nmax_seconds = 0.0\n");
    place.cohort(&["zoo", "verify", "tiny"]).failed(2, &["recipes/zoo/tiny.toml:", "`train.max_seconds`"]);
    // No group has a signal: the run itself fails, with its own status.
    let silent = replaced("pattern = \"[+=]\"", "pattern = \"é\"");
    fs::write(
        silent.path("recipes/zoo/tiny.toml"),
        CLAIM.replace("pattern = \"[+=]\"", "pattern = \"é\"").replace("pattern = \"[0-9]\"", "pattern = \"ö\""),
    )
    .expect("the claim is written");
    silent
        .cohort(&["zoo", "verify", "tiny"])
        .failed(4, &["two steps of the baseline", "exit status: 4", "its whole log is"]);
}

#[test]
fn what_cannot_be_tested_is_refused() {
    refused("effect = 0.05", "effect = 0.0", &["recipes/zoo/tiny.toml", "`claim.effect` must be above 0"]);
    refused(
        "\"advantage.baseline\" = \"mean\"",
        "\"advantage.baseline\" = \"median\"",
        &["advantage.baseline", "must change"],
    );
    // The default, written out: the tables differ, the recipes do not.
    refused(
        "\"advantage.baseline\" = \"mean\"",
        "\"rollout.temperature\" = 1.0",
        &["`claim.switch.\"rollout.temperature\"` changes nothing"],
    );
    refused("\"advantage.baseline\" = \"mean\"", "\"advantage.centre\" = \"mean\"", &["baseline arm", "centre"]);
    refused("effect = 0.05", "effect = 0.05\nbase = \"grpoo\"", &["no base recipe named `grpoo`", "grpo"]);
    refused("method = 1e-3", "method = 2e-3", &["must be the recipe's own value", "has 0.001"]);
    refused("trials = [1e-3, 2e-3]", "trials = [1e-3]", &["must be one of its trials", "0.002"]);
    let cold = "\"advantage.baseline\" = \"mean\"\n\"supervised.steps\" = 3";
    refused("\"advantage.baseline\" = \"mean\"", cold, &["the arms have different cold starts"]);
    let policy = CLAIM
        .replace("stages = [\"supervised\", \"rl\"]\n", "")
        .replace("\"advantage.baseline\" = \"mean\"", "\"policy.new.seed\" = 5");
    let (from, to) = (policy.find("[supervised]").expect("a stage"), policy.find("[rollout]").expect("a section"));
    let policy = place(&format!("{}{}", &policy[..from], &policy[to..]));
    policy.cohort(&["zoo", "verify", "tiny"]).failed(2, &["start from different policies", "policy.new.seed"]);
    let test = replaced("\"advantage.baseline\" = \"mean\"", "\"task.arithmetic.seed\" = 5");
    test.cohort(&["zoo", "verify", "tiny"]).failed(2, &["the arms have different cold starts"]);
    let start = CLAIM.find("[claim]").expect("a claim");
    place(&CLAIM[..start]).cohort(&["zoo", "verify", "tiny"]).failed(2, &["there is no [claim]", "docs/zoo.md"]);
    place(CLAIM).cohort(&["zoo", "verify", "nowhere"]).failed(2, &["no recipe named `nowhere` in the zoo"]);
    place(CLAIM).cohort(&["zoo", "verify"]).failed(2, &["NAME"]);
}

#[test]
fn what_shows_only_when_it_runs_is_refused_then() {
    let metric = replaced("metric = \"avg@2/plus\"", "metric = \"reward/minus\"");
    let parts = ["`claim.metric` is no number of the evaluation", "reward/plus", "greedy"];
    metric.cohort(&["zoo", "verify", "tiny"]).failed(2, &parts);
    // The baseline has another scale than the base.
    let other = replaced("scale.std = { ddof = 1, eps = 1e-4 }", "scale.std = { ddof = 0, eps = 1e-4 }");
    let parts = ["the baseline arm is not the plain recipe `grpo`", "differs after 2 steps"];
    other.cohort(&["zoo", "verify", "tiny"]).failed(2, &parts);
    let cap = replaced("steps = 100", "steps = 3");
    cap.cohort(&["zoo", "verify", "tiny", "--seeds", "1"])
        .failed(2, &["ended after 3 steps", "of 600 tokens", "a cap"]);
    assert!(!cap.path("results").exists(), "no line");
}

#[test]
fn tuning_reads_dev_alone() {
    let place = place(CLAIM);
    let lines = place.cohort(&["zoo", "tune", "tiny", "--seeds", "1", "--json"]).well().json();
    let lines = lines.as_array().expect("a list");
    assert_eq!(lines.len(), 4, "two values in both arms");
    assert!(lines.iter().all(|l| l["split"] == "dev" && l["seeds"] == serde_json::json!([1000])));
    assert_eq!(lines.iter().filter(|l| l["best"] == true).count(), 2);
    assert_eq!(place.lines("results/tiny.dev.jsonl").len(), 4);
    let folder = runs(&place);
    for entry in fs::read_dir(folder).expect("runs") {
        let log = entry.expect("an entry").path();
        if log.extension().is_some_and(|e| e == "log") {
            let text = fs::read_to_string(&log).expect("a log");
            assert!(text.contains("before, dev:") && !text.contains(", test:"), "{text}");
        }
    }
}

#[test]
fn a_name_is_a_recipe_of_the_zoo() {
    let place = place(CLAIM);
    place.cohort(&["train", "tiny", "--run-dir", "a", "--set", "train.steps=2"]).well();
    place.cohort(&["zoo", "run", "tiny", "--run-dir", "b", "--set", "train.steps=2"]).well();
    crate::common::assert_same_run(&place.path("a"), &place.path("b"));
    place.cohort(&["train", "../recipes/zoo/tiny"]).failed(2, &["cannot read the recipe"]);
}

fn root() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// The names of the repository's recipes of the zoo.
fn names() -> Vec<String> {
    let entries = fs::read_dir(root().join("recipes/zoo")).into_iter().flatten().map(|e| e.expect("an entry").path());
    let mut names: Vec<String> = entries
        .filter(|path| path.extension().is_some_and(|e| e == "toml"))
        .map(|path| path.file_stem().expect("a name").to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// The binary's own copies are looked at: they are the repository's.
#[test]
fn every_recipe_of_the_zoo_has_a_claim_that_can_be_tested() {
    for name in names() {
        let case = Case::read(&name).unwrap_or_else(|e| panic!("{name}: {e}"));
        let system = case.system.unwrap_or_else(|| panic!("{name} has no [system]"));
        let listed = cohort_zoo::systems::by_name(&name).unwrap_or_else(|| panic!("{name} is none of the 69"));
        assert_eq!(system.number, listed.number, "{name}");
        for equation in &system.equations {
            let (file, symbol) =
                equation.place().unwrap_or_else(|| panic!("{name}: `{}` is no FILE: NAME", equation.symbol));
            let text = fs::read_to_string(root().join(file)).unwrap_or_else(|e| panic!("{name}: {file}: {e}"));
            let words: Vec<&str> = text.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
            for part in symbol.split("::") {
                assert!(words.contains(&part), "{name}: {file} has no `{part}`");
            }
        }
    }
}

/// A third of the recipes, another one with every verify that is recorded.
#[test]
fn recipes_of_the_zoo_train_for_two_steps() {
    let names = names();
    let results = fs::read_dir(root().join("results")).into_iter().flatten().map(|e| e.expect("an entry").path());
    let turn = results.map(|path| line_count(&path)).sum::<usize>() % 3;
    for name in names.iter().enumerate().filter(|(i, _)| i % 3 == turn).map(|(_, name)| name) {
        let case = Case::read(name).unwrap_or_else(|e| panic!("{name}: {e}"));
        let place = Place::new();
        let train = |run: &str, arm: &toml::Table| {
            place.write("arm.toml", &arm.to_string());
            let mut keys =
                vec!["train.steps=2", "eval.limit=8", "eval.samples=0", "eval.every=0", "preflight.no_signal=warn"];
            if arm.contains_key("supervised") {
                keys.push("supervised.steps=2");
            }
            if arm.contains_key("score") {
                keys.push("score.steps=2");
            }
            let mut command = place.command(&["train", "arm.toml", "--run-dir", run]);
            command.args(keys.iter().flat_map(|key| ["--set", key]));
            let ran = Ran::of(command.output().expect("it runs"));
            if run == "method" && Arms::reads_baseline(&case.arms.method) && !ran.status.success() {
                // Two steps after such a start may have moved nothing, and then there is nothing to train.
                ran.failed(2, &["`policy.train.mask.changed` differs nowhere"]);
                return;
            }
            ran.well();
            assert_eq!(place.json(&format!("{run}/summary.json"))["steps"], 2, "{name}");
        };
        if Arms::reads_baseline(&case.arms.method) {
            train("baseline", &case.arms.baseline);
        }
        train(
            "method",
            &Arms::with_baseline_directory(&case.arms.method, &place.path("baseline").display().to_string()),
        );
    }
}

#[test]
fn the_table_and_the_pages_are_those_of_the_results() {
    let stale = stale(&root()).unwrap_or_else(|e| panic!("{e}"));
    assert!(stale.is_empty(), "written before the last result or recipe: {stale:?}\n  hint: cohort zoo table");
}
