//! The protocol that `command` speaks in lines and `http` in bodies: JSON objects both ways.
//!
//! A question is every column of the row with, in their place where they share a name, `id`, `completion` (or `completions`),
//! `prompt`, `step` and `run_dir`; `payloads` where the policy chose points. A column that gave way is below `columns`.
//! An answer is `{"score": x}` or `{"outcome": "abstain" | "timeout" | "error", "reason": ".."}`, or for a group
//! `{"scores": [..]}` of numbers, nulls and such objects. `parts` beside it are kept for people.

use cohort_core::Outcome;
use serde_json::{Map, Value, json};

use super::Scope;
use crate::verifier::{Verdict, View};

/// A question about `views`, of one group: for [`Scope::Sample`] about the first of them.
pub(in crate::verifier) fn question(
    id: u64,
    scope: Scope,
    views: &[View],
    run_dir: Option<&std::path::Path>,
) -> Map<String, Value> {
    let Some(view) = views.first() else { return Map::new() };
    let mut fields = view.item.columns.clone();
    let mut hidden = Map::new();
    let mut put = |name: &str, value: Value| {
        let before = fields.insert(name.to_owned(), value);
        if let Some(before) = before.filter(|before| fields.get(name) != Some(before)) {
            hidden.insert(name.to_owned(), before);
        }
    };
    put("id", json!(id));
    // A row that is scored by itself may have a prompt that is no text.
    if !view.item.prompt.is_empty() || view.column("prompt").is_none() {
        put("prompt", json!(view.item.prompt));
    }
    match scope {
        Scope::Sample => put("completion", json!(view.completion)),
        Scope::Group => put("completions", views.iter().map(|v| v.completion).collect()),
    }
    put("step", json!(view.step));
    put("run_dir", json!(run_dir));
    if views.iter().any(|v| !v.payloads.is_empty()) {
        match scope {
            Scope::Sample => put("payloads", json!(view.payloads)),
            Scope::Group => put("payloads", views.iter().map(|v| json!(v.payloads)).collect()),
        }
    }
    if scope == Scope::Group {
        fields.remove("completion");
    }
    if !hidden.is_empty() {
        fields.insert("columns".to_owned(), Value::Object(hidden));
    }
    fields
}

/// What an answer says of `count` completions; one that says nothing that can be read is an error on each.
pub(in crate::verifier) fn verdicts(scope: Scope, answer: &Value, count: usize) -> Vec<Verdict> {
    match scope {
        Scope::Sample => vec![verdict(answer)],
        Scope::Group => match answer.get("scores") {
            Some(Value::Array(scores)) if scores.len() == count => scores.iter().map(of_group).collect(),
            Some(Value::Array(scores)) => {
                let reason = format!("the answer has {} scores for {count} completions", scores.len());
                vec![Outcome::error(reason).into(); count]
            }
            // What befell the whole group: {"outcome": "abstain"}.
            None if answer.get("outcome").is_some() => vec![verdict(answer); count],
            _ => vec![Outcome::error(format!("the answer has no list `scores`: {}", shown(answer))).into(); count],
        },
    }
}

fn of_group(score: &Value) -> Verdict {
    match score {
        Value::Object(_) => verdict(score),
        other => outcome_of(other).into(),
    }
}

fn verdict(answer: &Value) -> Verdict {
    let reason = || answer.get("reason").map(|r| r.as_str().map_or_else(|| r.to_string(), str::to_owned));
    let outcome = match (answer.get("outcome").map(|o| o.as_str()), answer.get("score")) {
        (None | Some(Some("scored")), Some(score)) => outcome_of(score),
        (Some(Some("abstain")), _) => Outcome::Abstain,
        (Some(Some("timeout")), _) => Outcome::Timeout,
        (Some(Some("error")), _) => Outcome::error(reason().unwrap_or_else(|| "no reason given".to_owned())),
        (None, None) => Outcome::error(format!("the answer has neither `score` nor `outcome`: {}", shown(answer))),
        (Some(_), _) => {
            let expected = "scored with a `score`, abstain, timeout or error";
            Outcome::error(format!("the answer's `outcome` must be {expected}: {}", shown(answer)))
        }
    };
    let mut verdict = Verdict::from(outcome);
    if let Some(Value::Object(parts)) = answer.get("parts") {
        verdict.parts = parts.clone();
    }
    if let (Outcome::Abstain | Outcome::Timeout, Some(reason)) = (&verdict.outcome, reason()) {
        verdict = verdict.with("reason", reason);
    }
    verdict
}

/// A number; a truth value is 1 or 0, and null abstains.
fn outcome_of(score: &Value) -> Outcome {
    match score {
        Value::Number(number) => match number.as_f64() {
            Some(value) => Outcome::scored(value),
            None => Outcome::error(format!("the score is {number}, and must be a finite number")),
        },
        Value::Bool(truth) => Outcome::pass_if(*truth),
        Value::Null => Outcome::Abstain,
        other => Outcome::error(format!("the score is {}, and must be a number", shown(other))),
    }
}

/// The beginning of an answer, for a message.
pub(in crate::verifier) fn shown(value: &Value) -> String {
    excerpt(&value.to_string(), 200)
}

/// At most `most` characters from the beginning of a text.
pub(in crate::verifier) fn excerpt(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}..", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn a_question_has_the_columns_beside_what_is_asked() {
        let item = testing::item("p", r#"{"answer": "7", "id": "row-9", "prompt": "p", "completion": "old"}"#);
        let views = [testing::view(&item, "a"), testing::view(&item, "b")];
        let one = Value::Object(question(3, Scope::Sample, &views[..1], None));
        let expected = json!({"answer": "7", "id": 3, "prompt": "p", "completion": "a", "step": 0, "run_dir": null,
            "columns": {"id": "row-9", "completion": "old"}});
        assert_eq!(one, expected);
        let run = std::path::Path::new("runs/x");
        let group = Value::Object(question(4, Scope::Group, &views, Some(run)));
        let expected = json!({"answer": "7", "id": 4, "prompt": "p", "completions": ["a", "b"], "step": 0,
            "run_dir": "runs/x", "columns": {"id": "row-9"}});
        assert_eq!(group, expected);
    }

    #[test]
    fn an_answer_says_one_of_four_things() {
        let of = |text: &str| verdicts(Scope::Sample, &serde_json::from_str(text).unwrap(), 1).remove(0);
        assert_eq!(of(r#"{"id": 1, "score": 0.5}"#).outcome, Outcome::scored(0.5));
        assert_eq!(of(r#"{"score": true}"#).outcome, Outcome::scored(1.0));
        assert_eq!(of(r#"{"score": null}"#).outcome, Outcome::Abstain);
        assert_eq!(of(r#"{"outcome": "scored", "score": -1}"#).outcome, Outcome::scored(-1.0));
        let abstains = of(r#"{"outcome": "abstain", "reason": "no gold", "score": 1}"#);
        assert_eq!((abstains.outcome, &abstains.parts["reason"]), (Outcome::Abstain, &json!("no gold")));
        assert_eq!(of(r#"{"outcome": "timeout"}"#).outcome, Outcome::Timeout);
        assert_eq!(of(r#"{"outcome": "error", "reason": "broken"}"#).outcome, Outcome::error("broken"));
        assert_eq!(of(r#"{"score": 1, "parts": {"a": 2}}"#).parts["a"], 2);
        for text in [
            "{}",
            "[1]",
            "0.5",
            r#"{"score": "high"}"#,
            r#"{"outcome": "scored"}"#,
            r#"{"outcome": "fine"}"#,
            r#"{"outcome": 1}"#,
            r#"{"score": [1]}"#,
        ] {
            assert!(matches!(of(text).outcome, Outcome::Error { .. }), "{text}");
        }
    }

    #[test]
    fn a_group_is_answered_in_its_order() {
        let of = |text: &str| verdicts(Scope::Group, &serde_json::from_str(text).unwrap(), 3);
        let outcomes = |text: &str| of(text).into_iter().map(|v| v.outcome).collect::<Vec<_>>();
        let said = outcomes(r#"{"scores": [1, null, {"outcome": "error", "reason": "x"}]}"#);
        assert_eq!(said, [Outcome::scored(1.0), Outcome::Abstain, Outcome::error("x")]);
        assert_eq!(outcomes(r#"{"outcome": "abstain"}"#), vec![Outcome::Abstain; 3]);
        for text in [r#"{"scores": [1]}"#, r#"{"scores": 1}"#, r#"{"score": 1}"#] {
            assert!(outcomes(text).iter().all(|o| matches!(o, Outcome::Error { .. })), "{text}");
        }
    }

    const CORPUS: &[&str] = &[
        r#"{"id": 1, "score": 0.5, "parts": {"a": 1}}"#,
        r#"{"outcome": "abstain", "reason": "no gold"}"#,
        r#"{"scores": [1, null, {"outcome": "error", "reason": "x"}], "outcome": "scored"}"#,
        r#"{"outcome": "timeout", "score": -1e3, "id": null}"#,
    ];
    const MARKS: &[&str] = &[
        "{",
        "}",
        "[",
        "]",
        "\"",
        ",",
        ":",
        "null",
        "true",
        "1e308",
        "9e999",
        "NaN",
        "\"score\"",
        "\"outcome\"",
        "\n",
    ];

    proptest::proptest! {
        #![proptest_config(proptest::test_runner::Config::with_cases(cohort_testing::cases()))]

        /// Any answer is a verdict a completion; a score stands in it as a finite number or a truth value.
        #[test]
        fn any_answer_is_read(number in proptest::num::u64::ANY) {
            let bytes = cohort_testing::mutated(CORPUS, MARKS, number);
            let Ok(answer) = serde_json::from_slice::<Value>(&bytes) else { return Ok(()) };
            for (scope, count) in [(Scope::Sample, 1), (Scope::Group, 3)] {
                let all = verdicts(scope, &answer, count);
                proptest::prop_assert_eq!(all.len(), count);
                for verdict in all {
                    if let Some(score) = verdict.outcome.value() {
                        proptest::prop_assert!(score.is_finite());
                        proptest::prop_assert!(answer.get("score").is_some() || answer.get("scores").is_some());
                    }
                }
            }
        }
    }
}
