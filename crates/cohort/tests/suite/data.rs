//! Rows that cannot be used are named with file and line, or counted and left out where the recipe says so.

use crate::common::{Place, TINY, model};

const GOOD: &str = "{\"prompt\":\"12+34=\",\"answer\":\"46\"}";

/// A place whose recipe reads `rows.jsonl`.
fn place(rows: &[&str]) -> Place {
    let place = Place::of(&TINY.replace("[task.arithmetic]\nheld_out = 16\ndev = 16", "[data]\npath = \"rows.jsonl\""));
    place.write("rows.jsonl", &(rows.join("\n") + "\n"));
    place
}

/// A bad third row ends the run with these words, and is skipped where it may be.
fn bad(row: &str, kind: &str, parts: &[&str]) {
    let place = place(&[GOOD, "", row, GOOD, GOOD]);
    let ran = place.train("run", &[]).failed(3, parts);
    assert!(ran.stderr.contains("rows.jsonl:3: "), "{}", ran.stderr);
    assert!(!place.path("run").exists(), "nothing is made");

    let ran = place.train("run", &["--set", "data.on_bad_row=skip", "--set", "train.steps=2"]).well();
    let said = format!("1 row skipped: 1 {kind} (first: rows.jsonl:3: ");
    assert!(ran.stderr.contains(&said), "no {said} in {}", ran.stderr);
    assert!(ran.stderr.contains("warning"), "{}", ran.stderr);
    assert_eq!(place.json("run/summary.json")["steps"], 2);
    let origins: Vec<String> = place.lines("run/rollouts.jsonl").iter().map(|l| l["origin"].to_string()).collect();
    assert!(!origins.is_empty() && !origins.iter().any(|origin| origin.contains(":3\"")), "{origins:?}");
}

#[test]
fn not_json() {
    bad("{\"prompt\": \"1+1=\",", "not_json", &["is not JSON", "at column 18", "one JSON object a line"]);
    bad("[\"1+1=\"]", "not_an_object", &["is a list, and must be a JSON object"]);
}

#[test]
fn a_missing_field() {
    bad("{\"question\":\"1+1=\"}", "missing_field", &["lacks `prompt`", "`data.prompt` reads", "it has `question`"]);
    bad("{\"prompt\":12}", "wrong_type", &["the field `prompt`", "is a number, and must be a string"]);
}

#[test]
fn an_empty_prompt() {
    bad("{\"prompt\":\"  \",\"answer\":\"1\"}", "empty", &["`data.prompt` gives an empty text"]);
}

#[test]
fn a_prompt_too_long_for_the_model() {
    let row = format!("{{\"prompt\":\"{}=\",\"answer\":\"1\"}}", "1+".repeat(40));
    let parts = ["the prompt has 81 tokens, and 56 at most are allowed", "positions less `rollout.max_new_tokens`"];
    bad(&row, "prompt_too_long", &parts);
}

#[test]
fn nothing_that_can_be_used() {
    let skip = ["--set", "data.on_bad_row=skip"];
    place(&["{}", "x"]).train("run", &skip).failed(3, &["rows.jsonl", "no usable row", "1 missing_field", "1 not_json"]);
    place(&[""]).train("run", &[]).failed(3, &["rows.jsonl", "no usable row"]);
    let all = ["--set", "data.dev=2"];
    place(&[GOOD, GOOD]).train("run", &all).failed(2, &["data.dev", "2 of 2 rows", "at least one must be left"]);
    let absent = ["--set", "data.path=nowhere.jsonl"];
    place(&[GOOD]).train("run", &absent).failed(3, &["`data.path`", "nowhere.jsonl", "No such file"]);
    let mut command = place(&[GOOD]).train_command("run", &["--set", "data.path=data:rows.jsonl"]);
    let ran = crate::common::Ran::of(command.env_remove("COHORT_DATA").output().expect("it runs"));
    ran.failed(2, &["data.path", "COHORT_DATA"]);
}

#[test]
fn bad_templates_are_the_recipes_fault() {
    let prompt = ["--set", "data.prompt=\"{{ question\""];
    place(&[GOOD]).train("run", &prompt).failed(2, &["`data.prompt` is not a template"]);
    let unknown = ["--set", "data.prompt=\"{{ question }}\""];
    place(&[GOOD]).train("run", &unknown).failed(3, &["rows.jsonl:1", "data.prompt", "question"]);
}

#[test]
fn rows_for_log_probabilities() {
    let place = Place::new();
    model::arithmetic(&place.path("model"));
    let good = "{\"prompt_ids\":[8,9],\"completion_ids\":[7,1]}";
    let refused = |row: &str, parts: &[&str]| {
        place.write("rows.jsonl", &format!("{good}\n\n{row}\n{good}\n"));
        let ran = place.cohort(&["logprobs", "--model", "model", "--input", "rows.jsonl"]).failed(3, parts);
        assert!(ran.stderr.contains("rows.jsonl:3: "), "{}", ran.stderr);
        assert_eq!(ran.stdout.lines().count(), 1, "the row before is answered: {}", ran.stdout);
    };
    refused("{\"prompt_ids\":[8,64],\"completion_ids\":[7]}", &["token id 64 is outside the vocabulary of 64"]);
    refused("{\"prompt_ids\":[8],\"completion_ids\":[7,-1]}", &["-1", "u32"]);
    refused("{\"prompt_ids\":[8]}", &["missing field `completion_ids`"]);
    refused("{\"prompt_ids\":[],\"completion_ids\":[7]}", &["an empty context"]);
    refused("prompt", &["one JSON object"]);
    let long = format!("{{\"prompt_ids\":{:?},\"completion_ids\":[7]}}", vec![8; 64]);
    refused(&long, &["64 positions"]);
    place.cohort(&["logprobs", "--model", "model", "--input", "nowhere.jsonl"]).failed(3, &["nowhere.jsonl"]);
}

#[test]
fn rows_for_samples() {
    let place = Place::new();
    model::arithmetic(&place.path("model"));
    let refused = |row: &str, parts: &[&str]| {
        place.write("rows.jsonl", &format!("{{\"prompt\":\"1+1=\"}}\n{row}\n"));
        let ran = place.cohort(&["sample", "--model", "model", "--input", "rows.jsonl", "--json"]).failed(3, parts);
        assert!(ran.stderr.contains("rows.jsonl:2: "), "{}", ran.stderr);
    };
    refused("{}", &["expected `prompt` or `prompt_ids`"]);
    refused("{\"prompt_ids\":[99]}", &["token id 99 is outside the vocabulary of 64"]);
    refused("{\"prompt\":\"\"}", &["an empty context"]);
    refused("{\"prompt\":7}", &["expected a string"]);
    refused("{\"prompt\":", &["one JSON object"]);
    let both = ["sample", "--model", "model", "--prompt", "1", "--input", "rows.jsonl"];
    place.cohort(&both).failed(2, &["--prompt", "--input"]);
    place.cohort(&["sample", "--model", "model", "--prompt", "1", "--temperature", "0"]).failed(2, &["--greedy"]);
}
