use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use cohort_testing::{Asked as Request, Reply, StandIn};
use serde_json::{Value, json};

use super::*;
use crate::{judge, testing};

/// A term that asks `server`, quickly given up.
fn term(server: &StandIn, more: Value) -> Http {
    let mut fields = json!({"url": server.url(), "timeout_s": 20.0, "retries": 1, "backoff_s": 0.01});
    fields.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    serde_json::from_value(fields).unwrap()
}

fn asked(term: &Http, completions: &[&str]) -> Vec<Verdict> {
    let item = testing::item("2+2?", r#"{"answer": "4"}"#);
    let views: Vec<View> = completions.iter().map(|c| testing::view(&item, c)).collect();
    let means =
        Means { variables: Arc::new(|name| (name == "A_KEY").then(|| "secret-7".to_owned())), ..Means::default() };
    judge(&*term.build(&means).unwrap(), &views)
}

fn question(request: &Request) -> Value {
    serde_json::from_str(&request.body).unwrap()
}

fn reason(verdict: &Verdict) -> &str {
    match &verdict.outcome {
        Outcome::Error { reason } => reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_service_scores_samples_and_groups() {
    let server = StandIn::start(|request| {
        let question = question(request);
        let score = |completion: &Value| json!(f64::from(*completion == question["answer"]));
        Reply::Text(match question.get("completions").and_then(Value::as_array) {
            Some(all) => json!({"scores": all.iter().map(score).collect::<Vec<_>>()}).to_string(),
            None => json!({"score": score(&question["completion"])}).to_string(),
        })
    });
    for scope in ["sample", "group"] {
        let values: Vec<_> = asked(&term(&server, json!({"scope": scope})), &["4", "5", "4"])
            .iter()
            .map(|v| v.outcome.value())
            .collect();
        assert_eq!(values, [Some(1.0), Some(0.0), Some(1.0)], "{scope}");
    }
    let requests = server.asked();
    assert_eq!(requests.len(), 3 + 1);
    assert!(requests.iter().all(|r| r.method == "POST" && r.header("content-type") == Some("application/json")));
    assert_eq!(question(&requests[3])["prompt"], "2+2?");
}

#[test]
fn what_is_no_answer_is_no_zero() {
    for (reply, expected) in [
        (Reply::Text("<html>".into()), "no JSON"),
        (Reply::Text(r#"{"score": NaN}"#.into()), "no JSON"),
        (Reply::Text("{}".into()), "neither `score` nor `outcome`"),
        (Reply::Text(r#"{"score": 7}"#.into()), "outside its range 0..=1"),
        (Reply::Text(r#"{"score": "1"}"#.into()), "must be a number"),
        (Reply::Status(404, &[], "not here".into()), "answered 404: not here"),
        (Reply::Status(302, &[("location", "http://127.0.0.1:1/")], String::new()), "redirects are not followed"),
        (Reply::Status(500, &[], "oh".into()), "after 2 attempts"),
        (Reply::Close, "after 2 attempts"),
        (Reply::Cut(r#"{"score": 1}"#.into()), "after 2 attempts"),
        (Reply::Endless("a".repeat(1 << 16)), "over 4194304 bytes"),
    ] {
        let shown = format!("{reply:?}").chars().take(60).collect::<String>();
        let server = StandIn::start(move |_| reply.clone());
        let verdicts = asked(&term(&server, json!({})), &["4"]);
        assert!(reason(&verdicts[0]).contains(expected), "{shown}: {}", reason(&verdicts[0]));
    }
    let server = StandIn::start(|_| Reply::Stall);
    let verdict = asked(&term(&server, json!({"timeout_s": 0.2})), &["4"]).remove(0);
    assert_eq!(verdict.outcome, Outcome::Timeout);
    assert_eq!((verdict.asked.unwrap().requests, verdict.asked.unwrap().retries), (2, 1));
    let url = server.url().to_owned();
    drop(server);
    let nobody = Http { url, ..serde_json::from_value(json!({"url": "http://x", "retries": 0})).unwrap() };
    assert!(matches!(asked(&nobody, &["4"])[0].outcome, Outcome::Error { .. }));
}

#[test]
fn what_may_pass_is_asked_again() {
    for reply in [
        Reply::Status(429, &[("retry-after", "0")], String::new()),
        Reply::Status(429, &[], String::new()),
        Reply::Status(503, &[("retry-after", "soon")], String::new()),
        Reply::Close,
    ] {
        let count = AtomicUsize::new(0);
        let server = StandIn::start(move |_| match count.fetch_add(1, Ordering::SeqCst) {
            0 | 1 => reply.clone(),
            _ => Reply::Text(r#"{"score": 1}"#.into()),
        });
        let verdict = asked(&term(&server, json!({"retries": 2})), &["4"]).remove(0);
        assert_eq!(verdict.outcome, Outcome::scored(1.0));
        assert_eq!(verdict.asked.unwrap().requests, 3);
    }
    let server = StandIn::start(|_| Reply::Status(400, &[], "what?".into()));
    asked(&term(&server, json!({"retries": 5})), &["4"]);
    assert_eq!(server.asked().len(), 1, "the same question is wrong again");
}

#[test]
fn a_key_is_sent_and_never_shown() {
    let server = StandIn::start(|request| {
        let key = request.header("authorization").unwrap_or("none").to_owned();
        Reply::Status(401, &[], format!("wrong key: {key}"))
    });
    let verdict = asked(&term(&server, json!({"api_key_env": "A_KEY"})), &["4"]).remove(0);
    assert_eq!(server.asked()[0].header("authorization"), Some("Bearer secret-7"));
    assert!(reason(&verdict).contains("wrong key: Bearer (key)"), "{}", reason(&verdict));
    let unkeyed = term(&server, json!({"api_key_env": "NO_SUCH"}));
    let error = unkeyed.build(&Means::default()).err().unwrap();
    assert!(matches!(&error, VerifierError::Missing { what, .. } if what.contains("NO_SUCH")), "{error}");
}

#[test]
fn parameters_are_held() {
    for bad in [
        json!({"url": "x"}),
        json!({"url": "http://x", "retries": 21}),
        json!({"url": "http://x", "concurrency": 0}),
        json!({"url": "http://x", "backoff_s": 0.0}),
        json!({"url": "http://x", "timeout_s": 1e9}),
    ] {
        assert!(serde_json::from_value::<Http>(bad.clone()).unwrap().check().is_err(), "{bad}");
    }
}
