//! `json_schema`: whether a completion is JSON of a given form.

use std::collections::HashSet;

use cohort_core::Outcome;
use jsonschema::{PatternOptions, Validator};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    super::{
        Described, Verdict, VerifierError, View, columns,
        columns::Fault,
        fenced,
        pure::{Pure, at_least},
        reading,
    },
    field_f1, fields,
};

/// What the score is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Score {
    /// 1 where the JSON satisfies the schema, else 0.
    #[default]
    Valid,
    /// The mean of the parts by their weights.
    Weighted,
}

/// The parts, each in 0..1:
/// - `parse`: 1 where the text is JSON, else 0, and then all but `format` are 0;
/// - `schema`: 1 where the value satisfies the schema;
/// - `structure`: `max(0, required keys found / required keys - extra / (4 (found + extra)))`, extra keys being those that the
///   schema's `properties` do not name; 1 without required keys or extra ones;
/// - `format`: 1 where nothing but the JSON, or one fenced block with it, stands in the completion;
/// - `correctness`, where the row has the column `answer`: F1 of the fields, as of `field_f1`.
///
/// The score is `schema`, or the mean of the parts weighted by `parse`, `structure`, `schema`, `format`, `correctness`. A schema may not refer to
/// other documents; its patterns are regular expressions in linear time, without look-around.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct JsonSchema {
    pub score: Score,
    pub parse: f64,
    pub structure: f64,
    pub schema: f64,
    pub format: f64,
    pub correctness: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
}

impl Default for JsonSchema {
    fn default() -> Self {
        Self { score: Score::Valid, parse: 1.0, structure: 1.0, schema: 1.0, format: 0.5, correctness: 0.5, tag: None }
    }
}

impl Pure for JsonSchema {
    const DESCRIBED: Described = Described {
        name: "json_schema",
        summary: "1 where the completion's JSON satisfies the row's JSON Schema, else 0; or a weighted mean of its parts",
        range: "0..1",
        reads: &[
            "completion: JSON, in its last fenced block or alone",
            "schema: a JSON Schema (draft 4 to 2020-12), or one as text",
            "answer: the right value, where there is one, for the part `correctness`",
        ],
        parameters: &[
            ("score", "\"valid\" (default), or \"weighted\": the mean of the parts"),
            ("parse", "weight of being JSON; 1 unless told"),
            ("structure", "weight of having the required keys and no others; 1 unless told"),
            ("schema", "weight of satisfying the schema; 1 unless told"),
            ("format", "weight of standing alone or in one fenced block; 0.5 unless told"),
            ("correctness", "weight of the F1 of its fields; 0.5 unless told"),
            ("tag", "the tag that holds the JSON; without it, the whole completion"),
        ],
        source: "json-schema.org; RL-Struct (validity, structure, format, correctness; weights ours)",
    };

    fn check(&self) -> Result<(), VerifierError> {
        reading::check_tag("tag", self.tag.as_deref())?;
        for (name, weight) in self.weights() {
            at_least(name, weight, 0.0, "a weight of at least 0")?;
        }
        let sum = self.weights().iter().map(|(_, weight)| weight).sum::<f64>();
        if self.score == Score::Weighted && !(sum > 0.0 && sum.is_finite()) {
            return Err(VerifierError::BadNumber {
                parameter: "parse",
                got: self.parse,
                expected: "above 0, or another weight",
            });
        }
        Ok(())
    }

    fn verdict(&self, view: &View) -> Result<Verdict, Fault> {
        let expected = "a JSON Schema that stands alone, its patterns without look-around";
        let schema = field_f1::gold(view, "schema")?;
        let validator = compiled(&schema).ok_or_else(|| columns::fault(view, "schema", expected))?;
        let gold = view
            .column("answer")
            .map(|_| field_f1::gold(view, "answer").unwrap_or(view.item.columns["answer"].clone()));
        let text = reading::part(self.tag.as_deref(), view.completion).unwrap_or("");
        let format = if stands_alone(text) { 1.0 } else { 0.0 };
        let parsed = reading::json(text);
        let fault = parsed.as_ref().and_then(|value| validator.iter_errors(value).next());
        let (mut parts, mut why) = ([0.0, 0.0, 0.0, format, 0.0], None);
        match &parsed {
            None => why = Some("not JSON".to_owned()),
            Some(value) => {
                parts[..3].copy_from_slice(&[1.0, structure(&schema, value), if fault.is_none() { 1.0 } else { 0.0 }]);
                if let Some(gold) = &gold {
                    parts[4] = fields::f1(&fields::leaves(value), &fields::leaves(gold)).2;
                }
            }
        }
        if let Some(fault) = &fault {
            why = Some(format!("{}: {}", fault.instance_path(), fault).chars().take(200).collect());
        }
        let score = match self.score {
            Score::Valid => parts[2],
            Score::Weighted => {
                let counted = if gold.is_some() { 5 } else { 4 };
                let weights = &self.weights()[..counted];
                let sum: f64 = weights.iter().map(|(_, weight)| weight).sum();
                let mean = weights.iter().zip(parts).map(|((_, weight), part)| weight * part).sum::<f64>() / sum;
                if sum > 0.0 { mean.clamp(0.0, 1.0) } else { 0.0 }
            }
        };
        let mut verdict = Verdict::from(Outcome::scored(score));
        for ((name, _), part) in self.weights().into_iter().zip(parts).take(if gold.is_some() { 5 } else { 4 }) {
            verdict = verdict.with(name, part);
        }
        Ok(match why {
            Some(why) => verdict.with("fault", why),
            None => verdict,
        })
    }
}

impl JsonSchema {
    fn weights(&self) -> [(&'static str, f64); 5] {
        [
            ("parse", self.parse),
            ("structure", self.structure),
            ("schema", self.schema),
            ("format", self.format),
            ("correctness", self.correctness),
        ]
    }
}

/// `None` of what is no schema, or refers to other documents.
fn compiled(schema: &Value) -> Option<Validator> {
    if !matches!(schema, Value::Object(_) | Value::Bool(_)) {
        return None;
    }
    jsonschema::options().with_pattern_options(PatternOptions::regex().size_limit(1 << 20)).build(schema).ok()
}

fn stands_alone(text: &str) -> bool {
    let text = text.trim();
    match fenced::last_block(text) {
        None => !text.is_empty(),
        Some(_) => {
            let fences = text.lines().filter(|line| line.trim_start().starts_with("```")).count();
            fences == 2 && text.starts_with("```") && text.ends_with("```")
        }
    }
}

/// See [`JsonSchema`]. Keys of the top level.
fn structure(schema: &Value, value: &Value) -> f64 {
    let names = |value: Option<&Value>| -> HashSet<String> {
        match value {
            Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            Some(Value::Object(map)) => map.keys().cloned().collect(),
            _ => HashSet::new(),
        }
    };
    let (required, mut known) = (names(schema.get("required")), names(schema.get("properties")));
    if required.is_empty() && known.is_empty() {
        return 1.0;
    }
    known.extend(required.iter().cloned());
    let Value::Object(map) = value else { return 0.0 };
    let found = required.iter().filter(|key| map.contains_key(*key)).count() as f64;
    let extra = map.keys().filter(|key| !known.contains(*key)).count() as f64;
    let share = if required.is_empty() { 1.0 } else { found / required.len() as f64 };
    let hallucinated = if extra > 0.0 { extra / (4.0 * (found + extra)) } else { 0.0 };
    (share - hallucinated).max(0.0)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{
        super::super::pure::ask::{close, error, score, verdict},
        *,
    };

    fn row() -> Value {
        json!({"schema": {
            "type": "object",
            "properties": {"name": {"type": "string", "pattern": "^[a-z]+$"}, "age": {"type": "integer", "minimum": 0}},
            "required": ["name", "age"],
            "additionalProperties": false,
        }})
    }

    #[test]
    fn json_that_satisfies_the_schema_is_right() {
        for (completion, expected) in [
            (r#"{"name": "ada", "age": 36}"#, 1.0),
            ("Sure:\n```json\n{\"name\": \"ada\", \"age\": 36}\n```", 1.0),
            ("```\n{}\n```\n```\n{\"name\": \"ada\", \"age\": 36}\n```\nDone", 1.0),
            (r#"{"name": "Ada", "age": 36}"#, 0.0),
            (r#"{"name": "ada", "age": -1}"#, 0.0),
            (r#"{"name": "ada", "age": 3.5}"#, 0.0),
            (r#"{"name": "ada", "age": NaN}"#, 0.0),
            (r#"{"name": "ada"}"#, 0.0),
            (r#"{"name": "ada", "age": 36, "x": 1}"#, 0.0),
            (r#"Here: {"name": "ada", "age": 36}"#, 0.0),
            (r#"{"name": "ada", "age": 36}}"#, 0.0),
            ("null", 0.0),
            ("", 0.0),
        ] {
            assert_eq!(score(&JsonSchema::default(), &row(), completion), expected, "{completion}");
        }
        let as_text = json!({"schema": row()["schema"].to_string()});
        close(score(&JsonSchema::default(), &as_text, r#"{"name": "ada", "age": 36}"#), 1.0);
        close(score(&JsonSchema::default(), &json!({"schema": true}), "1"), 1.0);
    }

    #[test]
    fn parts_come_before_the_whole() {
        let parts = |completion: &str| {
            let mut row = row();
            row["answer"] = json!({"name": "ada", "age": 36});
            let found = verdict(&JsonSchema::default(), &row, completion).parts;
            ["parse", "structure", "schema", "format", "correctness"].map(|name| found[name].as_f64().unwrap())
        };
        assert_eq!(parts(r#"{"name": "ada", "age": 36}"#), [1.0; 5]);
        assert_eq!(parts(r#"{"name": "ada"}"#), [1.0, 0.5, 0.0, 1.0, 2.0 / 3.0]);
        assert_eq!(parts(r#"{"name": "ada", "x": 36}"#), [1.0, 0.375, 0.0, 1.0, 0.5]);
        assert_eq!(parts("so\n```\n[]\n```"), [1.0, 0.0, 0.0, 0.0, 0.0]);
        assert_eq!(parts("{"), [0.0, 0.0, 0.0, 1.0, 0.0]);
        let weighted = JsonSchema { score: Score::Weighted, ..JsonSchema::default() };
        close(score(&weighted, &row(), r#"{"name": "ada"}"#), (1.0 + 0.5 + 0.0 + 0.5) / 3.5);
        close(score(&weighted, &row(), r#"{"name": "ada", "age": 1}"#), 1.0);
        let fault = verdict(&JsonSchema::default(), &row(), r#"{"name": "ada", "age": "x"}"#).parts;
        assert!(fault["fault"].as_str().unwrap().starts_with("/age: "), "{fault:?}");
    }

    #[test]
    fn a_schema_that_is_none_is_an_error() {
        for schema in [
            json!(1),
            json!("{"),
            json!({"type": "no such type"}),
            json!({"$ref": "http://127.0.0.1:9/other.json"}),
            json!({"$ref": "file:///etc/passwd"}),
            json!({"pattern": "(?=x)"}),
        ] {
            assert!(error(&JsonSchema::default(), &json!({"schema": schema}), "1").contains("`schema`"), "{schema}");
        }
        assert!(error(&JsonSchema::default(), &json!({}), "1").contains("`schema`"));
        let none = JsonSchema {
            score: Score::Weighted,
            parse: 0.0,
            structure: 0.0,
            schema: 0.0,
            format: 0.0,
            correctness: 0.0,
            tag: None,
        };
        assert!(
            Pure::check(&none).is_err() && Pure::check(&JsonSchema { parse: -1.0, ..JsonSchema::default() }).is_err()
        );
    }

    #[test]
    fn hostile_patterns_and_values_take_linear_time() {
        let slow = json!({"schema": {"type": "string", "pattern": "^(a+)+$"}});
        close(score(&JsonSchema::default(), &slow, &format!("\"{}b\"", "a".repeat(50_000))), 0.0);
        close(score(&JsonSchema::default(), &row(), &"[".repeat(50_000)), 0.0);
    }
}
