use std::time::{Duration, Instant};

use cohort_testing::program;
use serde_json::json;

use super::*;
use crate::{Item, judge, judge_one, testing};

fn config(command: &[&str]) -> Command {
    let command: Vec<String> = command.iter().map(|c| (*c).to_owned()).collect();
    serde_json::from_value(json!({"command": command, "timeout_s": 20.0})).unwrap()
}

/// A term that runs `script` in the shell.
fn shell(script: &str) -> Command {
    config(&["sh", "-c", script])
}

fn item() -> Item {
    testing::item("2+2?", r#"{"answer": "4"}"#)
}

fn one(term: &Command) -> Verdict {
    judge_one(&*term.build(&Means::default()).unwrap(), &testing::view(&item(), "4"))
}

fn many(verifier: &dyn Verifier, completions: &[&str]) -> Vec<Verdict> {
    let item = item();
    let views: Vec<View> = completions.iter().map(|c| testing::view(&item, c)).collect();
    judge(verifier, &views)
}

fn reason(verdict: &Verdict) -> &str {
    match &verdict.outcome {
        Outcome::Error { reason } => reason,
        other => panic!("{other:?}"),
    }
}

/// Answers every line with the id that it came with, by shell alone.
const ECHO: &str =
    r#"while read -r line; do id=${line#*\"id\":}; id=${id%%[,\}]*}; echo "{\"id\":$id,\"score\":0.25}"; done"#;

#[test]
fn a_program_in_the_shell_scores() {
    assert_eq!(one(&shell(ECHO)).outcome, Outcome::scored(0.25));
    let verdict = one(&shell(r#"while read -r line; do echo "{\"score\": null}"; done"#));
    assert_eq!(verdict.outcome, Outcome::Abstain);
    assert_eq!(verdict.asked.unwrap().requests, 1);
}

#[test]
fn the_examples_in_python_score() {
    let Some(python) = program("the_examples_in_python_score", "python3") else { return };
    let example = |name: &str| format!("{}/../../examples/{name}", env!("CARGO_MANIFEST_DIR"));
    let item = item();
    let views: Vec<View> = ["it is 4", "5", "so: 4", ""].iter().map(|c| testing::view(&item, c)).collect();
    let scores = |command: Command| -> Vec<Option<f64>> {
        let verifier = command.build(&Means::default()).unwrap();
        judge(&*verifier, &views).iter().map(|v| v.outcome.value()).collect()
    };
    let sample = scores(config(&[&python, &example("my_reward.py")]));
    assert_eq!(sample, [Some(1.0), Some(0.0), Some(1.0), Some(0.0)]);
    let group = Command { scope: Scope::Group, ..config(&[&python, &example("my_group_reward.py")]) };
    // The shortest right answer is best.
    assert_eq!(scores(group), [Some(0.5), Some(0.0), Some(1.0), Some(0.0)]);
}

#[test]
fn programs_stay_and_share_the_work() {
    // Each says how many it has answered, so a program a question would always say 1.
    let script = r#"n=0; while read -r line; do n=$((n+1)); echo "{\"score\": $n}"; done"#;
    let term = Command { range: [0.0, 100.0], workers: 1, ..shell(script) };
    let verifier = term.build(&Means::default()).unwrap();
    let mut scores: Vec<f64> = many(&*verifier, &["x"; 20]).iter().map(|v| v.outcome.value().unwrap()).collect();
    scores.sort_by(f64::total_cmp);
    assert!(scores.into_iter().eq((1..=20).map(f64::from)));
    assert_eq!(Command { workers: 3, in_hand: 4, ..shell(ECHO) }.build(&Means::default()).unwrap().at_once(), 12);
}

#[test]
fn answers_are_matched_by_their_ids() {
    // Two questions are answered in the wrong order.
    let script = r#"while read -r a && read -r b; do
        for line in "$b" "$a"; do
            id=${line#*\"id\":}; id=${id%%[,\}]*}
            case $line in *'"completion":"good"'*) s=1;; *) s=0;; esac
            echo "{\"id\":$id,\"score\":$s}"
        done
    done"#;
    let term = Command { workers: 1, in_hand: 2, ..shell(script) };
    let verifier = term.build(&Means::default()).unwrap();
    for completions in [["good", "bad"], ["bad", "good"]] {
        let scores: Vec<_> = many(&*verifier, &completions).iter().map(|v| v.outcome.value()).collect();
        assert_eq!(scores, completions.map(|c| Some(f64::from(c == "good"))));
    }
}

#[test]
fn a_program_that_dies_is_an_error_with_its_last_words_and_is_replaced() {
    let script = r#"read -r line; echo "{\"score\": 1}"; read -r line; echo "no luck today" >&2; exit 3"#;
    let term = Command { workers: 1, ..shell(script) };
    let verifier = term.build(&Means::default()).unwrap();
    let verdicts: Vec<Verdict> = (0..4).flat_map(|_| many(&*verifier, &["x"])).collect();
    assert_eq!(verdicts[0].outcome, Outcome::scored(1.0));
    assert_eq!(reason(&verdicts[1]), "the program ended (exit status 3); stderr: no luck today");
    assert_eq!(verdicts[1].parts["stderr"], "no luck today");
    assert_eq!(verdicts[2].outcome, Outcome::scored(1.0), "another one answers");
    assert!(reason(&one(&shell("read -r line; kill -9 $$"))).contains("SIGKILL"));
}

#[test]
fn a_program_that_answers_once_and_ends_is_started_anew() {
    let term = Command { workers: 1, ..shell(r#"read -r line; echo "{\"score\": 1}""#) };
    let verdicts = many(&*term.build(&Means::default()).unwrap(), &["x"; 12]);
    assert!(verdicts.iter().all(|v| v.outcome == Outcome::scored(1.0)), "{verdicts:?}");
}

#[test]
fn a_program_that_stalls_is_killed_with_all_that_it_started() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pid").display().to_string();
    // The first question starts a sleeper and is not answered; later programs answer.
    let script = format!(
        r#"if [ -e {path} ]; then {ECHO}; fi; sleep 1000 & echo $! > {path}.new; mv {path}.new {path}; echo busy >&2; wait"#
    );
    let term = Command { workers: 1, timeout_s: 1.0, ..shell(&script) };
    let verifier = term.build(&Means::default()).unwrap();
    let begun = Instant::now();
    let verdict = many(&*verifier, &["x"]).remove(0);
    assert_eq!(verdict.outcome, Outcome::Timeout);
    assert_eq!(verdict.parts["stderr"], "busy");
    assert!(verdict.parts["reason"].as_str().unwrap().contains("within 1 s"));
    assert!(begun.elapsed() >= Duration::from_secs(1));
    let pid = std::fs::read_to_string(&path).unwrap();
    // The sleeper is gone, or a zombie until its new parent looks.
    while let Ok(status) = std::fs::read_to_string(format!("/proc/{}/status", pid.trim())) {
        if status.contains("State:\tZ") || status.contains("State:\tX") {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "the sleeper lives");
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(many(&*verifier, &["x"])[0].outcome, Outcome::scored(0.25), "another one answers");
}

#[test]
fn a_slow_start_has_time_of_its_own() {
    let script = format!("sleep 0.5; {ECHO}");
    let impatient = Command { timeout_s: 0.1, workers: 1, ..shell(&script) };
    assert_eq!(one(&impatient).outcome, Outcome::Timeout);
    assert_eq!(one(&Command { start_s: 20.0, ..impatient }).outcome, Outcome::scored(0.25));
}

#[test]
fn what_is_no_answer_ends_the_program() {
    for (script, expected) in [
        (r#"read -r line; echo "loading the model""#, "no JSON: \"loading the model\" (stdout is for one answer"),
        ("read -r line; echo 0.5", "no JSON object"),
        (r#"read -r line; echo "{\"score\": NaN}""#, "no JSON"),
        (r#"read -r line; echo "{\"id\": 77, \"score\": 1}""#, "it answered what was not asked"),
        (r#"read -r line; echo "{\"id\": \"1\", \"score\": 1}""#, "it answered what was not asked"),
        ("read -r line; yes aaaaaaaaaaaaaaaaaaaaaaaa | tr -d '\\n'", "over 4194304 bytes"),
        ("read -r line; exec >&-; sleep 1000", "closed its stdout"),
        ("exit 0", "the program ended (exit status 0)"),
        (r#"read -r line; printf '{"score": 1'"#, "no JSON"),
    ] {
        let verdict = one(&shell(script));
        assert!(reason(&verdict).contains(expected), "{script}: {}", reason(&verdict));
    }
    // An answer that says nothing is an error of its own; the program goes on.
    let script = r#"read -r line; echo "{}"; read -r line; echo "{\"score\": 1}"; read -r line"#;
    let verifier = Command { workers: 1, ..shell(script) }.build(&Means::default()).unwrap();
    assert!(reason(&many(&*verifier, &["x"])[0]).contains("neither `score` nor `outcome`"));
    assert_eq!(many(&*verifier, &["x"])[0].outcome, Outcome::scored(1.0));
    // So is a score out of range.
    assert!(
        reason(&one(&shell(r#"while read -r line; do echo "{\"score\": 2}"; done"#))).contains("outside its range")
    );
}

#[test]
fn what_was_in_hand_of_a_program_that_dies_is_an_error() {
    let script = "read -r a; read -r b; read -r c; exit 1";
    let term = Command { workers: 1, in_hand: 3, ..shell(script) };
    let verdicts = many(&*term.build(&Means::default()).unwrap(), &["1", "2", "3"]);
    assert!(verdicts.iter().all(|v| reason(v) == "the program ended (exit status 1)"), "{verdicts:?}");
}

#[test]
fn floods_are_harmless() {
    // On stderr: read and forgotten, but for the end.
    let script = format!("head -c 3000000 /dev/zero | tr '\\0' x >&2; echo end >&2; {ECHO}");
    assert_eq!(one(&shell(&script)).outcome, Outcome::scored(0.25));
    // One answer too many.
    let script = r#"read -r line; while :; do echo "{\"score\": 1}"; done"#;
    assert_eq!(one(&shell(script)).outcome, Outcome::scored(1.0));
    // Questions that nobody reads do not block who asks.
    let long = "x".repeat(1 << 20);
    let term = Command { timeout_s: 0.2, ..shell("sleep 1000") };
    let verdicts = many(&*term.build(&Means::default()).unwrap(), &[&long, &long]);
    assert!(verdicts.iter().all(|v| v.outcome == Outcome::Timeout));
}

#[test]
fn a_program_that_is_not_there_is_missing() {
    let error = config(&["no-such-program-of-cohort"]).build(&Means::default()).err().unwrap();
    assert!(matches!(error, VerifierError::Missing { .. }), "{error}");
    for bad in [
        json!({"command": []}),
        json!({"command": ["x"], "workers": 0}),
        json!({"command": ["x"], "timeout_s": 0.0}),
        json!({"command": ["x"], "start_s": -1.0}),
        json!({"command": ["x"], "range": [1.0, 0.0]}),
    ] {
        assert!(serde_json::from_value::<Command>(bad.clone()).unwrap().check().is_err(), "{bad}");
    }
}
