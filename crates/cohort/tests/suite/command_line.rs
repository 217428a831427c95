//! What scripts depend on: documents on stdout, names of keys, the order of rows.

use std::fs;

use serde_json::{Value, json};

use crate::common::{Place, Ran, model};

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().map_or(Vec::new(), |object| object.keys().map(String::as_str).collect())
}

#[test]
fn every_command_explains_itself_with_an_example() {
    let place = Place::new();
    let help = place.cohort(&["--help"]).well().stdout;
    let (_, after) = help.split_once("Commands:").expect("commands");
    let (commands, _) = after.split_once("Options:").expect("options");
    let listed = commands.lines().filter_map(|line| line.strip_prefix("  ")?.split_whitespace().next());
    let names: Vec<&str> =
        listed.filter(|name| *name != "help" && commands.contains(&format!("\n  {name} "))).collect();
    assert!(["train", "eval", "sample", "logprobs"].iter().all(|name| names.contains(name)), "{names:?}");
    for name in names {
        let help = place.cohort(&[name, "--help"]).well().stdout;
        assert!(help.contains("Example"), "{name}: {help}");
        assert!(help.contains(&format!("\n  cohort {name} ")) || help.contains(&format!("| cohort {name} ")), "{help}");
    }
    assert!(help.contains("Exit status"), "{help}");
}

#[test]
fn a_run_directory_has_what_the_contract_names() {
    let place = Place::cold();
    let ran = place.train("run", &["--json"]).well();
    let summary = place.json("run/summary.json");
    assert_eq!(ran.json(), summary, "stdout is the summary and nothing else");
    for key in ["status", "steps", "seed", "eval", "seconds", "tokens", "peak_rss_bytes", "logp_gap_max"] {
        assert!(keys(&summary).contains(&key), "{key}: {summary}");
    }
    assert_eq!((&summary["status"], &summary["steps"], &summary["seed"]), (&json!("complete"), &json!(6), &json!(0)));
    for when in ["before", "after"] {
        let eval = &summary["eval"][when];
        assert_eq!(eval["n"], 4, "prompts");
        for key in ["greedy", "pass@1", "pass@2"] {
            let (value, interval) = (eval[key].as_f64().expect(key), &eval["interval"][key]);
            assert!(interval[0].as_f64() <= Some(value) && Some(value) <= interval[1].as_f64(), "{eval}");
        }
    }
    for key in ["total", "cold_start", "sample", "reward", "score", "train", "save", "eval"] {
        assert!(summary["seconds"][key].is_f64(), "{key}: {summary}");
    }
    assert!(summary["seconds"]["cold_start"].as_f64() > Some(0.0), "{summary}");
    let rollouts = place.lines("run/rollouts.jsonl");
    let sum = |key: &str| rollouts.iter().filter_map(|line| line["cost"][key].as_u64()).sum::<u64>();
    assert_eq!(summary["tokens"], json!({ "prompt": sum("context_tokens"), "completion": sum("sampled_actions") }));
    assert!(summary["peak_rss_bytes"].is_u64(), "{summary}");
    assert!(summary["memory_plan"]["total"].as_u64() > summary["memory_plan"]["weights"].as_u64(), "{summary}");
    assert!(summary["peak_anonymous_bytes"].as_u64() < summary["peak_rss_bytes"].as_u64(), "{summary}");

    let manifest = place.json("run/manifest.json");
    assert_eq!((&manifest["state"], &manifest["step"]), (&json!("complete"), &json!(6)));
    let steps: Vec<u64> = place.lines("run/metrics.jsonl").iter().filter_map(|line| line["step"].as_u64()).collect();
    assert_eq!(steps, [1, 2, 3, 3, 4, 5, 6, 6], "a line a step, and one an evaluation");
    let last = fs::canonicalize(place.path("run/checkpoints/last")).expect("it resolves");
    assert!(last.ends_with("run/checkpoints/step-000006"), "{}", last.display());
    let files = ["config.json", "model.safetensors", "tokenizer.json", "optimizer.safetensors", "checksums.json"];
    assert!(files.iter().all(|name| last.join(name).is_file()));
    assert!(place.path("run/report.html").is_file());
}

#[test]
fn the_default_directory_is_named_after_recipe_and_seed() {
    let place = Place::new();
    let short = ["train", "recipe.toml", "--seed", "3", "--set", "train.steps=1"];
    place.cohort(&short).well();
    place.cohort(&short).well();
    assert!(
        place.path("runs/tiny-seed3/summary.json").is_file() && place.path("runs/tiny-seed3-2/summary.json").is_file()
    );
}

#[test]
fn an_evaluation_as_a_document() {
    let place = Place::new();
    place.train("run", &["--set", "train.steps=2"]).well();
    let last = place.of_run("run", "checkpoints/last");
    let evaluate = |more: &[&str]| {
        let all: Vec<&str> =
            ["eval", "--model", &last, "--task", "./recipe.toml"].iter().chain(more).copied().collect();
        place.cohort(&all)
    };
    let document = evaluate(&["--json"]).well().json();
    for key in ["n", "greedy", "pass@1", "pass@2", "interval"] {
        assert!(keys(&document).contains(&key), "{document}");
    }
    assert_eq!(document["n"], 4, "the recipe's limit");
    assert_eq!(document["greedy"], place.json("run/summary.json")["eval"]["after"]["greedy"]);
    assert_eq!(document, evaluate(&["--json"]).well().json(), "asked twice, it says the same");
    let greedy = evaluate(&["--json", "--greedy", "--split", "dev", "--limit", "7"]).well().json();
    assert_eq!((&greedy["n"], keys(&greedy).contains(&"pass@1")), (&json!(7), false));
    let sampled = evaluate(&["--json", "--samples", "4"]).well().json();
    assert!(keys(&sampled).contains(&"pass@4") && !keys(&sampled).contains(&"greedy"), "{sampled}");
    evaluate(&["--samples", "0"]).failed(2, &["--samples", "0"]);
    evaluate(&["--split", "validation"]).failed(2, &["--split", "validation", "dev"]);
    evaluate(&["--set", "task.arithmetic.held_out=0"]).failed(3, &["no test split", "data.test"]);
}

#[test]
fn log_probabilities_in_the_order_of_the_rows() {
    let place = Place::new();
    model::arithmetic(&place.path("model"));
    let rows = [
        json!({ "prompt_ids": [8, 17, 9, 21], "completion_ids": [3, 10, 4] }),
        json!({ "prompt_ids": [8], "completion_ids": [] }),
        json!({ "prompt_ids": [8], "completion_ids": [1, 0] }),
        json!({ "id": "x", "completion_ids": [3, 10], "logp": 7, "prompt_ids": [8, 17, 9, 21] }),
    ];
    let text: String = rows.iter().map(|row| format!("{row}\n\n")).collect();
    place.write("rows.jsonl", &text);
    let answer = |more: &[&str]| {
        let all: Vec<&str> =
            ["logprobs", "--model", "model", "--input", "rows.jsonl"].iter().chain(more).copied().collect();
        let ran = place.cohort(&all).well();
        ran.stdout.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON")).collect::<Vec<_>>()
    };
    let lines = answer(&[]);
    assert_eq!(lines, answer(&["--json"]));
    let lengths = |key: &str| lines.iter().map(|line| line[key].as_array().map_or(0, Vec::len)).collect::<Vec<_>>();
    assert_eq!((lengths("logp"), lengths("entropy")), (vec![3, 0, 2, 2], vec![3, 0, 2, 2]));
    assert_eq!(lines[0]["logp"].as_array().expect("numbers")[..2], lines[3]["logp"].as_array().expect("numbers")[..]);
    assert!(lines.iter().all(|line| keys(line) == ["logp", "entropy"]));

    let mut piped = place.command(&["logprobs", "--model", "model"]);
    piped.stdin(fs::File::open(place.path("rows.jsonl")).expect("a file"));
    let piped = Ran::of(piped.output().expect("it runs")).well();
    assert_eq!(
        piped.stdout.lines().map(|l| serde_json::from_str::<Value>(l).expect("JSON")).collect::<Vec<_>>(),
        lines
    );
}

#[test]
fn samples_of_a_model_carry_the_log_probabilities_of_their_ids() {
    let place = Place::new();
    model::arithmetic(&place.path("model"));
    place.write("rows.jsonl", "{\"prompt\":\"1+1=\"}\n{\"prompt_ids\":[8,17,8,21]}\n");
    let more = ["sample", "--model", "model", "--input", "rows.jsonl", "--json", "-n", "3", "--max-new-tokens", "5"];
    let ran = place.cohort(&more).well();
    let lines: Vec<Value> = ran.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0]["prompt"], "1+1=");
    assert_ne!(lines[0]["completions"], lines[1]["completions"], "each row has its own draws");
    let completions = lines[0]["completions"].as_array().expect("a list");
    assert_eq!(completions.len(), 3);
    let rows: String = completions
        .iter()
        .map(|c| format!("{}\n", json!({ "prompt_ids": [8, 17, 8, 21], "completion_ids": c["ids"] })))
        .collect();
    place.write("scored.jsonl", &rows);
    let scored = place.cohort(&["logprobs", "--model", "model", "--input", "scored.jsonl"]).well();
    for (line, completion) in scored.stdout.lines().zip(completions) {
        let line: Value = serde_json::from_str(line).expect("JSON");
        assert_eq!(line["logp"], completion["logp"]);
    }
    let text = place.cohort(&["sample", "--model", "model", "--prompt", "1+1=", "-n", "2", "--greedy"]).well();
    let said: Vec<&str> = text.stdout.lines().collect();
    assert!(said.len() == 2 && said[0] == said[1], "{said:?}");
}

#[test]
fn a_term_scores_rows_without_training() {
    let place = Place::new();
    let rows = [
        json!({ "completion": "so 7", "answer": "7" }),
        json!({ "completion": "so 8", "answer": 7 }),
        json!({ "completion": "so 7" }),
    ];
    let text: String = rows.iter().map(|row| format!("{row}\n\n")).collect();
    place.write("rows.jsonl", &text);
    let score = |arguments: &[&str]| place.cohort(&[&["score", "--input", "rows.jsonl"], arguments].concat());
    for workers in ["1", "3"] {
        let ran = score(&["--reward", "answer", "--param", "compare=number", "--workers", workers]).well();
        let lines: Vec<Value> = ran.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        assert_eq!(lines[0], json!({ "score": 1.0, "outcome": "scored", "parts": {} }));
        assert_eq!(lines[1], json!({ "score": 0.0, "outcome": "scored", "parts": {} }));
        assert_eq!((&lines[2]["score"], &lines[2]["outcome"]), (&Value::Null, &json!("error")));
        let reason = lines[2]["parts"]["reason"].as_str().expect("a reason");
        assert!(reason.contains("rows.jsonl:5") && reason.contains("`answer`"), "{reason}");
    }
    for (arguments, parts) in [
        (&["--reward", "anwser"][..], &["anwser", "cohort rewards"][..]),
        (&["--reward", "answer", "--param", "compare=about"], &["--param", "about", "number"]),
        (&["--reward", "answer", "--param", "compare"], &["--param", "KEY=VALUE"]),
        (&["--reward", "answer", "--param", "tag=a", "--param", "after=b"], &["`tag`", "`after`"]),
    ] {
        score(arguments).failed(2, parts);
    }
    place.write("rows.jsonl", "{\"answer\": \"7\"}\n");
    score(&["--reward", "answer"]).failed(3, &["rows.jsonl:1", "`completion`"]);
}
