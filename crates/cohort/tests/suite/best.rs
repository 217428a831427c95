//! Which weights are kept beside the last ones: the best on dev, and the average.

use std::{collections::BTreeMap, fs, path::Path};

use safetensors::SafeTensors;
use serde_json::Value;

use crate::common::{Place, Running, assert_same_run, line_count, tree};

/// `--set` before each key.
fn set<'a>(keys: &[&'a str]) -> Vec<&'a str> {
    keys.iter().flat_map(|key| ["--set", key]).chain(["--resume"]).collect()
}

/// The evaluations on dev, by step.
fn looks(place: &Place, run: &str) -> Vec<(u64, Value)> {
    let lines = place.lines(&format!("{run}/metrics.jsonl")).into_iter().filter(|line| line["split"] == "dev");
    lines.map(|mut line| (line["step"].as_u64().expect("a step"), line["eval"].take())).collect()
}

#[test]
fn each_metric_chooses_its_best_checkpoint() {
    let choices = [
        ("eval.metric=greedy", "greedy", 1.0),
        ("eval.metric.pass_at={ k = 3, samples = 4 }", "pass@3", 1.0),
        ("eval.metric.reward={ term = \"plus\" }", "reward/plus", 1.0),
        ("eval.metric=loss", "loss", -1.0),
    ];
    let place = Place::new();
    for (i, (key, name, sign)) in choices.into_iter().enumerate() {
        let run = format!("run-{i}");
        let keys = set(&[key, "eval.every=1", "train.keep_checkpoints=1", "train.lr=0.02", "eval.dev_limit=16"]);
        place.train(&run, &keys).well();
        let seen: Vec<(u64, f64)> = looks(&place, &run)
            .into_iter()
            .map(|(step, eval)| (step, eval[name].as_f64().unwrap_or_else(|| panic!("{name} in {eval}"))))
            .collect();
        assert_eq!(seen.len(), 6);
        // The first of equals.
        let best = seen.iter().copied().reduce(|a, b| if sign * (b.1 - a.1) > 0.0 { b } else { a }).expect("looks");
        let summary = place.json(&format!("{run}/summary.json"));
        let said = &summary["best"];
        assert_eq!((said["step"].as_u64(), said["value"].as_f64()), (Some(best.0), Some(best.1)), "{name}: {seen:?}");
        assert_eq!(said["metric"], name);
        let link = fs::read_link(place.path(&run).join("checkpoints/best")).expect("a link");
        assert_eq!(link, Path::new(&format!("step-{:06}", best.0)));
        let model = place.of_run(&run, "checkpoints/best");
        place.cohort(&["sample", "--model", &model, "--prompt", "1+1="]).well();
    }
    let losses = looks(&place, "run-3");
    assert!(losses.iter().any(|(_, eval)| eval["loss"] != losses[0].1["loss"]), "the policy moves");
}

#[test]
fn patience_ends_a_run_wherever_it_was_cut() {
    let place = Place::new();
    // Nothing moves, so nothing gains after the first look.
    let keys = ["train.lr=0", "eval.every=1", "eval.patience=2", "preflight.no_signal=warn"];
    place.train("whole", &set(&keys)).well();
    let summary = place.json("whole/summary.json");
    assert_eq!((&summary["steps"], &summary["best"]["step"]), (&3.into(), &1.into()));
    let ended = summary["ended"].as_str().expect("a reason");
    assert!(ended.contains("greedy on dev was best at step 1") && ended.contains("2 looks since"), "{ended}");

    let first: Vec<&str> = ["train.steps=2"].iter().chain(&keys).copied().collect();
    place.train("cut", &set(&first)).well();
    place.train("cut", &set(&keys)).well();
    assert_same_run(&place.path("whole"), &place.path("cut"));
    assert_eq!(place.json("cut/summary.json")["ended"], summary["ended"]);

    // As a kill after the last commit leaves it.
    let mut manifest = place.json("cut/manifest.json");
    manifest["state"] = "running".into();
    place.write("cut/manifest.json", &manifest.to_string());
    fs::remove_file(place.path("cut/summary.json")).expect("it was there");
    place.train("cut", &set(&keys)).well();
    assert_same_run(&place.path("whole"), &place.path("cut"));
    let files = tree(&place.path("cut"));
    place.train("cut", &set(&keys)).well();
    assert_eq!(files, tree(&place.path("cut")));

    // A gain must be more than this.
    let keys = ["eval.min_delta=2", "eval.every=1", "eval.patience=1", "train.lr=0.02"];
    place.train("delta", &set(&keys)).well();
    assert_eq!(place.json("delta/summary.json")["steps"], 2);
}

/// Tensors of a file by name.
fn tensors(path: &Path) -> BTreeMap<String, Vec<f32>> {
    let bytes = fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let file = SafeTensors::deserialize(&bytes).expect("a whole file");
    let values = |data: &[u8]| data.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
    file.iter().map(|(name, tensor)| (name.to_owned(), values(tensor.data()))).collect()
}

#[test]
fn the_average_is_what_its_formula_says() {
    let place = Place::new();
    let ema = "train.ema={ decay = 0.75, every = 2, evaluate = [\"dev\", \"test\"] }";
    // Two updates a step.
    let keys = set(&[ema, "train.save_every=1", "train.keep_checkpoints=9", "train.lr=0.02"]);
    place.train("run", &keys).well();
    let at = |step: u64, name: &str| tensors(&place.path(&format!("run/checkpoints/step-{step:06}/{name}")));
    for step in 2..=6 {
        let (before, after) = (at(step - 1, "ema/model.safetensors"), at(step, "ema/model.safetensors"));
        let weights = at(step, "model.safetensors");
        assert_eq!(before.len(), weights.len());
        for (name, values) in &after {
            let expected = before[name].iter().zip(&weights[name]);
            let expected = expected.map(|(e, w)| (0.75 * f64::from(*e) + 0.25 * f64::from(*w)) as f32);
            assert!(expected.eq(values.iter().copied()), "step {step}, {name}");
        }
        assert_ne!(before, after, "step {step}");
    }
    let summary = place.json("run/summary.json");
    assert_eq!(summary["eval"]["ema"]["n"], summary["eval"]["after"]["n"]);
    let lines = place.lines("run/metrics.jsonl");
    assert_eq!(lines.iter().filter(|line| line["split"] == "ema/dev").count(), 2);
    // It is a model like any other.
    let model = place.of_run("run", "checkpoints/last/ema");
    place.cohort(&["sample", "--model", &model, "--prompt", "1+1="]).well();
    let evaluated = place.cohort(&["eval", "--model", &model, "--task", "./recipe.toml", "--json"]).well().json();
    assert_eq!(evaluated["greedy"], summary["eval"]["ema"]["greedy"]);
}

#[test]
fn the_average_is_resumed_to_the_bit() {
    let place = Place::new();
    let keys = set(&[
        "train.ema={ decay = 0.9 }",
        "train.reference=ema",
        "objective.kl={ estimator = \"k3\", coefficient = 0.1 }",
    ]);
    let workers = |n: &'static str| [keys.as_slice(), &["--workers", n]].concat();
    place.train("whole", &workers("1")).well();
    let metrics = place.path("killed/metrics.jsonl");
    for lines in [1, 4, 6] {
        let mut running = Running::start(&mut place.train_command("killed", &workers("3")));
        running.until(|| line_count(&metrics) >= lines);
        running.kill();
    }
    place.train("killed", &workers("2")).well();
    assert_same_run(&place.path("whole"), &place.path("killed"));
    let average = |run: &str| place.bytes(&format!("{run}/checkpoints/last/ema/model.safetensors"));
    assert!(average("whole") == average("killed"));
    // Its sums are held.
    let path = place.path("killed/checkpoints/last/ema/model.safetensors");
    crate::common::model::flip(&path, "model.norm.weight");
    let more = [workers("1"), vec!["--set", "train.steps=7"]].concat();
    place.train("killed", &more).failed(5, &["ema/model.safetensors", "its checksum differs", "model.norm.weight"]);
}

#[test]
fn a_reference_that_follows_at_once_leaves_no_divergence() {
    let place = Place::new();
    let kl = "objective.kl={ estimator = \"k3\", coefficient = 0.1 }";
    let base = ["train.inner_epochs=1", "train.lr=0.02", kl];
    let run = |name: &str, more: &[&'static str]| {
        place.train(name, &set(&[&base, more].concat())).well();
        let lines = place.lines(&format!("{name}/metrics.jsonl"));
        lines.iter().filter_map(|line| line["kl"].as_f64()).collect::<Vec<f64>>()
    };
    let frozen = run("frozen", &[]);
    assert!(frozen.len() == 6 && frozen[0] == 0.0 && frozen[1..].iter().all(|kl| *kl > 0.0), "{frozen:?}");
    // Nothing of the average stays: it is the policy before the step.
    let at_once = run("at-once", &["train.ema={ decay = 0.0 }", "train.reference=ema"]);
    assert_eq!(at_once, [0.0; 6]);
    let slow = run("slow", &["train.ema={ decay = 0.9 }", "train.reference=ema"]);
    assert!(slow[5] > 0.0 && slow[5] != frozen[5], "{slow:?}");
}

#[test]
fn what_contradicts_itself_is_refused() {
    let place = Place::new();
    let refused = |keys: &[&str], parts: &[&str]| {
        place.train("run", &set(keys)).failed(2, parts);
    };
    refused(&["eval.patience=1", "eval.every=0"], &["`eval.patience` needs looks at dev", "eval.every"]);
    refused(&["eval.patience=1", "task.arithmetic.dev=0"], &["`eval.patience` needs a dev split"]);
    refused(&["eval.metric.pass_at={ k = 4, samples = 2 }"], &["eval.metric.pass_at.samples", "at least 4"]);
    refused(&["eval.metric.reward={ term = \"none\" }"], &["eval.metric.reward.term", "must name a reward term"]);
    refused(&["eval.metric=accuracy"], &["eval.metric", "accuracy"]);
    refused(&["eval.min_delta=-1"], &["eval.min_delta"]);
    refused(&["train.ema={ decay = 1.0 }"], &["train.ema.decay", "[0, 1)"]);
    refused(&["train.ema={ decay = 0.5, every = 0 }"], &["train.ema.every"]);
    refused(&["train.ema={ decay = 0.5, rate = 1 }"], &["train.ema.rate"]);
    refused(&["train.reference=ema"], &["train.reference", "needs averaged weights"]);
    refused(&["train.reference=ema", "train.ema={ decay = 0.5 }"], &["train.reference", "is read by nothing"]);
}
