use proptest::prelude::*;

use super::*;
use crate::{judge_one, task::arithmetic, testing};

fn tag() -> Answer {
    Answer { tag: Some("answer".into()), ..Answer::default() }
}

fn after() -> Answer {
    Answer { after: Some("####".into()), compare: Compare::Number, ..Answer::default() }
}

fn last() -> Answer {
    Answer { compare: Compare::Number, ..Answer::default() }
}

fn outcome(config: &Answer, row: &str, completion: &str) -> Outcome {
    let item = testing::item("p", row);
    judge_one(&config.verifier().unwrap(), &testing::view(&item, completion)).outcome
}

fn score(config: &Answer, gold: &str, completion: &str) -> f64 {
    let row = serde_json::json!({ "answer": gold }).to_string();
    outcome(config, &row, completion).value().unwrap_or_else(|| panic!("{gold} {completion}"))
}

#[test]
fn the_first_tag_holds_the_answer() {
    let solution = arithmetic::solution(47, 85);
    for (completion, expected) in [
        (solution.as_str(), 1.0),
        ("<answer> 132\n</answer>", 1.0),
        ("<answer><answer>132</answer>", 1.0),
        ("<answer>131</answer><answer>132</answer>", 0.0),
        ("<answer>0132</answer>", 0.0),
        ("<answer>132", 0.0),
        ("132", 0.0),
        ("", 0.0),
        ("<Answer>132</Answer>", 0.0),
    ] {
        assert_eq!(score(&tag(), "132", completion), expected, "{completion}");
    }
}

#[test]
fn a_tag_may_be_compared_as_a_number() {
    let config = Answer { compare: Compare::Number, ..tag() };
    assert_eq!(score(&config, "1234.5", "<answer>$1,234.50 in all</answer>"), 1.0);
    assert_eq!(score(&config, "72", "<answer>72 or 73</answer>"), 0.0);
}

#[test]
fn the_last_mark_precedes_the_answer() {
    for (completion, expected) in [
        ("48+24 = 72\n#### 72", 1.0),
        ("#### 71\nNo: #### 72.", 1.0),
        ("#### 72\nQuestion: 5 and 6", 1.0),
        ("####\n\n $72.00 clips", 1.0),
        ("#### 71", 0.0),
        ("72", 0.0),
        ("####", 0.0),
        ("#### 72 or 73", 0.0),
        ("#### 72/1", 0.0),
    ] {
        assert_eq!(score(&after(), "72", completion), expected, "{completion}");
    }
    let exact = Answer { compare: Compare::Exact, ..after() };
    assert_eq!(score(&exact, "Paris", "I think\n#### Paris \nSo it is."), 1.0);
    assert_eq!(score(&exact, "Paris", "#### paris"), 0.0);
}

#[test]
fn the_last_number_is_the_answer_without_a_mark() {
    assert_eq!(score(&last(), "-2", "5 - 7 makes -2."), 1.0);
    assert_eq!(score(&last(), "2", "5 - 7 makes -2."), 0.0);
    assert_eq!(score(&last(), "1,234", "so 1234"), 1.0);
    assert_eq!(score(&last(), "7", "seven"), 0.0);
    let exact = Answer::default();
    assert_eq!(score(&exact, "1234", "so 1,234.0"), 1.0);
}

#[test]
fn gold_may_be_a_json_number() {
    for (row, completion) in [
        (r#"{"answer": 72}"#, "#### 72"),
        (r#"{"answer": -0.5}"#, "#### -.50"),
        (r#"{"answer": 3.0}"#, "#### 3"),
        (r#"{"answer": 18446744073709551615}"#, "#### 18,446,744,073,709,551,615"),
    ] {
        assert_eq!(outcome(&after(), row, completion).value(), Some(1.0), "{row}");
    }
}

#[test]
fn a_broken_problem_is_an_error_and_no_zero() {
    for (row, part) in [
        ("{}", "no column `answer`"),
        (r#"{"answer": null}"#, "is null"),
        (r#"{"answer": "  "}"#, "must be a text or a number"),
        (r#"{"answer": ["72"]}"#, "must be a text or a number"),
        (r#"{"answer": "about 72"}"#, "needs a number"),
        (r#"{"answer": 123456789012345678901234567890}"#, "write it as text"),
    ] {
        match outcome(&after(), row, "#### 72") {
            Outcome::Error { reason } => {
                assert!(reason.contains(part) && reason.contains("rows.jsonl:1"), "{reason}");
            }
            other => panic!("{row}: {other:?}"),
        }
    }
    let other = Answer { column: "target".into(), ..after() };
    assert!(
        matches!(outcome(&other, r#"{"answer": "1"}"#, "1"), Outcome::Error { reason } if reason.contains("`target`"))
    );
}

#[test]
fn parameters_that_make_no_sense_are_refused() {
    let refused = |config: Answer| config.verifier().err().unwrap().to_string();
    assert!(refused(Answer { after: Some("####".into()), ..tag() }).contains("`tag` and `after`"));
    for bad in ["", "<answer>", "a b", "/x"] {
        let error = refused(Answer { tag: Some(bad.into()), ..Answer::default() });
        assert!(error.contains("`tag`") && error.contains(&format!("{bad:?}")), "{error}");
    }
    assert!(refused(Answer { after: Some(" ".into()), ..Answer::default() }).contains("`after`"));
}

#[test]
fn every_worked_answer_of_gsm8k_is_right_by_its_own_number() {
    let Some(path) =
        cohort_testing::shared_data("every_worked_answer_of_gsm8k_is_right_by_its_own_number", "gsm8k/train.jsonl")
    else {
        return;
    };
    let verifier = Answer { column: "gold".into(), ..after() }.verifier().unwrap();
    let mut rows = 0;
    for line in std::fs::read_to_string(path).unwrap().lines() {
        let row: Value = serde_json::from_str(line).unwrap();
        let worked = row["answer"].as_str().unwrap();
        let (reasoning, gold) = worked.split_once("####").unwrap();
        let item = testing::item("p", &serde_json::json!({ "gold": gold }).to_string());
        let judged = |completion: &str| judge_one(&verifier, &testing::view(&item, completion)).outcome.value();
        assert_eq!(judged(worked), Some(1.0), "{worked}");
        assert_eq!(judged(&format!("{worked}1")), Some(0.0), "{worked}");
        assert_eq!(judged(reasoning), Some(0.0), "{worked}");
        rows += 1;
    }
    assert_eq!(rows, 7473);
}

proptest! {
    #[test]
    fn every_completion_is_scored(bytes in proptest::collection::vec(any::<u8>(), 0..200), marks in "(####|<answer>|</answer>|[0-9,.$]|[a-z\n ]){0,40}") {
        for completion in [String::from_utf8_lossy(&bytes).into_owned(), marks] {
            for config in [tag(), after(), last(), Answer::default()] {
                let value = outcome(&config, r#"{"answer": "7"}"#, &completion).value();
                prop_assert!(value == Some(0.0) || value == Some(1.0), "{:?}", value);
            }
        }
    }

    #[test]
    fn every_gold_is_a_verdict_or_an_error(gold in any::<String>()) {
        let row = serde_json::json!({ "answer": gold }).to_string();
        let completion = format!("<answer>{gold}</answer>");
        let exact = outcome(&tag(), &row, &completion);
        prop_assert_eq!(exact.is_failure(), gold.trim().is_empty());
        if !gold.contains(['<', '>']) && !exact.is_failure() {
            prop_assert_eq!(exact.value(), Some(1.0));
        }
        for config in [after(), last()] {
            prop_assert_eq!(outcome(&config, &row, &completion).is_failure(), Number::parse(&gold).is_none());
        }
    }
}
