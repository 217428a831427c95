//! `field_f1`: which fields of a JSON value are right.

use std::collections::HashMap;

use cohort_core::Outcome;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    super::{Described, Verdict, VerifierError, View, columns, columns::Fault, pure::Pure, reading},
    fields,
};

/// F1 of the (path, value) pairs of the completion's JSON against those of the column, in 0..1; elements of a list have no order.
/// 0 where the completion holds no JSON. The part `keys` is the F1 of the paths alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct FieldF1 {
    pub column: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
}

impl Default for FieldF1 {
    fn default() -> Self {
        Self { column: "answer".into(), tag: None }
    }
}

impl Pure for FieldF1 {
    const DESCRIBED: Described = Described {
        name: "field_f1",
        summary: "F1 of the fields of the completion's JSON against the row's",
        range: "0..1",
        reads: &[
            "completion: JSON, in its last fenced block or alone",
            "the column `answer`, or the one that `column` names: JSON, or JSON as text",
        ],
        parameters: &[
            ("column", "the row's column; answer unless told"),
            ("tag", "the tag that holds the JSON; without it, the whole completion"),
        ],
        source: "RL-Struct (correctness), Fission-GRPO (argument F1)",
    };

    fn check(&self) -> Result<(), VerifierError> {
        reading::check_tag("tag", self.tag.as_deref())
    }

    fn verdict(&self, view: &View) -> Result<Verdict, Fault> {
        let gold = gold(view, &self.column)?;
        let said = reading::part(self.tag.as_deref(), view.completion).and_then(reading::json);
        let Some(said) = said else { return Ok(Outcome::scored(0.0).into()) };
        let (said, gold) = (fields::leaves(&said), fields::leaves(&gold));
        let (precision, recall, f1) = fields::f1(&said, &gold);
        let (_, _, keys) = fields::f1(&paths(&said), &paths(&gold));
        let verdict = Verdict::from(Outcome::scored(f1));
        Ok(verdict.with("precision", precision).with("recall", recall).with("keys", keys))
    }
}

fn paths(leaves: &HashMap<(String, String), usize>) -> HashMap<&str, usize> {
    let mut paths = HashMap::new();
    for ((path, _), n) in leaves {
        *paths.entry(path.as_str()).or_default() += n;
    }
    paths
}

/// The value of a column, parsed where it is JSON as text.
pub(super) fn gold(view: &View, name: &str) -> Result<Value, Fault> {
    let expected = "JSON, or JSON as text";
    match columns::value(view, name, expected)? {
        Value::String(text) => serde_json::from_str(text).map_err(|_| columns::fault(view, name, expected)),
        value => Ok(value.clone()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{
        super::super::pure::ask::{close, error, score, verdict},
        *,
    };

    #[test]
    fn fields_are_pairs_of_path_and_value() {
        let row = json!({"answer": {"name": "book", "args": {"city": "Rome", "days": 3}}});
        for (completion, expected) in [
            (r#"{"args": {"days": 3.0, "city": " Rome "}, "name": "book"}"#, 1.0),
            (r#"{"name": "book", "args": {"city": "Paris", "days": 3}}"#, 2.0 / 3.0),
            (r#"{"name": "book"}"#, 0.5),
            (r#"{"name": "book", "args": {"city": "Rome", "days": "3"}}"#, 2.0 / 3.0),
            ("{}", 0.0),
            ("[]", 0.0),
            ("not json", 0.0),
            (r#"{"name": NaN}"#, 0.0),
        ] {
            close(score(&FieldF1::default(), &row, completion), expected);
        }
        let found = verdict(&FieldF1::default(), &row, r#"{"name": "x", "args": {"city": "y", "days": 0}}"#);
        assert_eq!((found.outcome, found.parts["keys"].as_f64()), (Outcome::scored(0.0), Some(1.0)));
    }

    #[test]
    fn lists_are_bags() {
        let row = json!({"answer": "[1, 2, 2]"});
        close(score(&FieldF1::default(), &row, "[2, 1, 2]"), 1.0);
        close(score(&FieldF1::default(), &row, "[2, 2, 2, 2]"), 2.0 * 0.5 * (2.0 / 3.0) / (0.5 + 2.0 / 3.0));
        close(score(&FieldF1::default(), &json!({"answer": {}}), "{}"), 1.0);
        assert!(error(&FieldF1::default(), &json!({"answer": "{"}), "1").contains("`answer`"));
    }
}
