//! Every term that needs nothing from outside gives a verdict on any completion and any row.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{DESCRIBED, Means, Verifier, VerifierConfig, judge_one};
use crate::testing;

fn terms() -> Vec<Box<dyn Verifier>> {
    let pure = |name: &&str| PURE.contains(name);
    let names: Vec<&str> = DESCRIBED.iter().map(|d| d.name).filter(pure).collect();
    assert_eq!(names.len(), PURE.len(), "every name is a term");
    let build = |name: &str| {
        let config: VerifierConfig = serde_json::from_value(json!({ name: {} })).unwrap();
        config.build(&Means::default()).unwrap()
    };
    names.into_iter().map(build).collect()
}

/// Terms without files and programs, whose parameters all have a default.
const PURE: &[&str] = &[
    "answer",
    "ndcg",
    "recall_at_k",
    "mrr",
    "score_divergence",
    "catalogue",
    "rank_gains",
    "json_schema",
    "field_f1",
    "tags",
    "multiple_choice",
    "categorical",
    "abstention",
    "numeric",
    "set_match",
    "coverage",
    "metadata",
    "length",
    "edit_similarity",
    "difflib_ratio",
    "wer",
    "cer",
    "rouge",
    "bleu",
    "ngram_jaccard",
    "repetition",
    "redundancy",
    "iou",
    "matched_boxes",
    "matched_points",
    "temporal_iou",
    "path_fidelity",
    "weighted_actions",
    "ssim",
    "edge_similarity",
    "foreground_similarity",
    "pitch_accuracy",
    "log_spectral",
];

/// Columns that terms read.
const COLUMNS: &[&str] = &[
    "answer",
    "relevance",
    "scores",
    "catalogue",
    "seen",
    "schema",
    "task",
    "answerable",
    "items",
    "metadata",
    "boxes",
    "points",
    "interval",
    "path",
    "actions",
    "image",
    "pitch",
    "spectrum",
];

fn value() -> impl Strategy<Value = Value> {
    let number = prop_oneof![
        (-3i64..6).prop_map(Value::from),
        any::<f64>().prop_map(|n| json!(n)),
        Just(json!(1e308)),
        Just(json!(u64::MAX)),
    ];
    let text = prop_oneof!["[a-c0-3 ,.<>/\"{}\\[\\]\n-]{0,12}", any::<String>(), Just("object".to_owned())];
    let leaf = prop_oneof![Just(Value::Null), any::<bool>().prop_map(Value::from), number, text.prop_map(Value::from)];
    leaf.prop_recursive(3, 24, 5, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            proptest::collection::vec(("(a|b|type|required|[0-3])", inner), 0..4)
                .prop_map(|fields| Value::Object(fields.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

fn completion() -> impl Strategy<Value = String> {
    prop_oneof![
        value().prop_map(|value| value.to_string()),
        value().prop_map(|value| format!("so\n```json\n{value}\n```")),
        "(<think>|</think>|<answer>|</answer>|[A-D]|[0-9.,%-]|NaN|inf|1e999|```|\n| |é|\u{0}|[\\[\\]{}\":]){0,40}",
        any::<String>(),
        proptest::collection::vec(any::<u8>(), 0..60).prop_map(|bytes| String::from_utf8_lossy(&bytes).into_owned()),
    ]
}

/// A verdict, with a score in range, or an error that names what is wrong; never a panic.
fn is_held(term: &dyn Verifier, row: &Value, completion: &str) -> Result<(), TestCaseError> {
    let item = testing::item("p", &row.to_string());
    let verdict = judge_one(term, &testing::view(&item, completion));
    if let cohort_core::Outcome::Error { reason } = &verdict.outcome {
        prop_assert!(!reason.contains("panicked") && !reason.contains("outside its range"), "{}", reason);
        prop_assert!(reason.contains("rows.jsonl:1"), "`{}`: {}", term.name(), reason);
    }
    Ok(())
}

#[test]
fn any_completion_and_any_row_get_a_verdict() {
    let terms = terms();
    let rows = proptest::collection::vec((proptest::sample::select(COLUMNS), value()), 0..8);
    let cases = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1500) };
    let mut runner = proptest::test_runner::TestRunner::new(cases);
    let held = runner.run(&(rows, completion()), |(row, completion)| {
        let row = Value::Object(row.into_iter().map(|(name, value)| (name.to_owned(), value)).collect());
        terms.iter().try_for_each(|term| is_held(&**term, &row, &completion))
    });
    held.unwrap();
}

#[test]
fn huge_completions_get_a_verdict() {
    let row: Map<String, Value> =
        COLUMNS.iter().map(|name| ((*name).to_owned(), json!("a b c ".repeat(500)))).collect();
    let row = Value::Object(row);
    for completion in ["a ".repeat(50_000), "[".repeat(100_000), "<answer>".repeat(12_000), "1,".repeat(50_000)] {
        for term in terms() {
            is_held(&*term, &row, &completion).unwrap();
        }
    }
}
