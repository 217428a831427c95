//! Runs in a world with too little room, too many processes, or impatient people.

use std::{fs, process::Command};

use serde_json::{Value, json};

use crate::common::{Place, Ran, Running, assert_same_run, line_count, model, tree};

/// `cohort train`, where no file may grow past `kibibytes`.
fn train_in_little_room(place: &Place, run: &str, kibibytes: u64, more: &str) -> Ran {
    let binary = env!("CARGO_BIN_EXE_cohort");
    let script = format!("trap '' XFSZ; ulimit -f {kibibytes}; exec {binary} train recipe.toml --run-dir {run} {more}");
    let mut shell = Command::new("bash");
    shell.args(["-c", &script]).current_dir(place.path("")).env("COHORT_CACHE", place.path("cache"));
    Ran::of(shell.output().expect("bash runs"))
}

#[test]
fn a_full_disk_that_hits_a_log_loses_nothing() {
    let place = Place::new();
    let more = "--set train.steps=60 --set eval.every=0 --resume";
    let words: Vec<&str> = more.split(' ').collect();
    place.train("whole", &words).well();
    let size = |name: &str| fs::metadata(place.path("whole").join(name)).expect("a file").len() / 1024;
    let (moments, rollouts) = (size("checkpoints/last/optimizer.safetensors"), size("rollouts.jsonl"));
    let limit = (moments + rollouts) / 2;
    assert!(moments + 16 < limit && limit + 16 < rollouts, "checkpoints fit ({moments}) and logs do not ({rollouts})");
    let ran = train_in_little_room(&place, "run", limit, more);
    ran.failed(5, &["cannot write", "run/rollouts.jsonl", "make room and use --resume"]);
    let manifest = place.json("run/manifest.json");
    assert_eq!(manifest["state"], "failed");
    assert!(manifest["step"].as_u64().is_some_and(|step| step > 0), "{manifest}");
    // As often as there is no room.
    train_in_little_room(&place, "run", limit, more).failed(5, &["run/rollouts.jsonl"]);
    place.train("run", &words).well();
    assert_same_run(&place.path("whole"), &place.path("run"));
}

#[test]
fn two_processes_do_not_share_a_run() {
    let place = Place::new();
    let more = ["--set", "train.steps=150", "--set", "eval.every=0", "--resume"];
    place.train("whole", &more).well();
    let metrics = place.path("run/metrics.jsonl");
    let mut first = Running::start(&mut place.train_command("run", &more));
    assert!(first.until(|| line_count(&metrics) >= 3));
    place.train("run", &more).failed(2, &["another process is working in run", "--run-dir"]);
    place.train("run", &more[..4]).failed(2, &["is not empty"]);
    assert!(!place.path("run/report.html").exists(), "the refused one writes nothing");
    // A lock dies with its holder.
    first.kill();
    place.train("run", &more).well();
    assert_same_run(&place.path("whole"), &place.path("run"));
}

#[test]
fn two_interrupts_in_quick_succession_leave_at_once_and_lose_nothing() {
    let place = Place::new();
    let more = ["--set", "train.steps=150", "--set", "train.save_every=7", "--set", "eval.every=0", "--resume"];
    place.train("whole", &more).well();
    let metrics = place.path("run/metrics.jsonl");
    for lines in [3, 20] {
        let mut running = Running::start(&mut place.train_command("run", &more));
        assert!(running.until(|| line_count(&metrics) >= lines));
        running.signal("INT");
        running.signal("INT");
        running.end().failed(130, &["interrupted"]);
    }
    place.train("run", &more).well();
    assert_same_run(&place.path("whole"), &place.path("run"));
}

#[test]
fn a_run_whose_time_is_over_stays_ended() {
    let place = Place::new();
    // Any step takes longer.
    let more = ["--set", "train.max_seconds=1e-9", "--resume"];
    place.train("run", &more).well();
    let summary = place.json("run/summary.json");
    assert_eq!(summary["steps"], 1, "it is asked after a step");
    assert!(summary["ended"].as_str().expect("a reason").contains("seconds are over"), "{summary}");
    assert!(place.path("run/checkpoints/step-000001").is_dir(), "the last step has a checkpoint");
    let files = tree(&place.path("run"));
    place.train("run", &more).well();
    assert_eq!(files, tree(&place.path("run")));
    place.train("other", &["--set", "train.max_seconds=0"]).failed(2, &["train.max_seconds", "above 0"]);
}

/// The manifest holds the sums of the weights that the rl stage started from.
#[test]
fn a_start_whose_sums_were_forged_is_refused() {
    let place = Place::cold();
    place.train("run", &["--set", "train.steps=2"]).well();
    let start = place.path("run/checkpoints/supervised/step-000006");
    let sums = start.join("checksums.json");
    let mut forged: Value = serde_json::from_slice(&fs::read(&sums).expect("a file")).expect("JSON");
    forged["files"].as_object_mut().expect("files").remove("model.safetensors");
    fs::write(&sums, forged.to_string()).expect("a file");
    model::flip(&start.join("model.safetensors"), "model.norm.weight");
    let parts = ["supervised/step-000006/checksums.json", "differs from what the manifest committed"];
    place.train("run", &["--resume", "--set", "train.steps=4"]).failed(5, &parts);
}

#[test]
fn what_a_killed_write_left_in_the_cache_is_removed() {
    let place = Place::cold();
    let left = place.path("cache/cold-start/.0123456789abcdef01234567.4711");
    fs::create_dir_all(&left).expect("a folder");
    fs::write(left.join("model.safetensors"), b"half").expect("a file");
    place.train("run", &["--set", "train.steps=2"]).well();
    assert!(!left.exists());
    let entries = fs::read_dir(place.path("cache/cold-start")).expect("a folder").flatten();
    let whole = entries.filter(|entry| entry.path().join("checksums.json").is_file());
    assert_eq!(whole.count(), 1, "the new entry is there");
}

/// Cuts the one weights file of a model into two, with an index.
fn shard(directory: &std::path::Path) {
    let whole = directory.join("model.safetensors");
    let names = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"];
    let mut map = serde_json::Map::new();
    for (i, name) in names.iter().enumerate() {
        fs::copy(&whole, directory.join(name)).expect("a copy");
        model::edit(&directory.join(name), |tensors| {
            tensors.retain(|(tensor, ..)| tensor.contains(".mlp.") == (i == 1));
            map.extend(tensors.iter().map(|(tensor, ..)| (tensor.clone(), json!(name))));
        });
    }
    let index = json!({ "metadata": {}, "weight_map": map });
    fs::write(directory.join("model.safetensors.index.json"), index.to_string()).expect("a file");
    fs::remove_file(whole).expect("it is cut");
}

#[test]
fn sharded_weights_are_the_same_policy() {
    let place = Place::new();
    for name in ["whole", "shards"] {
        model::arithmetic(&place.path(name));
    }
    shard(&place.path("shards"));
    place.write("rows.jsonl", "{\"prompt_ids\":[5,9],\"completion_ids\":[6,20,1]}\n");
    let [whole, shards] = ["whole", "shards"]
        .map(|model| place.cohort(&["logprobs", "--model", model, "--input", "rows.jsonl"]).well().stdout);
    assert_eq!(whole, shards);
    for name in ["whole", "shards"] {
        let model = format!("policy={{ model = \"{name}\" }}");
        place.train(&format!("run-{name}"), &["--set", &model, "--set", "train.steps=2"]).well();
    }
    assert_same_run(&place.path("run-whole"), &place.path("run-shards"));
    fs::remove_file(place.path("shards/model-00002-of-00002.safetensors")).expect("it was there");
    let gone = place.cohort(&["logprobs", "--model", "shards", "--input", "rows.jsonl"]);
    gone.failed(5, &["model-00002-of-00002.safetensors"]);
}

/// Rollouts are read line by line: a file that is larger than all the memory that there is can be looked at.
#[test]
fn rollouts_larger_than_memory_can_be_looked_at() {
    let place = Place::new();
    place.train("run", &["--set", "train.steps=2"]).well();
    let text = "x".repeat(1 << 20);
    let mut file = fs::OpenOptions::new().append(true).open(place.path("run/rollouts.jsonl")).expect("a log");
    for episode in 0..256 {
        // Later ones are better: a reader that keeps the best keeps changing its mind.
        let line = json!({ "step": 2, "slot": 9, "episode": episode, "prompt": "p", "completion": "c", "reward": episode,
            "samples": [{ "tokens": [1], "stop": "length", "text": text }] });
        std::io::Write::write_all(&mut file, format!("{line}\n").as_bytes()).expect("it is written");
    }
    drop(file);
    // Less address space than the file has bytes.
    let binary = env!("CARGO_BIN_EXE_cohort");
    for command in ["inspect run --step 2 --sample 200", "report run"] {
        let mut shell = Command::new("bash");
        shell.args(["-c", &format!("ulimit -v 204800; exec {binary} {command}")]).current_dir(place.path(""));
        Ran::of(shell.output().expect("bash runs")).well();
    }
}
