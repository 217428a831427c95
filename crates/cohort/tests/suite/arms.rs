//! What arms of a comparison share and what they may differ in: the cold start, the control, budgets in tokens, strata.

use serde_json::Value;

use crate::common::{COLD, Place, TINY, tensors};

fn lines(place: &Place, file: &str) -> Vec<Value> {
    let text = String::from_utf8(place.bytes(file)).expect("text");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON lines")).collect()
}

#[test]
fn arms_that_differ_in_groups_and_rewards_start_from_one_cold_start() {
    let place = Place::cold();
    place.train("one", &[]).well();
    let other = ["--set", "rollout.group_size=6", "--set", "reward.control=permuted", "--set", "train.lr=1e-3"];
    let ran = place.train("other", &other).well();
    assert!(ran.stderr.contains("from the cache"), "{}", ran.stderr);
    let cap = place.train("cap", &["--set", "rollout.max_new_tokens=9"]).well();
    assert!(!cap.stderr.contains("from the cache"), "completions of another length are another cold start's");
}

/// The verdicts stay what they are, and what is compared is another's.
#[test]
fn a_permuted_control_deals_the_same_rewards_out_again() {
    let place = Place::new();
    place.train("run", &["--set", "reward.control=permuted", "--set", "train.steps=2"]).well();
    let episodes = lines(&place, "run/rollouts.jsonl");
    for step in [1, 2] {
        let of_step: Vec<&Value> = episodes.iter().filter(|line| line["step"] == step).collect();
        let number = |value: &Value| value.as_f64().expect("a number");
        let earned = |line: &Value| -> f64 {
            number(&line["rewards"]["digit"]["value"]) + 0.5 * number(&line["rewards"]["plus"]["value"])
        };
        let mut earned: Vec<f64> = of_step.iter().map(|line| earned(line)).collect();
        let mut dealt: Vec<f64> = of_step.iter().map(|line| number(&line["reward"])).collect();
        assert_ne!(earned, dealt, "step {step}");
        earned.sort_by(f64::total_cmp);
        dealt.sort_by(f64::total_cmp);
        assert_eq!(earned, dealt, "step {step}");
    }
}

#[test]
fn an_evaluation_tells_of_terms_and_of_the_values_of_a_column() {
    let place = Place::new();
    place.train("run", &["--set", "eval.by=answer", "--set", "train.steps=1"]).well();
    let after = &place.json("run/summary.json")["eval"]["after"];
    let numbers = after.as_object().expect("numbers");
    let strata: Vec<&String> = numbers.keys().filter(|name| name.starts_with("n/")).collect();
    let total: f64 = strata.iter().map(|name| numbers[*name].as_f64().expect("a count")).sum();
    assert_eq!(total, after["n"].as_f64().expect("a count"));
    for name in strata {
        assert!(numbers.contains_key(&name.replace("n/", "greedy/")), "{name}");
    }
    assert_eq!(after["reward/digit"], after["greedy"], "the deciding term's mean is the accuracy");
}

#[test]
fn a_budget_of_tokens_ends_the_stage_and_is_what_the_rate_decays_over() {
    let place = Place::new();
    let keys = ["--set", "train.max_tokens=400", "--set", "train.decay=linear", "--set", "train.steps=1000"];
    place.train("run", &keys).well();
    let steps = lines(&place, "run/metrics.jsonl");
    let steps: Vec<&Value> = steps.iter().filter(|line| line["lr"].is_number()).collect();
    let (mut spent, peak) = (0.0, steps[0]["lr"].as_f64().expect("a rate"));
    for line in &steps {
        let rate = line["lr"].as_f64().expect("a rate");
        assert!((rate / peak - (1.0 - spent / 400.0)).abs() < 1e-12, "{rate} after {spent} tokens");
        assert!(spent < 400.0, "a step began after the budget was spent");
        spent += line["tokens/completion"].as_f64().expect("a count");
    }
    assert!(spent >= 400.0 && steps.len() < 1000);
}

/// System 54 after a cold start: theta0 is what the rl stage starts from.
#[test]
fn a_mask_is_of_what_the_rl_stage_changed() {
    let (head, rest) = TINY.split_once("[task.arithmetic]").expect("a task");
    let place = Place::of(&format!("stages = [\"supervised\", \"rl\"]\n{head}[task.arithmetic]{rest}{COLD}"));
    let keys = ["--set", "train.lr=1e-4"];
    place.train("first", &keys).well();
    let mask = "policy.train={ mask = { changed = \"first/checkpoints/last\" } }";
    let ran = place.train("second", &[&keys[..], &["--set", mask]].concat()).well();
    assert!(ran.stderr.contains("from the cache"), "one cold start: {}", ran.stderr);
    let initial = place.json("first/manifest.json")["initial"].as_str().expect("a cold start").to_owned();
    let weights = |path: &str| tensors(&place.path(&format!("{path}/model.safetensors")));
    let start = weights(&format!("first/checkpoints/{initial}"));
    let [first, second] = ["first", "second"].map(|run| weights(&format!("{run}/checkpoints/last")));
    let (mut moved, mut held) = (0, 0);
    for (name, (_, _, start)) in &start {
        let values = start.chunks_exact(4).zip(first[name].2.chunks_exact(4)).zip(second[name].2.chunks_exact(4));
        for ((start, first), second) in values {
            moved += usize::from(second != start);
            held += usize::from(second == start);
            assert!(second == start || first != start, "{name} moved where the first run did not");
        }
    }
    assert!(moved > 0 && held > 0, "{moved} moved, {held} held");
}

#[test]
fn prompts_are_drawn_from_the_rows_that_are_asked_for() {
    let place = Place::new();
    place.train("run", &["--set", "train.among={ column = \"answer\", values = [\"57\", \"99\", \"none\"] }"]).well();
    for line in lines(&place, "run/rollouts.jsonl") {
        let prompt = line["prompt"].as_str().expect("a prompt").trim_end_matches('=').to_owned();
        let sum: u32 = prompt.split('+').map(|part| part.parse::<u32>().expect("a number")).sum();
        assert!([57, 99].contains(&sum), "{prompt}");
    }
    let nothing = "train.among={ column = \"answer\", values = [\"none\"] }";
    place.train("no", &["--set", nothing]).failed(2, &["train.among", "must fit a row"]);
}
