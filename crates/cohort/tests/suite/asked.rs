//! Rewards that ask a program or a service, and what a run says of them.

use cohort_testing::{Reply, StandIn};
use serde_json::{Value, json};

use crate::common::{Place, TINY};

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[test]
fn a_program_scores_rows_and_groups() {
    let place = Place::new();
    let rows = [
        json!({"completion": "a", "group": 1}),
        json!({"completion": "b", "group": 1}),
        json!({"completion": "a", "group": 2}),
        json!({"completion": "a"}),
        json!({"completion": "a"}),
    ];
    place.write("rows.jsonl", &rows.iter().map(|row| format!("{row}\n")).collect::<String>());
    let script = r#"while read -r line; do case $line in
        *'"completions":["a","b"]'*) echo '{"scores":[1,0.25]}';;
        *) echo '{"scores":[{"outcome":"abstain"}]}';;
    esac; done"#;
    let command = format!("command={}", json!(["sh", "-c", script]));
    let score = |more: &[&str]| {
        let arguments = ["score", "--input", "rows.jsonl", "--reward", "command", "--param"];
        place.cohort(&[&arguments, more].concat())
    };
    let ran = score(&[&command, "--param", "scope=group"]).well();
    let scores: Vec<Value> = lines(&ran.stdout).into_iter().map(|line| line["score"].clone()).collect();
    assert_eq!(scores, [json!(1.0), json!(0.25), Value::Null, Value::Null, Value::Null]);
    score(&["command=[\"no-such-program-of-cohort\"]"]).failed(6, &["no-such-program-of-cohort", "hint:"]);
    score(&["command=[]"]).failed(2, &["`command`"]);
    let ran = score(&["command=[\"sh\", \"-c\", \"echo not today >&2\"]"]).well();
    assert!(lines(&ran.stdout).iter().all(|line| line["outcome"] == "error" && line["score"].is_null()));
    assert!(ran.stdout.contains("not today"), "{}", ran.stdout);
}

/// A run whose reward is a service: counted, timed, in a file of its own and in the report.
#[test]
fn a_run_asks_a_service_and_says_what_it_took() {
    let server = StandIn::start(|request| {
        let row: Value = serde_json::from_str(&request.body).unwrap();
        let score = row["completion"].as_str().map_or(0, |text| text.bytes().filter(u8::is_ascii_digit).count());
        Reply::Text(json!({"score": (score as f64 / 8.0).min(1.0)}).to_string())
    });
    let recipe = TINY.replace(
        "verifier.regex = { pattern = \"[0-9]\", mode = \"search\" }",
        &format!("verifier.http.url = \"{}\"\non_failure = \"abort\"", server.url()),
    );
    let place = Place::of(&recipe);
    let ran = place.train("run", &[]).well();
    assert!(
        ran.stderr.contains("reward.on_failure = \"exclude\"") && ran.stderr.contains("of `digit` it ends the run"),
        "{}",
        ran.stderr
    );
    let timings: Vec<Value> = place.lines("run/timings.jsonl").into_iter().filter(|l| l["stage"] == "rl").collect();
    assert_eq!(timings.len(), 6);
    for line in &timings {
        let term = &line["rewards"]["digit"];
        assert_eq!((&term["scored"], &term["services"]["requests"]), (&json!(16), &json!(16)), "{line}");
        assert_eq!(line["rewards"]["plus"]["scored"], 16);
    }
    let report = String::from_utf8(place.bytes("run/report.html")).unwrap();
    assert!(report.contains("Verdicts") && report.contains("96 requests"), "the report has them all");
    assert_eq!(place.json("run/summary.json")["steps"], 6);
    // The same with nobody there.
    let url = server.url().to_owned();
    drop(server);
    let gone = Place::of(&recipe.replace("on_failure", "verifier.http.retries = 0\non_failure"));
    gone.train("run", &[]).failed(6, &["`digit` gave no verdict", &url, "the offending sample is in"]);
}
