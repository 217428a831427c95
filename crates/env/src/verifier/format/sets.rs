//! `set_match`: a set of things.

use std::collections::HashMap;

use cohort_core::Outcome;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::super::{
    Described, Verdict, VerifierError, View, columns,
    columns::Fault,
    pure::{Pure, at_least},
    reading,
};

/// What two sets are compared by: n shared elements of a said and b right ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// `n / (a + b - n)`.
    #[default]
    Jaccard,
    /// `2 n / (a + b)`.
    F1,
    /// `n / a`.
    Precision,
    /// `n / b`.
    Recall,
    /// 1 where all are shared.
    Exact,
}

/// Whether an element may be there twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Count {
    #[default]
    Once,
    Each,
}

/// A measure of two sets, in 0..1. The completion's elements are those of a JSON list, or what stands between commas, semicolons and lines. Elements are compared in lower case; two
/// numbers are the same within a relative `tolerance`, nearest in order of size. Two empty sets are the same.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SetMatch {
    pub measure: Measure,
    pub count: Count,
    pub tolerance: f64,
    pub column: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
}

impl Default for SetMatch {
    fn default() -> Self {
        Self {
            measure: Measure::default(),
            count: Count::default(),
            tolerance: 0.0,
            column: "answer".into(),
            tag: None,
        }
    }
}

impl Pure for SetMatch {
    const DESCRIBED: Described = Described {
        name: "set_match",
        summary: "Jaccard, F1, precision, recall or equality of the completion's set and the row's",
        range: "0..1",
        reads: &[
            "completion: a JSON list, or elements between commas, semicolons and lines",
            "the column `answer`, or the one that `column` names: a list",
        ],
        parameters: &[
            ("measure", "\"jaccard\" (default), \"f1\", \"precision\", \"recall\" or \"exact\""),
            ("count", "\"once\" (default): a set; \"each\": elements count as often as they are there"),
            ("tolerance", "relative error within which numbers are the same; 0 unless told"),
            ("column", "the row's column; answer unless told"),
            ("tag", "the tag that holds the set; without it, the whole completion"),
        ],
        source: "Jaccard 1912; ChartMaster (attributes, tolerance 0.05)",
    };

    fn check(&self) -> Result<(), VerifierError> {
        reading::check_tag("tag", self.tag.as_deref())?;
        at_least("tolerance", self.tolerance, 0.0, "at least 0")
    }

    fn verdict(&self, view: &View) -> Result<Verdict, Fault> {
        let gold = match view.column(&self.column) {
            Some(Value::String(text)) => elements(text),
            _ => columns::texts(view, &self.column)?,
        };
        let said = reading::part(self.tag.as_deref(), view.completion).map(elements).unwrap_or_default();
        let (said, gold) = (self.bag(said), self.bag(gold));
        let shared = self.shared(&said, &gold) as f64;
        let (a, b) = (said.len() as f64, gold.len() as f64);
        let share = |of: f64| if of > 0.0 { shared / of } else { f64::from(a + b == 0.0) };
        let score = match self.measure {
            Measure::Jaccard => share(a + b - shared),
            Measure::F1 => share((a + b) / 2.0),
            Measure::Precision => share(a),
            Measure::Recall => share(b),
            Measure::Exact => f64::from(shared == a && shared == b),
        };
        Ok(Verdict::from(Outcome::scored(score.clamp(0.0, 1.0))).with("said", said.len()).with("shared", shared))
    }
}

impl SetMatch {
    fn bag(&self, elements: Vec<String>) -> Vec<Element> {
        let mut bag: Vec<Element> = elements.iter().map(|e| Element::of(e)).filter(|e| !e.0.is_empty()).collect();
        bag.sort_by(|a, b| a.1.total_cmp(&b.1).then_with(|| a.0.cmp(&b.0)));
        if self.count == Count::Once {
            bag.dedup_by(|a, b| a.0 == b.0);
        }
        bag
    }

    /// Equal words, and numbers paired in order of size: the most pairs that the tolerance allows.
    fn shared(&self, said: &[Element], gold: &[Element]) -> usize {
        let mut words: HashMap<&str, usize> = HashMap::new();
        for Element(word, _) in gold.iter().filter(|e| e.1.is_nan()) {
            *words.entry(word).or_default() += 1;
        }
        let mut take = |word: &str| words.get_mut(word).filter(|n| **n > 0).map(|n| *n -= 1).is_some();
        let mut shared = said.iter().filter(|e| e.1.is_nan() && take(&e.0)).count();
        let numbers = |bag: &[Element]| bag.iter().map(|e| e.1).filter(|n| !n.is_nan()).collect::<Vec<_>>();
        let (said, gold) = (numbers(said), numbers(gold));
        let (mut i, mut j) = (0, 0);
        while let (Some(a), Some(b)) = (said.get(i), gold.get(j)) {
            if (a - b).abs() <= self.tolerance * b.abs() {
                (i, j, shared) = (i + 1, j + 1, shared + 1);
            } else if a < b {
                i += 1;
            } else {
                j += 1;
            }
        }
        shared
    }
}

/// A word, and its value where it is a number, else NaN.
struct Element(String, f64);

impl Element {
    fn of(text: &str) -> Self {
        let normal = reading::normal(text);
        match normal.parse::<f64>() {
            // Every spelling of a number is one element.
            Ok(n) if n.is_finite() => Self((n + 0.0).to_string(), n + 0.0),
            _ => Self(normal, f64::NAN),
        }
    }
}

fn elements(text: &str) -> Vec<String> {
    if let Some(Value::Array(list)) = reading::json(text) {
        return list.iter().map(|value| columns::word(value).unwrap_or_else(|| value.to_string())).collect();
    }
    text.split([',', ';', '\n']).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{
        super::super::pure::ask::{close, error, score},
        *,
    };

    #[test]
    fn sets_have_no_order_and_no_repeats() {
        let row = json!({"answer": ["red", "Green", "3"]});
        for (completion, expected) in [
            ("red, green, 3", 1.0),
            ("3.0; GREEN\nred", 1.0),
            (r#"["green", 3, "red", "red"]"#, 1.0),
            ("red, blue", 0.25),
            ("red", 1.0 / 3.0),
            ("", 0.0),
            ("NaN", 0.0),
        ] {
            close(score(&SetMatch::default(), &row, completion), expected);
        }
        let measure = |measure| SetMatch { measure, ..SetMatch::default() };
        close(score(&measure(Measure::F1), &row, "red, blue"), 0.4);
        close(score(&measure(Measure::Precision), &row, "red, blue"), 0.5);
        close(score(&measure(Measure::Recall), &row, "red, blue"), 1.0 / 3.0);
        close(score(&measure(Measure::Exact), &row, "red, blue"), 0.0);
        close(score(&measure(Measure::Exact), &row, "green, red, 3"), 1.0);
        close(score(&SetMatch::default(), &json!({"answer": []}), ""), 1.0);
        assert!(error(&SetMatch::default(), &json!({"answer": {}}), "x").contains("`answer`"));
    }

    #[test]
    fn bags_and_numbers() {
        let each = SetMatch { count: Count::Each, ..SetMatch::default() };
        close(score(&each, &json!({"answer": ["a", "a", "b"]}), "a, b, b"), 0.5);
        let near = SetMatch { tolerance: 0.05, ..SetMatch::default() };
        close(score(&near, &json!({"answer": [100, 200]}), "[104, 211]"), 1.0 / 3.0);
        close(score(&near, &json!({"answer": [100, 200]}), "[196, 96]"), 1.0);
    }
}
