//! `embedding` on tiny random encoders, whose numbers sentence-transformers confirms (`crates/encoder/tests`).

use std::{path::Path, sync::LazyLock};

use cohort_core::{Context, Outcome, StopReason};
use cohort_env::{
    Item, Means, Origin, Verdict, Verifier, VerifierError, View, judge, judge_one,
    verifier::{Configured, embedding::Embedding},
};
use proptest::prelude::*;
use serde_json::{Value, json};

fn item(row: &Value) -> Item {
    Item {
        prompt: "p".into(),
        context: Context::of_tokens([]),
        columns: row.as_object().unwrap().clone(),
        solution: None,
        origin: Origin::File { path: Path::new("rows.jsonl").into(), line: 1 },
    }
}

fn view<'a>(item: &'a Item, completion: &'a str) -> View<'a> {
    View { item, completion, tokens: &[], stop: StopReason::Complete, turns: 1, payloads: &[], step: 0 }
}

fn verdict(term: &Embedding, row: &Value, completion: &str) -> Verdict {
    judge_one(&*term.build(&Means::default()).unwrap(), &view(&item(row), completion))
}

fn score(term: &Embedding, row: &Value, completion: &str) -> f64 {
    verdict(term, row, completion).outcome.value().unwrap()
}

fn error(term: &Embedding, row: &Value, completion: &str) -> String {
    match verdict(term, row, completion).outcome {
        Outcome::Error { reason } => reason,
        other => panic!("{completion:?}: {other:?}"),
    }
}

#[track_caller]
fn close(got: f64, expected: f64) {
    assert!((got - expected).abs() < 1e-9, "got {got}, expected {expected}");
}

/// A tiny random encoder, whose numbers sentence-transformers confirms in its own crate's tests.
fn tiny(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../encoder/tests/golden").join(name);
    folder.to_str().unwrap().to_owned()
}

fn config(more: Value) -> Embedding {
    let mut all = json!({"model": tiny("bert")});
    all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    serde_json::from_value(all).unwrap()
}

fn refused(config: &Embedding) -> VerifierError {
    config.build(&Means::default()).err().unwrap()
}

const CAT: &str = "the cat sat on the mat";
const DOG: &str = "A dog slept by the DOOR.";

fn golden() -> Vec<f64> {
    let text = std::fs::read_to_string(Path::new(&tiny("bert")).join("golden.json")).unwrap();
    let golden: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&golden["texts"][0]["text"], &golden["texts"][1]["text"]), (&json!(CAT), &json!(DOG)));
    golden["cosines"].as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
}

#[test]
fn the_score_is_the_cosine_of_sentence_transformers() {
    let cosine = golden()[1];
    let near = |got: f64, expected: f64| assert!((got - expected).abs() < 1e-5, "{got} for {expected}");
    let row = json!({"answer": DOG});
    let clipped = verdict(&config(json!({})), &row, CAT);
    near(clipped.outcome.value().unwrap(), cosine);
    near(clipped.parts["cosine"].as_f64().unwrap(), cosine);
    assert_eq!((&clipped.parts["tokens"], clipped.parts.get("cut")), (&json!(9), None));
    near(score(&config(json!({"mapping": "affine"})), &row, CAT), (1.0 + cosine) / 2.0);
    close(score(&config(json!({"threshold": cosine - 1e-3})), &row, CAT), 1.0);
    close(score(&config(json!({"threshold": cosine + 1e-3})), &row, CAT), 0.0);
}

#[test]
fn the_nearest_of_several_counts() {
    let row = json!({"gold": ["", DOG, CAT, "42"]});
    let verdict = verdict(&config(json!({"against": "gold"})), &row, &format!("  {CAT}\n"));
    assert!(verdict.outcome.value().unwrap() > 1.0 - 1e-6);
    assert_eq!(verdict.parts["nearest"], 2);
    close(score(&config(json!({"tag": "answer"})), &json!({"answer": CAT}), CAT), 0.0);
    let tagged = format!("hm <answer> {CAT} </answer>");
    assert!(score(&config(json!({"tag": "answer"})), &json!({"answer": CAT}), &tagged) > 1.0 - 1e-6);
}

/// A prefix is a part of the text that is encoded, before both sides unless told.
#[test]
fn prefixes_stand_before_the_texts() {
    let row = json!({"answer": DOG});
    let plain = |said: &str, gold: &str| score(&config(json!({})), &json!({"answer": gold}), said);
    let both = score(&config(json!({"prefix": "a query about "})), &row, CAT);
    let (said, gold) = (format!("a query about {CAT}"), format!("a query about {DOG}"));
    close(both, plain(&said, &gold));
    let apart = score(&config(json!({"prefix": "a query about ", "against_prefix": "passage: "})), &row, CAT);
    close(apart, plain(&said, &format!("passage: {DOG}")));
    assert!((both - apart).abs() > 1e-6 && (both - plain(CAT, DOG)).abs() > 1e-6);
}

/// To the bit, whoever else is in the group, and whether references were kept from before.
#[test]
fn a_group_is_scored_as_each_alone() {
    let rows = [json!({"answer": DOG}), json!({"answer": [CAT, DOG]}), json!({"answer": []}), json!({})];
    let items: Vec<_> = rows.iter().map(item).collect();
    let long = "where is the nearest station? ".repeat(20);
    let said = [CAT, DOG, "", "42", &long, CAT];
    let views: Vec<_> = items.iter().flat_map(|item| said.map(|said| view(item, said))).collect();
    let term = config(json!({})).build(&Means::default()).unwrap();
    let together = judge(&*term, &views);
    let again = judge(&*term, &views);
    let alone: Vec<_> =
        views.iter().map(|view| judge_one(&*config(json!({})).build(&Means::default()).unwrap(), view)).collect();
    assert_eq!(together, alone);
    assert_eq!(together, again);
    assert!(together[..12].iter().all(|v| v.outcome.value().is_some()) && together[4].parts["cut"] == true);
    assert!(together[12..].iter().all(|v| v.outcome.is_failure()));
}

#[test]
fn a_row_without_a_reference_is_an_error() {
    let none = error(&config(json!({})), &json!({}), CAT);
    assert!(none.contains("no column `answer`") && none.contains("rows.jsonl:1"), "{none}");
    let empty = error(&config(json!({})), &json!({"answer": []}), CAT);
    assert!(empty.contains("empty list") && empty.contains("rows.jsonl:1"), "{empty}");
    assert!(error(&config(json!({})), &json!({"answer": {"a": 1}}), CAT).contains("a list of texts"));
}

#[test]
fn what_cannot_be_an_encoder_is_refused() {
    let at = |model: &str| config(json!({"model": model}));
    for (config, parts) in [
        (at("no/such/folder"), ["no/such/folder", "hint: `model`"]),
        (at(&tiny("bert/1_Pooling")), ["config.json", "model_type"]),
        (at("hf:org/name"), ["hf:org/name", "no Hub"]),
        (at("data:encoder"), ["data:encoder", "COHORT_DATA"]),
        (at(""), ["`model`", "empty"]),
        (config(json!({"threshold": 1.5})), ["threshold", "from -1 to 1"]),
        (config(json!({"threshold": null, "tag": "a b"})), ["tag", "brackets"]),
    ] {
        let error = refused(&config).to_string();
        assert!(parts.iter().all(|part| error.contains(part)), "{error}");
    }
    let unknown = serde_json::from_value::<Embedding>(json!({"model": "m", "pooling": "cls"}));
    assert!(unknown.unwrap_err().to_string().contains("pooling"));
    assert!(serde_json::from_value::<Embedding>(json!({})).unwrap_err().to_string().contains("model"));
}

/// A name of the Hub goes to whoever knows it.
#[test]
fn the_hub_is_asked_by_name() {
    let folder = tiny("distilbert");
    let hub = move |parameter: &'static str, name: &str| {
        assert_eq!((parameter, name), ("model", "hf:org/name@v1"));
        Ok(folder.clone().into())
    };
    let means = Means { hub: std::sync::Arc::new(hub), ..Means::default() };
    let term = config(json!({"model": "hf:org/name@v1"})).build(&means).unwrap();
    let item = item(&json!({"answer": CAT}));
    assert!(judge_one(&*term, &view(&item, CAT)).outcome.value().unwrap() > 1.0 - 1e-6);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn any_completion_and_any_reference_get_a_verdict(said in any::<String>(), gold in any::<String>(), bytes in any::<Vec<u8>>()) {
        static TERM: LazyLock<Box<dyn Verifier>> = LazyLock::new(|| config(json!({})).build(&Means::default()).unwrap());
        let item = item(&json!({"answer": [gold, String::from_utf8_lossy(&bytes)]}));
        let outcome = judge_one(&**TERM, &view(&item, &said)).outcome;
        prop_assert!(matches!(outcome, Outcome::Scored { .. }), "{:?}", outcome);
    }
}
