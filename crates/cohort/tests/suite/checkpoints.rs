//! Weights and checkpoints that were damaged are named, and nothing is trained on them.

use std::{fs, path::Path, process::Command};

use serde_json::Value;

use crate::common::{Place, assert_same_run, model, tree};

const Q: &str = "model.layers.0.self_attn.q_proj.weight";
const UP: &str = "model.layers.0.mlp.up_proj.weight";

/// A run of two steps that is damaged by `damage`, given its last checkpoint; resumed to six, it ends with 5 and
/// these words, and its logs stay as they are.
fn damaged(damage: impl FnOnce(&Path), parts: &[&str]) {
    let place = Place::new();
    place.train("run", &["--set", "train.steps=2"]).well();
    let logs = ["run/metrics.jsonl", "run/rollouts.jsonl"].map(|name| place.bytes(name));
    damage(&place.path("run/checkpoints/step-000002"));
    place.train("run", &["--resume"]).failed(5, parts);
    assert_eq!(logs, ["run/metrics.jsonl", "run/rollouts.jsonl"].map(|name| place.bytes(name)), "nothing is trained");
    let manifest = place.json("run/manifest.json");
    assert_eq!((&manifest["state"], &manifest["step"]), (&Value::from("failed"), &Value::from(2)));
    assert!(manifest["reason"].as_str().is_some_and(|reason| reason.contains(parts[0])), "{manifest}");
}

#[test]
fn a_flipped_bit_in_the_weights() {
    let said = ["step-000002/model.safetensors", "its checksum differs", &format!("tensor `{Q}`"), "earlier checkpoint"];
    damaged(|at| model::flip(&at.join("model.safetensors"), Q), &said);
}

#[test]
fn a_flipped_bit_in_the_moments() {
    let tensor = format!("{UP}.second");
    let said = ["step-000002/optimizer.safetensors", "its checksum differs", &format!("tensor `{tensor}`")];
    damaged(|at| model::flip(&at.join("optimizer.safetensors"), &tensor), &said);
}

#[test]
fn a_flipped_bit_in_the_state() {
    let flip = |at: &Path| {
        let state = fs::read_to_string(at.join("state.json")).expect("a file");
        fs::write(at.join("state.json"), state.replace("\"step\": 2", "\"step\": 1")).expect("a file");
    };
    damaged(flip, &["step-000002/state.json", "its checksum differs"]);
}

#[test]
fn a_truncated_file() {
    let cut = |at: &Path| model::cut(&at.join("model.safetensors"), 20_000);
    damaged(cut, &["step-000002/model.safetensors", "expected", "got 20000", "tensor `"]);
    damaged(|at| model::cut(&at.join("optimizer.safetensors"), 0), &["step-000002/optimizer.safetensors", "got 0"]);
}

#[test]
fn a_missing_file() {
    damaged(|at| fs::remove_file(at.join("optimizer.safetensors")).expect("removed"), &["optimizer.safetensors"]);
    damaged(|at| fs::remove_file(at.join("checksums.json")).expect("removed"), &["checksums.json"]);
    damaged(|at| fs::remove_dir_all(at).expect("removed"), &["step-000002"]);
}

/// Whoever rewrites the sums with the damage is caught by the manifest.
#[test]
fn sums_that_are_not_those_of_the_manifest() {
    let forge = |at: &Path| {
        let mut sums: Value = serde_json::from_slice(&fs::read(at.join("checksums.json")).expect("a file")).expect("JSON");
        sums["files"].as_object_mut().expect("files").remove("model.safetensors");
        fs::write(at.join("checksums.json"), sums.to_string()).expect("a file");
        model::flip(&at.join("model.safetensors"), Q);
    };
    damaged(forge, &["checksums.json", "differs from what the manifest committed"]);
}

/// The same damage to a directory that another command is given, ours with sums or another's without.
#[test]
fn every_command_names_the_damage() {
    let place = Place::new();
    place.train("run", &["--set", "train.steps=2"]).well();
    let ours = place.path("run/checkpoints/step-000002");
    model::flip(&ours.join("model.safetensors"), Q);
    place.write("rows.jsonl", "{\"prompt_ids\":[5],\"completion_ids\":[6]}\n");
    let directory = ours.display().to_string();
    let said = ["step-000002/model.safetensors", "its checksum differs", Q];
    refuse(&place, &directory, 5, &said);
}

fn refuse(place: &Place, directory: &str, status: i32, parts: &[&str]) {
    place.cohort(&["eval", "--model", directory, "--task", "./recipe.toml"]).failed(status, parts);
    place.cohort(&["logprobs", "--model", directory, "--input", "rows.jsonl"]).failed(status, parts);
    place.cohort(&["sample", "--model", directory, "--prompt", "1+1="]).failed(status, parts);
    let model = format!("policy={{ model = \"{directory}\" }}");
    place.train("other", &["--set", &model]).failed(status, parts);
    assert!(!place.path("other/metrics.jsonl").exists(), "nothing is trained");
}

/// A directory that another wrote, damaged by `damage`.
fn foreign(damage: impl FnOnce(&Path), status: i32, parts: &[&str]) {
    let place = Place::new();
    place.write("rows.jsonl", "{\"prompt_ids\":[5],\"completion_ids\":[6]}\n");
    let directory = place.path("model");
    model::arithmetic(&directory);
    let model = directory.display().to_string();
    place.cohort(&["logprobs", "--model", &model, "--input", "rows.jsonl"]).well();
    damage(&directory);
    refuse(&place, &model, status, parts);
}

#[test]
fn weights_of_others() {
    let file = |at: &Path| at.join("model.safetensors");
    let missing = |at: &Path| model::edit(&file(at), |tensors| tensors.retain(|(name, ..)| name != UP));
    foreign(missing, 5, &["model/model.safetensors", &format!("`{UP}` is missing"), "[64, 32]"]);
    let misshapen = |at: &Path| {
        model::edit(&file(at), |tensors| {
            let tensor = tensors.iter_mut().find(|(name, ..)| name == UP).expect("it is there");
            tensor.1 = vec![32, 64];
        });
    };
    foreign(misshapen, 5, &["model/model.safetensors", UP, "[32, 64]", "[64, 32]"]);
    foreign(|at| model::cut(&file(at), 20_000), 5, &["model/model.safetensors", "truncated"]);
    foreign(|at| model::cut(&file(at), 0), 5, &["model/model.safetensors", "truncated"]);
    let unknown = |at: &Path| {
        model::edit(&file(at), |tensors| tensors.push(("extra.weight".to_owned(), vec![1], vec![0; 4])));
    };
    foreign(unknown, 5, &["model/model.safetensors", "`extra.weight` has no place"]);
    let not_finite = |at: &Path| {
        model::edit(&file(at), |tensors| {
            let tensor = tensors.iter_mut().find(|(name, ..)| name == Q).expect("it is there");
            tensor.2[..4].copy_from_slice(&f32::NAN.to_le_bytes());
        });
    };
    foreign(not_finite, 5, &[Q, "NaN", "finite"]);
}

#[test]
fn configurations_of_others() {
    let config = |at: &Path| at.join("config.json");
    // The weights are broken, too: the configuration is looked at first.
    let break_both = |at: &Path, text: &str| {
        fs::write(config(at), text).expect("a file");
        model::cut(&at.join("model.safetensors"), 100);
    };
    foreign(|at| break_both(at, "{\"model_type\": "), 3, &["model/config.json", "line 1", "not valid JSON"]);
    foreign(|at| break_both(at, "{\"model_type\": \"t5\"}"), 3, &["config.json", "model_type", "t5", "qwen3"]);
    foreign(|at| break_both(at, "{\"model_type\": \"qwen3\"}"), 3, &["config.json", "hidden_size", "missing"]);
    foreign(|at| fs::remove_file(config(at)).expect("removed"), 3, &["model/config.json", "lacks this file"]);
    foreign(|at| fs::remove_dir_all(at).expect("removed"), 3, &["no such model directory", "config.json"]);
}

#[test]
fn a_full_disk_leaves_the_checkpoint_before() {
    let place = Place::new();
    place.train("whole", &[]).well();
    place.train("run", &["--set", "train.steps=2"]).well();
    let kept = tree(&place.path("run/checkpoints/step-000002"));
    let moments = kept.keys().find(|path| path.ends_with("optimizer.safetensors")).expect("moments");
    // No file may grow past it: the moments of the next checkpoint do not fit, all else does.
    let limit = kept[moments].len() / 1024 - 4;
    let binary = env!("CARGO_BIN_EXE_cohort");
    let script = format!("trap '' XFSZ; ulimit -f {limit}; exec {binary} train recipe.toml --run-dir run --resume");
    let mut shell = Command::new("bash");
    shell.args(["-c", &script]).current_dir(place.path("")).env("COHORT_CACHE", place.path("cache"));
    let ran = crate::common::Ran::of(shell.output().expect("bash runs"));
    ran.failed(5, &["cannot write the checkpoint", "checkpoints/step-000003", "make room and use --resume"]);
    assert_eq!(kept, tree(&place.path("run/checkpoints/step-000002")));
    assert_eq!(place.json("run/manifest.json")["checkpoint"], "step-000002");
    assert!(!place.path("run/checkpoints/step-000003").exists());
    let last = place.of_run("run", "checkpoints/last");
    place.cohort(&["sample", "--model", &last, "--prompt", "1+1="]).well();
    place.train("run", &["--resume"]).well();
    assert_same_run(&place.path("whole"), &place.path("run"));
}
