//! The 69 systems as recipes: each parses, and gives on a frozen batch the numbers that were derived by other means.

use std::{collections::BTreeSet, path::PathBuf};

use cohort::{
    calc::{Document, calculate},
    core::registry,
    train::Recipe,
};
use serde_json::Value;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn names(folder: &str, extension: &str) -> BTreeSet<String> {
    let entries = std::fs::read_dir(root().join(folder)).expect("the folder is there");
    entries
        .map(|entry| entry.expect("it can be read").path())
        .filter(|path| path.extension().is_some_and(|e| e == extension))
        .map(|path| path.file_stem().expect("it has a name").to_string_lossy().into_owned())
        .collect()
}

/// Every number of two documents of the same shape, side by side.
fn pairs(path: &str, want: &Value, got: &Value, out: &mut Vec<(String, f64, f64)>) {
    match (want, got) {
        (Value::Array(want), Value::Array(got)) => {
            assert_eq!(want.len(), got.len(), "{path}");
            for (i, (want, got)) in want.iter().zip(got).enumerate() {
                pairs(&format!("{path}[{i}]"), want, got, out);
            }
        }
        _ => out.push((
            path.to_owned(),
            want.as_f64().unwrap_or_else(|| panic!("{path}: {want}")),
            got.as_f64().unwrap_or_else(|| panic!("{path}: {got}")),
        )),
    }
}

#[test]
fn all_69_systems_have_a_recipe_that_gives_the_derived_numbers() {
    let recipes = names("recipes/algorithms", "toml");
    assert_eq!(recipes, names("crates/cohort/tests/golden/algorithms", "json"));
    assert_eq!(recipes.len(), 69);
    let mut systems = BTreeSet::new();
    for name in &recipes {
        let path = root().join("crates/cohort/tests/golden/algorithms").join(format!("{name}.json"));
        let golden: Value = serde_json::from_slice(&std::fs::read(path).expect("it is there")).expect("it is JSON");
        assert_eq!(golden["recipe"], name.as_str());
        assert!(golden["derivation"].as_str().is_some_and(|d| d.len() > 20), "{name}: where do its numbers come from?");
        systems.insert(golden["system"].as_u64().expect("its number"));
        let recipe = root().join("recipes/algorithms").join(format!("{name}.toml"));
        let (method, _) = Recipe::method_of(&recipe, &[]).unwrap_or_else(|e| panic!("{name}: {e}"));
        let document = Document::parse(&golden["batch"].to_string()).unwrap_or_else(|e| panic!("{name}: {e}"));
        let answer = calculate(&method, &document).unwrap_or_else(|e| panic!("{name}: {e}"));
        let expected = golden["expected"].as_object().expect("numbers");
        assert!(expected.contains_key("loss") && expected.contains_key("d_logp"), "{name}");
        let mut all = Vec::new();
        for (key, want) in expected {
            pairs(&format!("{name}: {key}"), want, &answer[key], &mut all);
        }
        for (place, want, got) in all {
            assert!((want - got).abs() <= 1e-9 * want.abs() + 1e-12, "{place}: {want} was derived, {got} computed");
        }
        for key in ["d_entropy", "d_kl_old", "d_kl_ref"] {
            assert_eq!(answer.get(key).is_some(), expected.contains_key(key), "{name}: {key}");
        }
    }
    assert_eq!(systems, (1..=69).collect());
}

/// The combined reward alone is enough, whatever the combiner is.
#[test]
fn every_recipe_takes_a_batch_of_combined_rewards() {
    for name in names("recipes/algorithms", "toml") {
        let recipe = root().join("recipes/algorithms").join(format!("{name}.toml"));
        let (method, _) = Recipe::method_of(&recipe, &[]).unwrap_or_else(|e| panic!("{name}: {e}"));
        let member = |reward: f64, logp: f64| {
            serde_json::json!({
                "reward": reward, "logp": [logp, logp - 0.2], "old_logp": [logp - 0.1, logp - 0.2],
                "ref_logp": [logp, logp], "behaviour_logp": [logp - 0.1, logp - 0.2], "kl_old": [0.01, 0.0],
                "kl_ref": [0.01, 0.02], "entropy": [0.5, 0.9], "segment": [0, 1], "segment_rewards": {"0": reward, "1": 0},
                "facts": {
                    "calls": 1, "hardness": 0.3, "gap": 0.1, "shaping": [0, 0], "noise_scale": [0.5, 0.5],
                    "step_size": [0.1, 0.1], "step": 0, "plan": 0
                }
            })
        };
        let group: Vec<Value> = [1.0, 0.0, 0.0, 1.0, 0.0].map(|r| member(r, -0.5 - 0.1 * r)).to_vec();
        let batch = serde_json::json!({"groups": [{"trajectories": group}, {"trajectories": group}]});
        let document = Document::parse(&batch.to_string()).expect("a batch");
        let answer = calculate(&method, &document).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert!(answer["loss"].as_f64().is_some_and(f64::is_finite), "{name}: {}", answer["loss"]);
        let mut slopes = Vec::new();
        pairs("d_logp", &answer["d_logp"], &answer["d_logp"], &mut slopes);
        assert!(slopes.iter().any(|(_, slope, _)| *slope != 0.0), "{name} learns something");
    }
}

#[test]
fn every_entry_is_whole_and_has_an_example() {
    let mut seen = BTreeSet::new();
    for entry in registry::entries() {
        let name = format!("{}.{}", entry.axis, entry.name);
        assert!(seen.insert(name.clone()), "{name} twice");
        assert!(!entry.source.is_empty() && !entry.summary.is_empty() && !entry.formula.is_empty(), "{name}");
        assert!(cohort::explain::example(entry).is_some(), "{name} has no example");
        for (other, why) in entry.equals {
            assert_eq!(registry::find(&format!("{}.{other}", entry.axis)).len(), 1, "{name}: {other}");
            assert!(!why.is_empty(), "{name}: {other}");
        }
    }
    assert!(seen.len() > 90, "{}", seen.len());
}
