//! Sampling controls as users give them: flags, columns and recipe keys, and what is written of them.

use serde_json::{Value, json};

use crate::common::{Place, TINY, model};

/// A folder with a model that draws widely.
fn with_model() -> Place {
    let place = Place::new();
    model::arithmetic(&place.path("model"));
    place
}

fn sample(place: &Place, more: &[&str]) -> Vec<Value> {
    let all = [&["sample", "--model", "model", "--json"], more].concat();
    let ran = place.cohort(&all).well();
    ran.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

fn completions(line: &Value) -> &Vec<Value> {
    line["completions"].as_array().expect("a list")
}

#[test]
fn a_seed_in_a_row_is_all_that_its_draws_depend_on() {
    let place = with_model();
    let rows = |rows: &[Value]| {
        let text: String = rows.iter().map(|row| format!("{row}\n")).collect();
        place.write("rows.jsonl", &text);
        sample(&place, &["--input", "rows.jsonl", "-n", "2"])
    };
    let (seeded, plain) = (json!({ "prompt": "1+1=", "seed": 7 }), json!({ "prompt": "1+1=" }));
    let lines = rows(&[plain.clone(), seeded.clone(), plain.clone(), seeded.clone()]);
    assert_eq!(lines[1], lines[3], "wherever the row stands");
    assert_ne!(lines[0], lines[2], "without one its place counts");
    assert_ne!(completions(&lines[1])[0], completions(&lines[1])[1]);
    assert_eq!(rows(&[seeded])[0], lines[1], "whoever else is there");
    assert_eq!(rows(&[plain])[0], lines[0]);
    assert_ne!(sample(&place, &["--prompt", "1+1=", "--seed", "1"]), sample(&place, &["--prompt", "1+1="]));
    assert_eq!(sample(&place, &["--prompt", "1+1=", "--seed", "7", "-n", "2"])[0], lines[1]);
}

#[test]
fn truncations_are_recorded_beside_the_rows() {
    let place = with_model();
    let plain = sample(&place, &["--prompt", "1+1=", "-n", "4"]);
    assert!(completions(&plain[0]).iter().all(|c| c.get("truncated_logp").is_none()));
    let truncated =
        sample(&place, &["--prompt", "1+1=", "-n", "4", "--top-k", "20", "--top-p", "0.9", "--min-p", "0.01"]);
    for completion in completions(&truncated[0]) {
        let column = |key: &str| -> Vec<f64> {
            completion[key].as_array().expect(key).iter().map(|x| x.as_f64().expect("a number")).collect()
        };
        let (rows, left) = (column("logp"), column("truncated_logp"));
        assert_eq!(rows.len(), left.len());
        assert!(rows.iter().zip(&left).all(|(row, left)| left >= row), "{completion}");
        assert!(left.iter().zip(&rows).any(|(left, row)| left - row > 0.05), "{completion}");
    }
    let one = sample(&place, &["--prompt", "1+1=", "--top-k", "1"]);
    let greedy = sample(&place, &["--prompt", "1+1=", "--greedy"]);
    assert_eq!(completions(&one[0])[0]["ids"], completions(&greedy[0])[0]["ids"]);
}

#[test]
fn stop_strings_leave_the_text_and_stay_in_the_ids() {
    let place = with_model();
    let ask = |more: &[&str]| {
        let all = [&["--prompt", "1+1=", "-n", "40", "--max-new-tokens", "30"], more].concat();
        sample(&place, &all)[0]["completions"].as_array().expect("a list").clone()
    };
    let stops = ["--stop", "7", "--stop", "+"];
    let (free, cut) = (ask(&[]), ask(&stops));
    let whole = ask(&[&stops[..], &["--stop-in-text", "include"]].concat());
    let mut ended = 0;
    for ((free, cut), whole) in free.iter().zip(&cut).zip(&whole) {
        let text = |completion: &Value| completion["text"].as_str().expect("text").to_owned();
        assert_eq!((&cut["ids"], &cut["stop"]), (&whole["ids"], &whole["stop"]));
        assert!(!text(cut).contains(['7', '+']), "{cut}");
        let ids = |completion: &Value| completion["ids"].as_array().expect("ids").clone();
        assert_eq!(ids(free)[..ids(cut).len()], ids(cut)[..]);
        if let Some(stop) = cut["stop"]["text"].as_u64() {
            ended += 1;
            assert_eq!(text(whole), format!("{}{}", text(cut), ["7", "+"][stop as usize]));
        } else {
            assert_eq!(text(cut), text(free));
        }
    }
    assert!(ended > 5, "{ended}");
    let bad = ask(&["--bad-word", "7", "--bad-word", "+"]);
    assert!(bad.iter().all(|c| !c["text"].as_str().expect("text").contains(['7', '+'])), "{bad:?}");
}

#[test]
fn flags_that_mean_nothing_are_refused() {
    let place = with_model();
    for (flags, parts) in [
        (&["--temperature", "0"][..], &["--temperature", "above 0", "--greedy"][..]),
        (&["--temperature", "nan"], &["--temperature", "NaN"]),
        (&["--temperature", "-1"], &["--temperature"]),
        (&["--top-k", "0"], &["--top-k", "at least 1", "hint:"]),
        (&["--top-k", "-5"], &["--top-k"]),
        (&["--top-p", "0"], &["--top-p", "(0, 1]", "hint:"]),
        (&["--top-p", "1.5"], &["--top-p", "1.5", "(0, 1]"]),
        (&["--top-p", "nan"], &["--top-p", "NaN"]),
        (&["--min-p", "-0.1"], &["--min-p"]),
        (&["--min-p", "2"], &["--min-p", "[0, 1]"]),
        (&["--stop", ""], &["--stop", "empty"]),
        (&["--bad-word", ""], &["--bad-word"]),
        (&["--greedy", "--top-p", "0.9"], &["--greedy", "--top-p"]),
        (&["--max-new-tokens", "0"], &["--max-new-tokens", "0"]),
        (&["-n", "0"], &["0"]),
        (&["--seed", "minus"], &["--seed"]),
        (&["--stop-in-text", "maybe"], &["--stop-in-text", "exclude", "include"]),
    ] {
        let all = [&["sample", "--model", "model", "--prompt", "1+1="], flags].concat();
        place.cohort(&all).failed(2, parts);
    }
}

#[test]
fn a_broken_row_is_named_and_those_before_it_are_answered() {
    let place = with_model();
    let ask = |row: &str| {
        place.write("rows.jsonl", &format!("{{\"prompt\":\"1+1=\"}}\n{row}\n{{\"prompt\":\"2+2=\"}}\n"));
        place.cohort(&["sample", "--model", "model", "--input", "rows.jsonl", "--json", "--max-new-tokens", "4"])
    };
    for (row, parts) in [
        ("{\"prompt\":", &["rows.jsonl:2", "hint:"][..]),
        ("{\"text\":\"1\"}", &["rows.jsonl:2", "`prompt`"]),
        ("{\"prompt_ids\":[8,99]}", &["rows.jsonl:2", "99"]),
        ("{\"prompt_ids\":[]}", &["rows.jsonl:2", "empty context"]),
        ("{\"prompt\":\"1\",\"seed\":-1}", &["rows.jsonl:2", "-1"]),
        ("{\"prompt_ids\":[-1]}", &["rows.jsonl:2", "-1"]),
    ] {
        let ran = ask(row).failed(3, parts);
        assert_eq!(ran.stdout.lines().count(), 1, "{row}: {}", ran.stdout);
    }
    let score = |row: &str| {
        place.write("rows.jsonl", &format!("{row}\n"));
        place.cohort(&["logprobs", "--model", "model", "--input", "rows.jsonl"])
    };
    score("{\"prompt_ids\":[8]}").failed(3, &["rows.jsonl:1", "completion_ids"]);
    score("{\"prompt_ids\":[],\"completion_ids\":[8]}").failed(3, &["rows.jsonl:1", "empty context"]);
    score("{\"prompt_ids\":[8],\"completion_ids\":[4000000000]}").failed(3, &["rows.jsonl:1", "4000000000"]);
    score("{\"prompt_ids\":[8],\"completion_ids\":\"8\"}").failed(3, &["rows.jsonl:1"]);
    place.cohort(&["logprobs", "--model", "model", "--input", "nowhere.jsonl"]).failed(3, &["nowhere.jsonl"]);
    place.cohort(&["logprobs", "--model", "nowhere", "--input", "rows.jsonl"]).failed(3, &["nowhere"]);
}

const TRUNCATED: [&str; 6] = ["--set", "rollout.top_p=0.9", "--set", "rollout.top_k=30", "--set", "train.steps=2"];

#[test]
fn a_recipe_that_truncates_says_what_is_trained() {
    let place = Place::new();
    let train = |more: &[&str]| place.train("run", &[&TRUNCATED, more].concat());
    train(&[]).failed(2, &["`objective.at`", "truncated", "sampling_temperature", "objective.mismatch", "hint:"]);
    train(&["--set", "objective.at=truncated"]).failed(2, &["`objective.at`", "cannot", "sampling_temperature"]);
    train(&["--set", "objective.at=two"]).failed(2, &["`objective.at`", "sampling_temperature", "one"]);
    // What is never drawn at all is no such truncation.
    let banned = ["--set", "rollout.ignore_eos=true", "--set", "rollout.bad_words=[\"1\", [9, 9]]"];
    place.train("banned", &[&banned[..], &["--set", "train.steps=1"]].concat()).well();
    assert!(place.lines("banned/rollouts.jsonl").iter().all(|line| line["samples"][0].get("truncated_logp").is_none()));
    assert!(!String::from_utf8(place.bytes("banned/rollouts.jsonl")).expect("text").contains("\"text\":\"1\""));

    train(&["--set", "objective.at=sampling_temperature", "--set", "objective.mismatch.truncate.cap=2"]).well();
    assert_eq!(place.json("run/summary.json")["logp_gap_max"], 0.0, "rows are before the truncation on both sides");
    for line in place.lines("run/rollouts.jsonl") {
        let sample = &line["samples"][0];
        let (rows, left) =
            (sample["logp"].as_array().expect("rows"), sample["truncated_logp"].as_array().expect("both"));
        assert_eq!(rows.len(), left.len());
    }
    let seen = place.cohort(&["inspect", "run"]).well().stdout;
    assert!(seen.contains("truncated"), "{seen}");
    let plain = place.train("plain", &["--set", "train.steps=1"]);
    plain.well();
    assert!(!place.cohort(&["inspect", "plain"]).well().stdout.contains("truncated"));
}

#[test]
fn a_run_with_stop_strings() {
    let place = Place::new();
    let keys =
        ["--set", "rollout.stop=[\"7\", \"<think>\"]", "--set", "train.steps=3", "--set", "rollout.max_new_tokens=16"];
    place.train("run", &keys).well();
    let include = [&keys[..], &["--set", "rollout.stop_in_text=include"]].concat();
    place.train("whole", &include).well();
    let (cut, whole) = (place.lines("run/rollouts.jsonl"), place.lines("whole/rollouts.jsonl"));
    let mut ended = 0;
    for (cut, whole) in cut.iter().zip(&whole).take(16) {
        let (sample, completion) = (&cut["samples"][0], cut["completion"].as_str().expect("text"));
        assert_eq!(sample["tokens"], whole["samples"][0]["tokens"], "the first step draws the same");
        if sample["stop"]["text"] == 0 {
            ended += 1;
            assert_eq!(sample["stop_text"], "7");
            assert!(!completion.contains('7') && sample["text"].as_str().expect("text").ends_with('7'), "{cut}");
            assert!(whole["completion"].as_str().expect("text").ends_with('7'));
        }
    }
    assert!(ended > 0);
    place.train("bad", &["--set", "rollout.stop=[\"\"]"]).failed(2, &["`rollout.stop`", "empty"]);
    place.train("bad", &["--set", "rollout.bad_words=[5]"]).failed(2, &["rollout.bad_words", "a list of token ids"]);
    place.train("bad", &["--set", "rollout.bad_words=[[]]"]).failed(2, &["`rollout.bad_words`", "empty"]);
    place.train("bad", &["--set", "rollout.bad_words=[[70]]"]).failed(2, &["`rollout.bad_words`", "id 70", "64"]);
    place.train("bad", &["--set", "rollout.top_k=0"]).failed(2, &["`rollout.top_k`", "at least 1"]);
    place.train("bad", &["--set", "rollout.min_p=-1"]).failed(2, &["`rollout.min_p`"]);
}

#[test]
fn an_evaluation_is_drawn_as_its_flags_say() {
    let place = with_model();
    let evaluate = |more: &[&str]| {
        let all = ["eval", "--model", "model", "--task", "./recipe.toml", "--samples", "4", "--json"];
        place.cohort(&[&all[..], more].concat())
    };
    assert!(TINY.contains("max_new_tokens = 8"));
    let (plain, cold) = (evaluate(&[]).well().json(), evaluate(&["--temperature", "0.01"]).well().json());
    assert_ne!(plain, cold);
    // Truncated to the most probable token, all samples are the greedy one; no objective need be named.
    let one = evaluate(&["--top-k", "1"]).well().json();
    assert_eq!(one["pass@1"], one["pass@4"]);
    let short = evaluate(&["--max-new-tokens", "1"]).well().json();
    assert_eq!(short["mean_length"], 1.0);
    let stopped = evaluate(&["--stop", "<think>", "--stop", "\"\n"]).well().json();
    assert!(stopped["mean_length"].as_f64() <= plain["mean_length"].as_f64());
    evaluate(&["--top-p", "0"]).failed(2, &["`rollout.top_p`", "(0, 1]"]);
    evaluate(&["--temperature", "0"]).failed(2, &["`rollout.temperature`", "above 0"]);
    evaluate(&["--limit", "0"]).failed(2, &["--limit", "0"]);
    evaluate(&["--stop", ""]).failed(2, &["`rollout.stop`"]);
}
