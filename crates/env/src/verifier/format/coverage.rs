//! `coverage` and `metadata`: what of a list, or of a table of categories, a text mentions.

use cohort_core::Outcome;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::super::{
    Described, Verdict, VerifierError, View, columns, columns::Fault, pure::Pure, reading, words::words,
};

/// The share of the column's items that the completion mentions: as a run of whole words in lower case, whatever stands between; in 0..1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Coverage {
    pub column: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
}

impl Default for Coverage {
    fn default() -> Self {
        Self { column: "items".into(), tag: None }
    }
}

impl Pure for Coverage {
    const DESCRIBED: Described = Described {
        name: "coverage",
        summary: "share of the row's items that the completion mentions",
        range: "0..1",
        reads: &["completion", "the column `items`, or the one that `column` names: a list of texts"],
        parameters: &[
            ("column", "the row's column; items unless told"),
            ("tag", "the tag that is looked at; without it, the whole completion"),
        ],
        source: "ours",
    };

    fn check(&self) -> Result<(), VerifierError> {
        reading::check_tag("tag", self.tag.as_deref())
    }

    fn verdict(&self, view: &View) -> Result<Verdict, Fault> {
        let items = columns::texts(view, &self.column)?;
        if items.is_empty() {
            return Err(columns::fault(view, &self.column, "a list that is not empty"));
        }
        let text = Text::of(reading::part(self.tag.as_deref(), view.completion).unwrap_or(""));
        let found = items.iter().filter(|item| text.mentions(item)).count();
        Ok(Verdict::from(Outcome::scored(found as f64 / items.len() as f64)).with("found", found))
    }
}

/// What a category counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Hit {
    /// 1 where one of its values is mentioned.
    #[default]
    Any,
    /// The share of its values that are mentioned.
    Share,
}

/// The mean over the categories of the column's object of what each counts, in 0..1; a category's value is a text, a number or a list of them. Categories without a
/// value are left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Metadata {
    pub hit: Hit,
    pub column: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
}

impl Default for Metadata {
    fn default() -> Self {
        Self { hit: Hit::default(), column: "metadata".into(), tag: None }
    }
}

impl Pure for Metadata {
    const DESCRIBED: Described = Described {
        name: "metadata",
        summary: "share of the row's categories (genre, key, tempo ..) whose values the completion mentions",
        range: "0..1",
        reads: &[
            "completion",
            "the column `metadata`, or the one that `column` names: an object of texts, numbers or lists of them",
        ],
        parameters: &[
            ("hit", "what a category counts: \"any\" (default) of its values is mentioned, or the \"share\" of them"),
            ("column", "the row's column; metadata unless told"),
            ("tag", "the tag that is looked at; without it, the whole completion"),
        ],
        source: "Music Flamingo (structured-metadata match)",
    };

    fn check(&self) -> Result<(), VerifierError> {
        reading::check_tag("tag", self.tag.as_deref())
    }

    fn verdict(&self, view: &View) -> Result<Verdict, Fault> {
        let expected = "an object of texts, numbers or lists of them, one of them not empty";
        let Value::Object(categories) = columns::value(view, &self.column, expected)? else {
            return Err(columns::fault(view, &self.column, expected));
        };
        let text = Text::of(reading::part(self.tag.as_deref(), view.completion).unwrap_or(""));
        let (mut sum, mut counted) = (0.0, 0);
        let mut verdict = Verdict::from(Outcome::scored(0.0));
        for (category, value) in categories {
            let values: Vec<String> = match value {
                Value::Array(list) => list.iter().filter_map(columns::word).collect(),
                one => columns::word(one).into_iter().collect(),
            };
            let values: Vec<&String> = values.iter().filter(|value| !words(value).is_empty()).collect();
            if values.is_empty() {
                continue;
            }
            let found = values.iter().filter(|value| text.mentions(value)).count();
            let share = match self.hit {
                Hit::Any => f64::from(found > 0),
                Hit::Share => found as f64 / values.len() as f64,
            };
            verdict = verdict.with(category, share);
            sum += share;
            counted += 1;
        }
        if counted == 0 {
            return Err(columns::fault(view, &self.column, expected));
        }
        verdict.outcome = Outcome::scored(sum / f64::from(counted));
        Ok(verdict)
    }
}

/// A text's words with one space around each.
struct Text(String);

impl Text {
    fn of(text: &str) -> Self {
        Self(format!(" {} ", words(text).join(" ")))
    }

    fn mentions(&self, item: &str) -> bool {
        let item = words(item);
        !item.is_empty() && self.0.contains(&format!(" {} ", item.join(" ")))
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
    fn items_are_mentioned_as_whole_words() {
        let row = json!({"items": ["New York", "art", "1999"]});
        let text = "In new-york, 1999: no party.";
        close(score(&Coverage::default(), &row, text), 2.0 / 3.0);
        close(score(&Coverage::default(), &row, ""), 0.0);
        assert!(error(&Coverage::default(), &json!({"items": []}), "x").contains("`items`"));
    }

    #[test]
    fn categories_count_alike() {
        let row = json!({"metadata": {"genre": ["rock", "indie"], "bpm": 120, "key": "A minor", "lyrics": null}});
        let text = "An indie song in a minor key.";
        close(score(&Metadata::default(), &row, text), 2.0 / 3.0);
        let share = Metadata { hit: Hit::Share, ..Metadata::default() };
        close(score(&share, &row, text), 0.5);
        assert_eq!(verdict(&share, &row, text).parts["genre"], json!(0.5));
        for row in [json!({"metadata": {}}), json!({"metadata": {"a": []}}), json!({"metadata": 1}), json!({})] {
            assert!(error(&Metadata::default(), &row, "x").contains("`metadata`"));
        }
    }
}
