//! What is trained of a model: adapters, some of its parameters, or some of their entries; and what is written of it.

use std::{collections::BTreeMap, fs};

use serde_json::Value;

use crate::common::{COLD, Place, Running, TINY, line_count, model, tensors};

/// [`TINY`] on a model directory, with these keys of its policy.
fn place(policy: &str) -> Place {
    let (head, rest) = TINY.split_once("[policy.new]").expect("a new policy");
    let (_, rest) = rest.split_once("[task.arithmetic]").expect("a task");
    let place = Place::of(&format!("{head}[policy]\nmodel = \"model\"\n{policy}\n[task.arithmetic]{rest}"));
    model::arithmetic(&place.path("model"));
    place
}

const LORA: &str = "train.lora = { rank = 4, alpha = 8 }";

fn logprobs(place: &Place, model: &str) -> Vec<f64> {
    let rows = place.write("rows.jsonl", "{\"prompt_ids\":[5,6,9],\"completion_ids\":[7,11,30,2,1]}\n");
    let ran = place.cohort(&["logprobs", "--model", model, "--input", &rows.display().to_string()]).well();
    serde_json::from_value(ran.json()["logp"].clone()).expect("numbers")
}

#[test]
fn an_adapter_run_resumes_to_the_bit_and_holds_nothing_but_the_adapter() {
    let place = place(LORA);
    place.train("whole", &["--workers", "2"]).well();
    let summary = place.json("whole/summary.json");
    assert_eq!(summary["logp_gap_max"], 0.0, "sampler and trainer agree after updates");
    let mut running = Running::start(&mut place.train_command("killed", &["--workers", "1"]));
    running.until(|| line_count(&place.path("killed/metrics.jsonl")) >= 4);
    running.kill();
    place.train("killed", &["--resume", "--workers", "3"]).well();
    let files = ["adapter_model.safetensors", "adapter_config.json", "optimizer.safetensors", "README.md"];
    for file in files.map(|file| format!("checkpoints/last/{file}")).iter().map(String::as_str) {
        assert_eq!(place.bytes(&format!("whole/{file}")), place.bytes(&format!("killed/{file}")), "{file}");
    }
    for log in ["metrics.jsonl", "rollouts.jsonl"] {
        assert_eq!(place.bytes(&format!("whole/{log}")), place.bytes(&format!("killed/{log}")), "{log}");
    }
    let last = place.path("whole/checkpoints/last");
    for file in ["model.safetensors", "config.json"] {
        assert!(!last.join(file).exists(), "{file} is the base's");
    }
    let adapter = tensors(&last.join("adapter_model.safetensors"));
    let moments = tensors(&last.join("optimizer.safetensors"));
    assert!(adapter.keys().all(|name| name.starts_with("base_model.model.model.layers.0.") && name.contains(".lora_")));
    let expected: Vec<String> =
        adapter.keys().flat_map(|name| ["first", "second"].map(|moment| format!("{name}.{moment}"))).collect();
    assert_eq!(moments.keys().cloned().collect::<Vec<_>>(), expected);
    assert!(
        adapter.iter().filter(|(name, _)| name.ends_with("lora_B.weight")).all(|(_, t)| t.2.iter().any(|&b| b != 0))
    );
    let card = fs::read_to_string(last.join("README.md")).expect("a card");
    let hash = place.json("whole/manifest.json")["recipe_hash"].clone();
    for part in ["library_name: peft", "| base | model |", "| step | 6 |", hash.as_str().expect("a hash")] {
        assert!(card.contains(part), "{part} in {card}");
    }
}

/// An adapter's checkpoint has no number of its base, so the run remembers which it was.
#[test]
fn a_run_goes_on_from_the_base_that_it_was_started_with() {
    let place = place(LORA);
    let base = place.path("model/model.safetensors");
    let given = fs::read(&base).expect("a model");
    place.train("run", &["--set", "train.steps=2"]).well();
    let more = ["--resume", "--set", "train.steps=4"];
    model::flip(&base, "model.layers.0.mlp.up_proj.weight");
    let manifest = place.bytes("run/manifest.json");
    place.train("run", &more).failed(2, &["the weights of `policy`", "was started from", "replaced", "--run-dir"]);
    assert_eq!(place.bytes("run/manifest.json"), manifest, "a refusal leaves the run as it was");
    fs::write(&base, given).expect("ours");
    place.train("run", &more).well();
    place.train("whole", &["--set", "train.steps=4"]).well();
    let adapter = |run: &str| place.bytes(&format!("{run}/checkpoints/last/adapter_model.safetensors"));
    assert_eq!(adapter("run"), adapter("whole"));
}

#[test]
fn a_cold_start_is_cached_for_its_base_alone() {
    let place = place(LORA);
    let recipe = fs::read_to_string(place.path("recipe.toml")).expect("a recipe");
    place.write("recipe.toml", &format!("stages = [\"supervised\", \"rl\"]\n{recipe}{COLD}"));
    let is_cached = |run: &str| {
        let ran = place.train(run, &["--set", "train.steps=1"]).well();
        ran.stderr.contains("from the cache")
    };
    let base = place.path("model/model.safetensors");
    assert!(!is_cached("first"));
    assert!(is_cached("second"));
    model::flip(&base, "model.layers.0.mlp.up_proj.weight");
    assert!(!is_cached("other"), "a bit of the frozen base is another start");
    model::flip(&base, "model.layers.0.mlp.up_proj.weight");
    assert!(is_cached("third"));
}

/// Training passes have noise of their own step: the first ratio is 1, the gap is that of the policy without noise.
#[test]
fn dropout_is_the_same_in_every_pass_and_after_a_kill() {
    let place = place("train.lora = { rank = 4, alpha = 8, dropout = 0.2 }");
    let recipe = fs::read_to_string(place.path("recipe.toml")).expect("a recipe");
    place.write("recipe.toml", &format!("stages = [\"supervised\", \"rl\"]\n{recipe}{COLD}"));
    place.train("whole", &["--workers", "2"]).well();
    assert_eq!(place.json("whole/summary.json")["logp_gap_max"], 0.0);
    let mut running = Running::start(&mut place.train_command("killed", &["--workers", "1"]));
    running.until(|| line_count(&place.path("killed/metrics.jsonl")) >= 3);
    running.kill();
    place.train("killed", &["--resume", "--workers", "3", "--set", "train.activations=recompute"]).well();
    for file in ["checkpoints/last/adapter_model.safetensors", "metrics.jsonl", "rollouts.jsonl"] {
        assert_eq!(place.bytes(&format!("whole/{file}")), place.bytes(&format!("killed/{file}")), "{file}");
    }
    place.train("one", &["--set", "train.inner_epochs=1"]).well();
    for line in place.lines("one/metrics.jsonl").iter().filter(|line| line.get("logp_gap").is_some()) {
        assert_eq!(line["ratio_max"], 1.0, "{line}");
    }
    let none = "policy.train={ lora = { rank = 4, alpha = 8 } }";
    place.train("none", &["--set", none]).well();
    let adapter = |run: &str| place.bytes(&format!("{run}/checkpoints/last/adapter_model.safetensors"));
    assert_ne!(adapter("none"), adapter("whole"));
}

#[test]
fn a_merged_adapter_is_the_model_that_was_sampled() {
    let place = place(LORA);
    place.train("run", &["--set", "train.lr=1e-2"]).well();
    let ran = place.cohort(&["merge", "--model", "run/checkpoints/last", "--out", "merged", "--json"]).well().json();
    assert_eq!((&ran["modules"], &ran["dtype"]), (&Value::from(7), &Value::from("f32")));
    let apart = logprobs(&place, "run/checkpoints/last");
    assert_ne!(apart, logprobs(&place, "model"));
    for (merged, apart) in logprobs(&place, "merged").iter().zip(&apart) {
        assert!((merged - apart).abs() < 1e-5, "{merged}, apart {apart}");
    }
    let narrow = ["merge", "--model", "run/checkpoints/last", "--out", "narrow", "--dtype", "bf16"];
    place.cohort(&narrow).well();
    assert!(tensors(&place.path("narrow/model.safetensors")).values().all(|t| t.0 == "BF16"));
    assert_eq!(place.json("narrow/config.json")["dtype"], "bfloat16");
    // What a merge is refused for.
    place.cohort(&narrow).failed(2, &["narrow is not empty", "another directory"]);
    place.cohort(&["merge", "--model", "model", "--out", "x"]).failed(3, &["adapter_config.json", "adapter"]);
    fs::rename(place.path("model"), place.path("moved")).expect("moved");
    let lost = ["merge", "--model", "run/checkpoints/last", "--out", "again"];
    place.cohort(&lost).failed(3, &["adapter_config.json", "base_model_name_or_path", "--base DIR"]);
    place.cohort(&[&lost[..], &["--base", "moved"]].concat()).well();
    assert_eq!(place.bytes("again/model.safetensors"), place.bytes("merged/model.safetensors"));
}

#[test]
fn an_adapter_is_a_start_by_its_own_directory_or_beside_its_base() {
    let place = place(LORA);
    place.train("first", &[]).well();
    let keys = ["--set", "train.steps=2", "--set", "train.save_every=1"];
    place.write("recipe.toml", &fs::read_to_string(place.path("recipe.toml")).expect("a recipe").replace(LORA, ""));
    let model = ["--set", "policy.model=first/checkpoints/last"];
    place.train("alone", &[&keys[..], &model].concat()).well();
    let beside = ["--set", "policy.adapter=first/checkpoints/last"];
    place.train("beside", &[&keys[..], &beside].concat()).well();
    let adapter = |run: &str| place.bytes(&format!("{run}/checkpoints/last/adapter_model.safetensors"));
    assert_eq!(adapter("alone"), adapter("beside"));
    assert_ne!(adapter("alone"), adapter("first"));
    let both = [&beside[..], &["--set", "policy.train=all"]].concat();
    place.train("no", &both).failed(2, &["policy.train", "contradicts policy.adapter"]);
    let file = place.path("first/checkpoints/last/adapter_model.safetensors");
    model::flip(&file, "base_model.model.model.layers.0.mlp.up_proj.lora_A.weight");
    place.train("broken", &beside).failed(5, &["adapter_model.safetensors", "up_proj.lora_A.weight"]);
}

#[test]
fn a_divergence_is_measured_from_the_base() {
    let place = place(&format!("{LORA}\n[objective]\nkl = {{ coefficient = 0.1, estimator = \"k3\" }}\n"));
    place.train("run", &["--set", "train.inner_epochs=1", "--set", "train.lr=1e-2"]).well();
    let lines = place.lines("run/metrics.jsonl");
    let kl: Vec<f64> = lines.iter().filter_map(|line| line["kl"].as_f64()).collect();
    assert_eq!(kl.first(), Some(&0.0), "a new adapter is its base: {kl:?}");
    assert!(kl.last().is_some_and(|&kl| kl > 0.0), "{kl:?}");
}

/// The exact divergence over the vocabulary: of an adapter from its base, and of a whole model from its start and its average.
#[test]
fn an_exact_divergence_trains_and_resumes() {
    let exact = "[objective]\nkl = { coefficient = 0.5, estimator = \"exact\" }\n";
    for (policy, more) in [(LORA, ""), ("", ""), ("", "train.ema={ decay = 0.5 }")] {
        let place = place(&format!("{policy}\n{exact}"));
        let mut keys = vec!["--set", "train.lr=1e-2"];
        if !more.is_empty() {
            keys.extend(["--set", more, "--set", "train.reference=ema"]);
        }
        place.train("run", &keys).well();
        let kl: Vec<f64> = place.lines("run/metrics.jsonl").iter().filter_map(|line| line["kl"].as_f64()).collect();
        // Two inner epochs: the first has moved nothing yet.
        assert!(kl[0] > 0.0 && kl.last() != kl.first() && kl.iter().all(|kl| kl.is_finite()), "{kl:?}");
        let one = [&keys[..], &["--set", "train.inner_epochs=1", "--set", "train.steps=1"]].concat();
        place.train("one", &one).well();
        assert_eq!(place.lines("one/metrics.jsonl")[0]["kl"], 0.0, "nothing diverges from itself");
        place.train("cut", &[&keys[..], &["--set", "train.steps=2", "--workers", "1"]].concat()).well();
        place.train("cut", &[&keys[..], &["--resume", "--workers", "3"]].concat()).well();
        for log in ["metrics.jsonl", "rollouts.jsonl"] {
            assert_eq!(place.bytes(&format!("run/{log}")), place.bytes(&format!("cut/{log}")), "{log}");
        }
        let last = |run: &str, coefficient: &str| {
            let kl = format!("objective.kl={{ coefficient = {coefficient}, estimator = \"exact\" }}");
            place.train(run, &[&keys[..], &["--set", &kl]].concat()).well();
            place.lines(&format!("{run}/metrics.jsonl")).iter().filter_map(|line| line["kl"].as_f64()).next_back()
        };
        assert!(last("held", "20.0") < last("free", "1e-9"), "it pulls");
    }
}

#[test]
fn frozen_parameters_keep_their_bits() {
    let place = place("train.only = [\"*.mlp.*\"]");
    place.train("run", &["--set", "train.weight_decay=0.1"]).well();
    let before = tensors(&place.path("model/model.safetensors"));
    let after = tensors(&place.path("run/checkpoints/last/model.safetensors"));
    assert_eq!(before.keys().collect::<Vec<_>>(), after.keys().collect::<Vec<_>>(), "the whole model is written");
    for (name, tensor) in &after {
        assert_eq!(before[name] == *tensor, !name.contains(".mlp."), "{name}");
    }
    let moments = tensors(&place.path("run/checkpoints/last/optimizer.safetensors"));
    assert!(moments.len() == 6 && moments.keys().all(|name| name.contains(".mlp.")));
    assert!(logprobs(&place, "run/checkpoints/last") != logprobs(&place, "model"));
    let wrong = ["--set", "policy.train={ freeze = [\"nothing.*\"] }"];
    place.train("no", &wrong).failed(2, &["nothing.*", "fits no parameter", "model.layers.0."]);
}

/// System 54: the entries that a first run changed are trained again from the same start, and no others.
#[test]
fn a_masked_run_moves_the_entries_of_its_mask_alone() {
    let place = place("");
    let keys = ["--set", "train.weight_decay=0.1", "--set", "train.lr=1e-4"];
    place.train("first", &keys).well();
    let mask = "policy.train={ mask = { changed = \"first/checkpoints/last\" } }";
    place.train("second", &[&keys[..], &["--set", mask]].concat()).well();
    let floats = |file: &str| -> BTreeMap<String, Vec<f32>> {
        let all = tensors(&place.path(file));
        let read = |bytes: &[u8]| bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
        all.into_iter().map(|(name, (_, _, bytes))| (name, read(&bytes))).collect()
    };
    let start = floats("model/model.safetensors");
    let [first, second] = ["first", "second"].map(|run| floats(&format!("{run}/checkpoints/last/model.safetensors")));
    let stored = cohort_core::weight::parameter_mask::to_bf16;
    let (mut trained, mut moved, mut all) = (0, 0, 0);
    for (name, start) in &start {
        for ((&start, &first), &second) in start.iter().zip(&first[name]).zip(&second[name]) {
            let is_trained = (stored(first) - stored(start)).abs() > 1e-5;
            assert!(is_trained || second.to_bits() == start.to_bits(), "{name}: {start} moved to {second}");
            trained += usize::from(is_trained);
            moved += usize::from(second != start);
            all += 1;
        }
    }
    assert!(0 < moved && moved <= trained && trained < all, "{moved} moved of {trained} trained of {all}");
    let same = "policy.train={ mask = { changed = \"model\" } }";
    place.train("no", &["--set", same]).failed(2, &["policy.train.mask.changed", "differs nowhere"]);
}

#[test]
fn what_a_recipe_may_not_train_is_named() {
    let place = place("");
    for (policy, parts) in [
        ("policy.train={ lora = { rank = 0 } }", ["policy.train.lora.rank", "at least 1"]),
        ("policy.train={ lora = { targets = [] } }", ["policy.train.lora.targets", "empty list"]),
        ("policy.train={ lora = { dropout = 1.0 } }", ["policy.train.lora.dropout", "[0, 1)"]),
        ("policy.train={ lora = { targets = [\"lm_head\"] } }", ["lm_head", "kept whole"]),
        ("policy.train={ lora = { size = 3 } }", ["size", "rank"]),
        ("policy.train={ only = [] }", ["policy.train", "empty list"]),
        ("policy.dtype=f16", ["policy.dtype", "bf16"]),
    ] {
        place.train("no", &["--set", policy]).failed(2, &parts);
    }
    let new = Place::new();
    new.train("no", &["--set", "policy.train={ lora = {} }"]).failed(2, &["policy.train.lora", "policy.model"]);
}
