//! A run that was killed goes on as if nothing had happened, to the bit.

use std::{fs, path::Path};

use cohort_core::Stream;

use crate::common::{Place, Running, TINY, assert_same_run, line_count, model, tree};

const WEIGHTS: &str = "checkpoints/last/model.safetensors";

/// Numbers of lines in `0..=most`, in rising order, by a seed.
fn kill_points(seed: u64, most: usize) -> Vec<usize> {
    let dice = Stream::new(seed, "kill").dice(0, 0, 0);
    let mut points: Vec<usize> = (0..3).map(|i| dice.below(i, most as u64 + 1) as usize).collect();
    points.sort_unstable();
    points
}

/// Whether a save is under way: its hidden folder is there.
fn is_saving(folder: &Path) -> bool {
    let Ok(entries) = fs::read_dir(folder) else { return false };
    entries.flatten().any(|entry| entry.file_name().as_encoded_bytes().starts_with(b".step-"))
}

#[test]
fn kills_at_any_point_leave_no_trace() {
    let place = Place::new();
    place.train("whole", &["--workers", "2"]).well();
    for seed in 0..3 {
        let run = format!("killed-{seed}");
        let metrics = place.path(&run).join("metrics.jsonl");
        // Six steps and two evaluations: eight lines.
        for (turn, lines) in kill_points(seed, 7).into_iter().enumerate() {
            let workers = ["1", "3", "2"][turn];
            let mut running = Running::start(&mut place.train_command(&run, &["--resume", "--workers", workers]));
            running.until(|| line_count(&metrics) >= lines);
            running.kill();
        }
        place.train(&run, &["--resume", "--workers", "1"]).well();
        assert_same_run(&place.path("whole"), &place.path(&run));
    }
}

#[test]
fn kills_while_a_checkpoint_is_written_leave_no_trace() {
    let place = Place::new();
    place.train("whole", &[]).well();
    for seed in 0..2 {
        let run = format!("killed-{seed}");
        let folder = place.path(&run).join("checkpoints");
        for _ in 0..2 {
            let mut running = Running::start(&mut place.train_command(&run, &["--resume"]));
            running.until(|| is_saving(&folder));
            running.kill();
        }
        place.train(&run, &["--resume", "--workers", "3"]).well();
        assert_same_run(&place.path("whole"), &place.path(&run));
        assert!(!is_saving(&folder), "the folder of a killed save is removed");
    }
}

/// With products in bf16 weights stay f32, and what is rounded is made again from them.
#[test]
fn a_kill_leaves_no_trace_in_bf16() {
    let place = Place::of(&TINY.replace("[policy.new]", "[policy]\ncompute = \"bf16\"\n\n[policy.new]"));
    place.train("whole", &["--workers", "2"]).well();
    let metrics = place.path("killed/metrics.jsonl");
    for (lines, workers) in [(2, "1"), (5, "3")] {
        let mut running = Running::start(&mut place.train_command("killed", &["--resume", "--workers", workers]));
        running.until(|| line_count(&metrics) >= lines);
        running.kill();
    }
    place.train("killed", &["--resume", "--workers", "1"]).well();
    assert_same_run(&place.path("whole"), &place.path("killed"));
}

/// A limit on the size of files ends the process by a signal in the very middle of a file, whatever the clock does.
#[test]
fn a_death_in_the_middle_of_a_file_leaves_no_trace() {
    let place = Place::new();
    place.train("whole", &[]).well();
    let size = |name: &str| fs::metadata(place.path("whole").join(name)).expect("a file").len() / 1024;
    let (weights, moments) = (size(WEIGHTS), size("checkpoints/last/optimizer.safetensors"));
    for (name, limit) in [("in the weights", weights - 8), ("in the moments", moments - 8)] {
        let run = name.replace(' ', "-");
        let binary = env!("CARGO_BIN_EXE_cohort");
        let script = format!("ulimit -c 0; ulimit -f {limit}; exec {binary} train recipe.toml --run-dir {run}");
        let mut shell = std::process::Command::new("bash");
        shell.args(["-c", &script]).current_dir(place.path("")).env("COHORT_CACHE", place.path("cache"));
        let died = shell.output().expect("bash runs");
        assert_eq!(died.status.code(), None, "{name}: it was ended by a signal");
        assert!(is_saving(&place.path(&run).join("checkpoints")), "{name}");
        assert!(!place.path(&run).join("checkpoints/last").exists(), "{name}: nothing is committed");
        place.train(&run, &["--resume"]).well();
        assert_same_run(&place.path("whole"), &place.path(&run));
        assert!(!is_saving(&place.path(&run).join("checkpoints")), "{name}");
    }
}

#[test]
fn what_a_kill_can_leave_is_of_no_account() {
    let place = Place::new();
    place.train("whole", &[]).well();
    place.train("left", &["--set", "train.steps=4"]).well();
    let left = place.path("left");
    // A checkpoint that was renamed and not committed, a torn line, a half-written manifest.
    let stale = left.join("checkpoints/step-000006");
    fs::create_dir(&stale).expect("a folder");
    fs::write(stale.join("model.safetensors"), b"half").expect("a file");
    fs::create_dir(left.join("checkpoints/.step-000006.4711")).expect("a folder");
    fs::write(left.join("manifest.json.tmp"), b"{\"form").expect("a file");
    for log in ["metrics.jsonl", "rollouts.jsonl"] {
        let mut text = fs::read(left.join(log)).expect("a log");
        text.extend(b"{\"step\":5,\"half");
        fs::write(left.join(log), text).expect("a log");
    }
    place.train("left", &["--resume", "--set", "train.steps=6"]).well();
    assert_same_run(&place.path("whole"), &left);
    assert!(!left.join("checkpoints/.step-000006.4711").exists());
}

#[test]
fn kills_in_the_supervised_stage_leave_no_trace() {
    let place = Place::cold();
    place.train("whole", &[]).well();
    for seed in 0..2 {
        // A cache of its own: the cold start is made again.
        let cache = place.path(&format!("cache-{seed}"));
        let run = format!("killed-{seed}");
        let log = place.path(&run).join("supervised.jsonl");
        for lines in kill_points(seed, 6) {
            let mut command = place.train_command(&run, &["--resume"]);
            let mut running = Running::start(command.env("COHORT_CACHE", &cache));
            running.until(|| line_count(&log) >= lines);
            running.kill();
        }
        let mut command = place.train_command(&run, &["--resume"]);
        Running::start(command.env("COHORT_CACHE", &cache)).end().well();
        assert_same_run(&place.path("whole"), &place.path(&run));
        let name = "checkpoints/supervised/step-000006/model.safetensors";
        assert_eq!(place.bytes(&format!("whole/{name}")), place.bytes(&format!("{run}/{name}")));
    }
}

#[test]
fn an_empty_directory_starts_and_a_complete_run_stays_as_it_is() {
    let place = Place::new();
    fs::create_dir(place.path("run")).expect("a folder");
    place.train("run", &["--resume"]).well();
    let times = |name: &str| fs::metadata(place.path("run").join(name)).and_then(|m| m.modified()).expect("a time");
    let kept = ["manifest.json", "summary.json", "metrics.jsonl", "rollouts.jsonl", "recipe.toml", WEIGHTS];
    let (files, stamps) = (tree(&place.path("run")), kept.map(times));
    let again = place.train("run", &["--resume", "--json"]).well();
    assert_eq!(again.json(), place.json("run/summary.json"));
    assert_eq!(files, tree(&place.path("run")));
    assert_eq!(stamps, kept.map(times));
}

#[test]
fn more_steps_go_on_as_if_they_had_been_asked_for_at_once() {
    let place = Place::new();
    place.train("whole", &[]).well();
    place.train("grown", &["--set", "train.steps=3"]).well();
    assert_eq!(place.json("grown/manifest.json")["state"], "complete");
    place.train("grown", &["--resume", "--set", "train.steps=6"]).well();
    assert_same_run(&place.path("whole"), &place.path("grown"));
    assert_eq!(place.json("grown/summary.json")["steps"], 6);
    assert_eq!(place.json("grown/summary.json")["eval"], place.json("whole/summary.json")["eval"]);
}

#[test]
fn a_resumed_run_keeps_its_recipe() {
    let place = Place::new();
    place.train("run", &["--set", "train.steps=4"]).well();
    let files = tree(&place.path("run"));
    let refused = |more: &[&str], parts: &[&str]| {
        let all: Vec<&str> = ["--resume", "--set", "train.steps=4"].iter().chain(more).copied().collect();
        place.train("run", &all).failed(2, parts);
    };
    refused(&["--set", "train.steps=3"], &["`train.steps` is 3", "was started with 4", "may grow"]);
    refused(&["--seed", "7"], &["`seed` is 7", "was started with 0"]);
    refused(&["--set", "train.lr=0.5"], &["`train.lr` is 0.5", "was started with 0.001"]);
    refused(&["--set", "reward.terms.plus.weight=2"], &["`reward.terms.plus.weight` is 2.0", "0.5"]);
    // The recipe comes first: a model that is not there is not looked for.
    let model = r#"policy={ model = "nowhere" }"#;
    refused(&["--set", model], &["`policy.new`", "is absent"]);
    place.train("run", &["--set", "train.steps=4"]).failed(2, &["is not empty", "--resume"]);
    assert_eq!(files, tree(&place.path("run")));
}

#[test]
fn a_broken_manifest_or_recipe_is_a_checkpoint_error() {
    let place = Place::new();
    place.train("run", &["--set", "train.steps=2"]).well();
    let recipe = place.bytes("run/recipe.toml");
    place.write("run/recipe.toml", "steps = = 3");
    place.train("run", &["--resume"]).failed(5, &["recipe.toml", "not a resolved recipe"]);
    fs::write(place.path("run/recipe.toml"), recipe).expect("a file");
    place.write("run/manifest.json", "{\"form");
    place.train("run", &["--resume"]).failed(5, &["manifest.json", "not a manifest", "--run-dir"]);
}

#[test]
fn an_interrupt_saves_and_the_run_goes_on() {
    // Many steps and few saves, so that the interrupt falls between them.
    let place = Place::new();
    let more = ["--set", "train.steps=150", "--set", "train.save_every=1000", "--set", "eval.every=0"];
    place.train("whole", &more).well();
    let metrics = place.path("run/metrics.jsonl");
    let mut running = Running::start(&mut place.train_command("run", &more));
    assert!(running.until(|| line_count(&metrics) >= 3));
    running.signal("INT");
    let ran = running.end();
    ran.failed(130, &["interrupted", "a checkpoint was written at step", "--resume"]);
    let manifest = place.json("run/manifest.json");
    let step = manifest["step"].as_u64().expect("a step");
    assert!((3..150).contains(&step), "{step}");
    assert_eq!(manifest["state"], "running");
    assert_eq!(manifest["checkpoint"], format!("step-{step:06}"));
    assert_eq!(line_count(&metrics), step as usize);
    let resumed: Vec<&str> = more.iter().copied().chain(["--resume"]).collect();
    place.train("run", &resumed).well();
    assert_same_run(&place.path("whole"), &place.path("run"));
}

#[test]
fn an_interrupt_of_the_supervised_stage_saves_too() {
    let place = Place::cold();
    // So many steps teach it all that is asked for: there is no signal left, and the run goes on.
    let keys = ["supervised.steps=150", "supervised.save_every=1000", "preflight.no_signal=warn"];
    let more: Vec<&str> = keys.iter().flat_map(|key| ["--set", key]).collect();
    place.train("whole", &more).well();
    let log = place.path("run/supervised.jsonl");
    let start = |more: &[&str]| {
        let mut command = place.train_command("run", more);
        Running::start(command.env("COHORT_CACHE", place.path("another-cache")))
    };
    let mut running = start(&more);
    assert!(running.until(|| line_count(&log) >= 3));
    running.signal("TERM");
    running.end().failed(130, &["a checkpoint was written at step", "--resume"]);
    let manifest = place.json("run/manifest.json");
    assert_eq!((&manifest["stage"], &manifest["state"]), (&"supervised".into(), &"running".into()));
    let resumed: Vec<&str> = more.iter().copied().chain(["--resume"]).collect();
    start(&resumed).end().well();
    assert_same_run(&place.path("whole"), &place.path("run"));
    assert_eq!(place.bytes("whole/supervised.jsonl"), place.bytes("run/supervised.jsonl"));
}

/// The weights that the rl stage started from are its reference: they are held against their sums as well.
#[test]
fn a_start_that_was_damaged_is_named() {
    let place = Place::cold();
    place.train("run", &["--set", "train.steps=2"]).well();
    let start = "checkpoints/supervised/step-000006";
    model::flip(&place.path("run").join(start).join("model.safetensors"), "model.norm.weight");
    let parts = ["supervised/step-000006/model.safetensors", "its checksum differs", "model.norm.weight"];
    place.train("run", &["--resume"]).failed(5, &parts);
    fs::remove_dir_all(place.path("run").join(start)).expect("removed");
    place.train("run", &["--resume"]).failed(5, &["supervised/step-000006"]);
}

#[test]
fn a_run_that_its_budget_ended_stays_ended() {
    let place = Place::new();
    let more = ["--set", "train.max_tokens=250", "--resume"];
    place.train("run", &more).well();
    let summary = place.json("run/summary.json");
    assert_eq!(summary["steps"], 3);
    assert!(summary["ended"].as_str().expect("a reason").contains("tokens were sampled"), "{summary}");
    let files = tree(&place.path("run"));
    place.train("run", &more).well();
    assert_eq!(files, tree(&place.path("run")), "it is complete");

    // As a kill after the last commit leaves it: no summary, and not complete.
    let mut manifest = place.json("run/manifest.json");
    manifest["state"] = "running".into();
    place.write("run/manifest.json", &manifest.to_string());
    fs::remove_file(place.path("run/summary.json")).expect("it was there");
    place.train("run", &more).well();
    let mut after = tree(&place.path("run"));
    for name in ["metrics.jsonl", "rollouts.jsonl", WEIGHTS] {
        let path = place.path("run").join(name);
        assert_eq!(after.remove(&path), files.get(&path).cloned(), "{name}");
    }
    assert_eq!(place.json("run/summary.json")["ended"], summary["ended"]);
    assert_eq!(place.json("run/summary.json")["eval"], summary["eval"]);
}

#[test]
fn the_newest_the_best_and_the_first_checkpoints_are_kept() {
    let place = Place::cold();
    let more = ["--set", "train.steps=7", "--set", "train.save_every=1", "--set", "train.keep_checkpoints=2"];
    place.train("run", &more).well();
    let manifest = place.json("run/manifest.json");
    let listed = fs::read_dir(place.path("run/checkpoints")).expect("a folder");
    let mut names: Vec<String> = listed.flatten().filter_map(|e| e.file_name().into_string().ok()).collect();
    names.sort();
    let best = manifest["best"].as_str().expect("dev was looked at").to_owned();
    let mut expected = vec![
        "best".to_owned(),
        "last".to_owned(),
        "step-000006".to_owned(),
        "step-000007".to_owned(),
        "supervised".to_owned(),
        best.clone(),
    ];
    expected.sort();
    expected.dedup();
    assert_eq!(names, expected);
    assert_eq!(manifest["initial"], "supervised/step-000006");
    assert!(place.path("run/checkpoints/supervised/step-000006").is_dir());
    let target = |name: &str| fs::read_link(place.path("run/checkpoints").join(name)).expect("a link");
    assert_eq!(target("last"), Path::new("step-000007"), "the last step is saved");
    assert_eq!(target("best"), Path::new(&best));
}

#[test]
fn a_run_that_another_machine_began_says_so() {
    let place = Place::new();
    place.train("run", &["--set", "train.steps=2"]).well();
    let path = place.path("run").join("manifest.json");
    let manifest = fs::read_to_string(&path).expect("a manifest");
    let mut value: serde_json::Value = serde_json::from_str(&manifest).expect("JSON");
    value["cpu"] = "another".into();
    fs::write(&path, value.to_string()).expect("it is ours");
    let resumed = place.train("run", &["--resume", "--set", "train.steps=4"]).well();
    assert!(resumed.stderr.contains("begun by version") && resumed.stderr.contains("another"), "{}", resumed.stderr);
}

#[test]
fn a_file_is_no_run_directory() {
    let place = Place::new();
    fs::write(place.path("run"), "a file").expect("it is ours");
    place.train("run", &[]).failed(2, &["is a file", "--run-dir"]);
}
