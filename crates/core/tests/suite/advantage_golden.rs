//! Advantages against numbers frozen from TRL and verl (their versions stand in the files).

use std::{fs, path::Path};

use cohort_core::{Comparison, Memory, Trajectory, advantage::Advantage};
use serde_json::{Value, json};

fn cases(framework: &str) -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/{framework}.json"));
    let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let file: Value = serde_json::from_str(&text).expect("a JSON document");
    file["cases"].as_array().expect("cases").clone()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().expect("a list").iter().map(|x| x.as_f64().expect("a number")).collect()
}

/// A member: its reward is given, or the weighted sum of its terms, held to the range that the options give.
fn member(episode: usize, case: &Value, given: &Value) -> Trajectory {
    let weights = case["options"].get("reward_weights").map(numbers);
    let reward = match given.get("rewards").and_then(Value::as_object) {
        None => given["reward"].as_f64(),
        Some(terms) => {
            let weights = weights.expect("weights").into_iter();
            Some(terms.values().zip(weights).map(|(r, w)| w * r.as_f64().expect("a number")).sum())
        }
    };
    let range = case["options"].get("reward_clip_range").filter(|range| !range.is_null()).map(numbers);
    let reward = reward.map(|r| range.map_or(r, |range| r.clamp(range[0], range[1])));
    let length = given["length"].as_u64().expect("a length") as usize;
    let mask = given.get("mask").map_or_else(|| vec![1.0; length], numbers);
    Trajectory { episode, reward, mask, ..Trajectory::default() }
}

/// Compares one case; groups of one, of which the frameworks make rules of their own, are left out where `local`.
fn compare(case: &Value, recipe: &Value, local: bool) {
    let advantage: Advantage = serde_json::from_value(recipe.clone()).expect("a recipe");
    let given = case["groups"].as_array().expect("groups");
    let want = case["advantage"].as_array().expect("advantages");
    let kept: Vec<usize> =
        (0..given.len()).filter(|g| !local || given[*g].as_array().expect("a group").len() > 1).collect();
    let groups: Vec<Comparison> = kept
        .iter()
        .map(|&g| {
            let members = given[g].as_array().expect("a group").iter().enumerate();
            let trajectories = members.map(|(i, given)| member(i, case, given)).collect();
            Comparison { trajectories, ..Comparison::default() }
        })
        .collect();
    let credits = advantage.credit(&groups, &mut Memory::default()).unwrap_or_else(|e| panic!("{}: {e}", case["name"]));
    for ((group, credits), &g) in groups.iter().zip(&credits).zip(&kept) {
        for (t, credit) in credits.iter().enumerate() {
            let want = &want[g][t];
            for (a, got) in credit.coefficient.iter().enumerate().filter(|(a, _)| group.trajectories[t].mask[*a] > 0.0)
            {
                let want = if want.is_array() { &want[a] } else { want }.as_f64().expect("a number");
                let near = (got - want).abs() <= 1e-6 * want.abs().max(1e-3);
                assert!(near, "{} {g} {t} {a}: {got} and not {want}", case["name"]);
            }
        }
    }
}

/// The recipe of a case's name, or why there is none.
type Recipes = fn(&str) -> Option<(Value, bool)>;

fn all(framework: &str, recipes: Recipes, least: usize) {
    let mut compared = 0;
    for case in cases(framework) {
        let name = case["name"].as_str().expect("a name");
        let Some(name) = name.strip_prefix("advantage_") else { continue };
        if let Some((recipe, local)) = recipes(name) {
            compare(&case, &recipe, local);
            compared += 1;
        }
    }
    assert!(compared >= least, "{framework}: {compared} cases compared");
}

#[test]
fn trl() {
    let recipes = |name: &str| {
        let (kind, _) = name.split_once('/').expect("a number");
        let recipe = match kind {
            "group" | "group_missing" | "group_weighted" => json!({}),
            "batch" | "batch_missing" | "batch_weighted" => json!({"scale": {"global_std": {"ddof": 1}}}),
            "none" | "none_missing" | "none_weighted" => json!({"scale": "none"}),
            "rloo" | "rloo_missing" | "rloo_clip" => json!({"baseline": "leave_one_out", "scale": "none"}),
            "rloo_normalized" => json!({"baseline": "leave_one_out", "scale": {"whitened_episodes": {}}}),
            // Normalises terms, adds, and normalises the batch: a combiner, and whitening.
            "gdpo" => return None,
            other => panic!("TRL's {other} is not known"),
        };
        Some((recipe, false))
    };
    all("trl", recipes, 15);
}

#[test]
fn verl() {
    let recipes = |name: &str| {
        let (kind, number) = name.split_once('/').expect("a number");
        let std = json!({"std": {"eps": 1e-6}});
        Some(match kind {
            "grpo" => (json!({"scale": std}), true),
            "grpo_no_std" => (json!({"scale": "none"}), true),
            "rloo" | "rloo_vectorized" => (json!({"baseline": "leave_one_out", "scale": "none"}), true),
            "opo" => (json!({"baseline": "length_weighted", "scale": "none"}), true),
            "grpo_passk" => (json!({"estimator": "best_only", "scale": std}), true),
            "grpo_passk_no_std" => (json!({"estimator": "best_only", "scale": "none"}), true),
            "reinforce_plus_plus_1.0" => (json!({"baseline": "none", "scale": {"whitened": {}}}), false),
            // Its first batch has a group of one, which is an error here and takes part in the whitening there.
            "reinforce_plus_plus_baseline" if number == "0" => return None,
            "reinforce_plus_plus_baseline" => (json!({"scale": {"whitened": {}}}), false),
            // A discount, a greedy answer's reward, a count of the batch, a combiner, squared probabilities.
            "reinforce_plus_plus_0.9" | "remax" | "gpg" | "gdpo" | "gdpo_weighted" => return None,
            other if other.contains("optimal_token_baseline") => return None,
            other => panic!("verl's {other} is not known"),
        })
    };
    all("verl", recipes, 13);
}
