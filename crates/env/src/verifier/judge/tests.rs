//! A judge at a port of this machine, honest and otherwise.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use cohort_core::Outcome;
use cohort_testing::{Asked as Request, Reply, StandIn};
use serde_json::{Value, json};

use super::*;
use crate::{
    Means, Verdict, View, judge, testing,
    verifier::{Configured, VerifierError},
};

/// A judge that is quickly given up.
fn term(server: &StandIn, more: Value) -> Judge {
    let mut fields =
        json!({"base_url": server.url(), "model": "m", "timeout_s": 20.0, "retries": 1, "backoff_s": 0.01});
    fields.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    serde_json::from_value(fields).unwrap()
}

fn asked_with(term: &Judge, completions: &[&str], means: &Means) -> Vec<Verdict> {
    let item = testing::item("2+2?", r#"{"answer": "4"}"#);
    let views: Vec<View> = completions.iter().map(|c| testing::view(&item, c)).collect();
    judge(&*term.build(means).unwrap(), &views)
}

fn asked(term: &Judge, completions: &[&str]) -> Vec<Verdict> {
    asked_with(term, completions, &Means::default())
}

fn chat(content: &str) -> Reply {
    let usage = json!({"prompt_tokens": 100, "completion_tokens": 10});
    Reply::Text(json!({"choices": [{"message": {"content": content}}], "usage": usage}).to_string())
}

fn body(request: &Request) -> Value {
    serde_json::from_str(&request.body).unwrap()
}

fn user(request: &Request) -> String {
    body(request)["messages"][1]["content"].as_str().unwrap().to_owned()
}

/// The fenced texts of a message, in their order.
fn fenced(message: &str) -> Vec<String> {
    let mut texts = Vec::new();
    let mut lines = message.lines();
    while let Some(line) = lines.next() {
        if let Some(mark) = line.strip_prefix("<text-") {
            let end = format!("</text-{mark}");
            texts.push(lines.by_ref().take_while(|line| *line != end).collect::<Vec<_>>().join("\n"));
        }
    }
    texts
}

fn values(verdicts: &[Verdict]) -> Vec<Option<f64>> {
    verdicts.iter().map(|v| v.outcome.value()).collect()
}

fn reason(verdict: &Verdict) -> &str {
    match &verdict.outcome {
        Outcome::Error { reason } => reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_judge_scores() {
    let server = StandIn::start(|request| {
        let texts = fenced(&user(request));
        chat(&format!("Because.\n{{\"score\": {}}}", if texts[1] == texts[2] { 9 } else { 2 }))
    });
    let verdicts =
        asked(&term(&server, json!({"range": [0.0, 10.0], "price": {"prompt": 1.0, "completion": 5.0}})), &["4", "5"]);
    assert_eq!(values(&verdicts), [Some(9.0), Some(2.0)]);
    assert_eq!((&verdicts[0].parts["prompt_tokens"], &verdicts[0].parts["cost"]), (&json!(100), &json!(150.0 / 1e6)));
    let took = verdicts[0].asked.unwrap();
    assert_eq!((took.requests, took.prompt_tokens, took.completion_tokens, took.cost), (1, 100, 10, 150.0 / 1e6));
    let request = &server.asked()[0];
    assert_eq!((request.path.as_str(), request.header("authorization")), ("/v1/chat/completions", None));
    let sent = body(request);
    assert_eq!((&sent["temperature"], &sent["model"], &sent["stream"]), (&json!(0.0), &json!("m"), &json!(false)));
}

#[test]
fn no_answer_is_no_zero() {
    for (reply, expected) in [
        (chat("I like it"), "no score that can be read"),
        (chat("{\"score\": 11}"), "gave 11, outside 0 to 1"),
        (chat("{\"score\": -0.1}"), "outside 0 to 1"),
        (chat("{\"score\": NaN}"), "no score that can be read"),
        (chat(""), "no score that can be read"),
        (Reply::Text("<html>busy</html>".into()), "is no JSON"),
        (Reply::Text("[]".into()), "is no chat completion"),
        (Reply::Text(r#"{"choices": [{"message": {"content": null}}]}"#.into()), "is no chat completion"),
        (Reply::Text(r#"{"error": "overloaded"}"#.into()), "is no chat completion"),
        (Reply::Status(500, &[], "oh".into()), "after 2 attempts"),
        (Reply::Status(404, &[], "no such model".into()), "answered 404: no such model"),
        (Reply::Status(401, &[], "who?".into()), "api_key_env"),
        (Reply::Close, "after 2 attempts"),
        (Reply::Cut("{".into()), "after 2 attempts"),
        (Reply::Endless("a".repeat(1 << 16)), "over 4194304 bytes"),
    ] {
        let shown = format!("{reply:?}").chars().take(80).collect::<String>();
        let server = StandIn::start(move |_| reply.clone());
        let verdict = asked(&term(&server, json!({})), &["4"]).remove(0);
        assert!(reason(&verdict).contains(expected), "{shown}: {}", reason(&verdict));
    }
    let server = StandIn::start(|_| Reply::Stall);
    assert_eq!(asked(&term(&server, json!({"timeout_s": 0.2})), &["4"])[0].outcome, Outcome::Timeout);
    assert_eq!(server.asked().len(), 2);
}

#[test]
fn a_busy_judge_is_asked_again_when_it_wishes() {
    for headers in [&[("retry-after", "0.01")][..], &[("retry-after", "86400")], &[]] {
        let count = AtomicUsize::new(0);
        let server = StandIn::start(move |_| match count.fetch_add(1, Ordering::SeqCst) {
            0 => Reply::Status(429, headers, String::new()),
            _ => chat("1"),
        });
        // A wish beyond the longest pause is not granted: a day would not end.
        let verdict = asked(&term(&server, json!({"longest_pause_s": 0.02})), &["4"]).remove(0);
        assert_eq!(verdict.outcome, Outcome::scored(1.0));
        assert_eq!((verdict.asked.unwrap().requests, verdict.asked.unwrap().retries), (2, 1));
    }
}

#[test]
fn what_was_said_is_kept_and_what_could_not_be_read_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let means = Means { cache: Some(folder.path().to_owned()), ..Means::default() };
    let count = Arc::new(AtomicUsize::new(0));
    let calls = count.clone();
    let server = StandIn::start(move |_| match calls.fetch_add(1, Ordering::SeqCst) {
        0 => chat("no idea"),
        _ => chat("0.75"),
    });
    let price = json!({"price": {"prompt": 10.0, "completion": 0.0}});
    let run = |more: Value| asked_with(&term(&server, more), &["4"], &means).remove(0);
    assert!(reason(&run(price.clone())).contains("no score"));
    let first = run(price.clone());
    assert_eq!((first.outcome.value(), first.asked.unwrap().cost), (Some(0.75), 1e-3));
    let second = run(price);
    assert_eq!((&second.outcome, &second.parts), (&first.outcome, &first.parts), "the same, asked or not");
    let took = second.asked.unwrap();
    assert_eq!((took.requests, took.cached, took.cost, took.prompt_tokens), (0, 1, 0.0, 0));
    assert_eq!(server.asked().len(), 2);
    // Another question is another entry; without the cache it is asked each time.
    run(json!({"temperature": 0.5}));
    run(json!({"cache": "none"}));
    assert_eq!(server.asked().len(), 4);
    // A torn entry is none.
    let entries = || walk(folder.path());
    assert_eq!(entries().len(), 2);
    for entry in entries() {
        let text = std::fs::read(&entry).unwrap();
        std::fs::write(&entry, &text[..text.len() / 2]).unwrap();
    }
    run(json!({}));
    assert_eq!(server.asked().len(), 5);
}

fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}

#[test]
fn a_key_is_sent_and_kept_nowhere() {
    let folder = tempfile::tempdir().unwrap();
    let variables: crate::verifier::Variables = Arc::new(|name| (name == "A_KEY").then(|| "sk-secret-7".to_owned()));
    let means = Means { cache: Some(folder.path().to_owned()), variables, ..Means::default() };
    // A judge that says what it was sent, in words that can be read and in words that cannot.
    let server = StandIn::start(|request| {
        let key = request.header("authorization").unwrap_or("none").to_owned();
        match user(request).contains("splendid") {
            true => chat(&format!("{key} {{\"score\": 1}}")),
            false => chat(&key),
        }
    });
    let term = term(&server, json!({"api_key_env": "A_KEY"}));
    let verdicts = asked_with(&term, &["splendid", "bad"], &means);
    assert_eq!(verdicts[0].outcome, Outcome::scored(1.0));
    assert!(reason(&verdicts[1]).contains("Bearer (key)"), "{}", reason(&verdicts[1]));
    assert_eq!(server.asked()[0].header("authorization"), Some("Bearer sk-secret-7"));
    for entry in walk(folder.path()) {
        assert!(!std::fs::read_to_string(entry).unwrap().contains("sk-secret-7"));
    }
    assert!(!format!("{verdicts:?}").contains("sk-secret-7"));
    let missing = Judge { api_key_env: Some("NOT_SET".into()), ..term };
    let error = missing.build(&means).err().unwrap();
    assert!(matches!(&error, VerifierError::Missing { what, .. } if what.contains("NOT_SET")), "{error}");
}

fn rubric(calls: &str) -> Value {
    json!({"mode": {"rubric": {"calls": calls, "criteria": [
        {"name": "right", "text": "Is it right?", "weight": 3.0},
        {"name": "brief", "text": "Is it brief?"},
    ]}}, "range": [0.0, 4.0]})
}

#[test]
fn a_rubric_is_a_weighted_mean_and_whole_or_none() {
    let server = StandIn::start(|request| {
        let asked = user(request);
        chat(match asked.contains("End with one line of JSON, a number for each") {
            true => r#"{"right": 4, "brief": 2}"#,
            false if asked.contains("Is it right?") => r#"{"score": 4}"#,
            false => r#"{"score": 2}"#,
        })
    });
    for (calls, requests, tokens) in [("each", 2, 200), ("once", 1, 100)] {
        let verdict = asked(&term(&server, rubric(calls)), &["4"]).remove(0);
        assert_eq!(verdict.outcome, Outcome::scored((3.0 * 4.0 + 2.0) / 4.0), "{calls}");
        assert_eq!((&verdict.parts["right"], &verdict.parts["brief"]), (&json!(4.0), &json!(2.0)));
        assert_eq!((verdict.asked.unwrap().requests, verdict.asked.unwrap().prompt_tokens), (requests, tokens));
    }
    let server = StandIn::start(|request| match user(request).contains("Is it right?") {
        true => chat(r#"{"right": 4, "score": 4}"#),
        false => chat("hm"),
    });
    let reasons: Vec<String> =
        ["each", "once"].map(|calls| reason(&asked(&term(&server, rubric(calls)), &["4"])[0]).to_owned()).into();
    assert!(reasons[0].starts_with("`brief`: the judge gave no score"), "{reasons:?}");
    assert!(reasons[1].contains("no score for each criterion"), "{reasons:?}");
}

#[test]
fn comparisons_give_the_share_of_wins() {
    let pairwise = json!({"mode": {"pairwise": {}}});
    // The longer one is better.
    let server = StandIn::start(|request| {
        let texts = fenced(&user(request));
        chat(&json!({"winner": if texts[1].len() > texts[2].len() { "A" } else { "B" }}).to_string())
    });
    let verdicts = asked(&term(&server, pairwise.clone()), &["a", "ccc", "bb", "a"]);
    assert_eq!(values(&verdicts), [Some(0.5 / 3.0), Some(1.0), Some(2.0 / 3.0), Some(0.5 / 3.0)]);
    assert_eq!(server.asked().len(), 10, "five pairs in both orders, and none of equals");
    let requests: u64 = verdicts.iter().map(|v| v.asked.unwrap().requests).sum();
    assert_eq!(requests, 10, "each is counted once");
    // One that always prefers the first place says nothing.
    let server = StandIn::start(|_| chat("A"));
    assert_eq!(values(&asked(&term(&server, pairwise.clone()), &["x", "y", "z"])), [Some(0.5); 3]);
    // One comparison without an answer leaves both without a verdict, and no other.
    let server = StandIn::start(|request| {
        let texts = fenced(&user(request));
        chat(if texts.contains(&"x".to_owned()) && texts.contains(&"y".to_owned()) { "?" } else { "tie" })
    });
    assert_eq!(values(&asked(&term(&server, pairwise.clone()), &["x", "y", "z"])), [None, None, Some(0.5)]);
    assert_eq!(asked(&term(&server, pairwise), &["x"])[0].outcome, Outcome::Abstain);
    let ring = json!({"mode": {"pairwise": {"opponents": 1}}});
    let server = StandIn::start(|_| chat("tie"));
    asked(&term(&server, ring), &["1", "2", "3", "4", "5"]);
    assert_eq!(server.asked().len(), 10);
}

#[test]
fn parameters_are_held() {
    let of = |more: Value| {
        let mut fields = json!({"base_url": "http://a", "model": "m"});
        fields.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        serde_json::from_value::<Judge>(fields).unwrap().check()
    };
    assert_eq!(of(json!({})), Ok(()));
    for bad in [
        json!({"base_url": "a"}),
        json!({"model": " "}),
        json!({"range": [1.0, 1.0]}),
        json!({"range": [0.0, 2.0], "mode": {"pairwise": {}}}),
        json!({"mode": {"pairwise": {"opponents": 0}}}),
        json!({"mode": {"rubric": {"criteria": []}}}),
        json!({"mode": {"rubric": {"criteria": [{"name": "a", "text": "b"}, {"name": "a", "text": "c"}]}}}),
        json!({"mode": {"rubric": {"criteria": [{"name": "a", "text": "b", "weight": 0.0}]}}}),
        json!({"read": {"regex": "("}}),
        json!({"template": "{% if"}),
        json!({"temperature": -1.0}),
        json!({"requests_per_minute": 0.0}),
        json!({"price": {"prompt": -1.0, "completion": 0.0}}),
        json!({"max_tokens": 0}),
        json!({"retries": 100}),
    ] {
        assert!(of(bad.clone()).is_err(), "{bad}");
    }
}
