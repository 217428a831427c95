//! Real answers with verdicts of others.

use std::fs;

use serde_json::Value;

use super::{extract, same_answer};

fn rows(test: &str, name: &str) -> Option<Vec<Value>> {
    let path = cohort_testing::shared_data(test, name)?;
    let text = fs::read_to_string(path).unwrap();
    Some(text.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

fn text<'a>(row: &'a Value, key: &str) -> &'a str {
    row[key].as_str().unwrap()
}

#[test]
fn the_cases_of_math_verify() {
    let Some(rows) = rows("the_cases_of_math_verify", "math_equivalence.jsonl") else { return };
    let mut wrong = Vec::new();
    for (index, row) in rows.iter().enumerate() {
        let expected = row["expected"] == 1;
        let (gold, pred) = (text(row, "gold"), text(row, "pred"));
        if same_answer(gold, pred, row["precision"].as_u64().unwrap() as u32) != expected {
            wrong.push((index, expected, extract(gold), extract(pred)));
        }
    }
    assert!(wrong.iter().all(|(_, expected, ..)| *expected), "{wrong:#?}");
    assert!(wrong.len() * 20 <= rows.len(), "{} of {} wrong: {wrong:#?}", wrong.len(), rows.len());
}

#[test]
fn the_outputs_of_models_on_gsm8k() {
    let Some(rows) = rows("the_outputs_of_models_on_gsm8k", "gsm8k/model_solutions.jsonl") else { return };
    for row in &rows {
        let (gold, solution) = (text(row, "ground_truth"), text(row, "solution"));
        let bare = gold.rsplit_once("A: ").unwrap().1;
        for gold in [gold, bare] {
            assert_eq!(same_answer(gold, solution, 6), row["is_correct"] == true, "{gold}\n---\n{solution}");
        }
    }
}
