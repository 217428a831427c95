//! `edit_similarity`: how little must be changed.

use cohort_core::{Outcome, distance};
use serde::{Deserialize, Serialize};

use super::super::{
    Described, Verdict, VerifierError, View, columns,
    columns::Fault,
    pure::Pure,
    reading,
    words::{Numbered, Unit},
};

/// `1 - d / max(n, m)` with d the Levenshtein distance and n, m the lengths, in 0..1; 1 of two empty texts. The best of several answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct EditSimilarity {
    pub unit: Unit,
    pub column: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
}

impl Default for EditSimilarity {
    fn default() -> Self {
        Self { unit: Unit::Characters, column: "answer".into(), tag: None }
    }
}

impl Pure for EditSimilarity {
    const DESCRIBED: Described = Described {
        name: "edit_similarity",
        summary: "1 - Levenshtein distance over the longer length",
        range: "0..1",
        reads: &["completion", "the column `answer`, or the one that `column` names: a text or several"],
        parameters: &[
            ("unit", "\"characters\" (default), \"words\" or \"lines\""),
            ("column", "the row's column; answer unless told"),
            ("tag", "the tag that is compared; without it, the whole completion"),
        ],
        source: "Levenshtein 1966; Myers 1999, Hyyrö 2003",
    };

    fn check(&self) -> Result<(), VerifierError> {
        reading::check_tag("tag", self.tag.as_deref())
    }

    fn verdict(&self, view: &View) -> Result<Verdict, Fault> {
        let golds = columns::texts(view, &self.column)?;
        let Some(said) = reading::part(self.tag.as_deref(), view.completion) else {
            return Ok(Outcome::scored(0.0).into());
        };
        let one = |gold: &String| {
            let mut numbered = Numbered::default();
            let said = numbered.ids(self.unit.split(said));
            let gold = numbered.ids(self.unit.split(gold.trim()));
            let longer = said.len().max(gold.len());
            if longer == 0 { 1.0 } else { 1.0 - distance::levenshtein(&said, &gold) as f64 / longer as f64 }
        };
        Ok(Outcome::scored(golds.iter().map(one).fold(0.0, f64::max)).into())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{
        super::super::pure::ask::{close, score},
        *,
    };

    #[test]
    fn edits_are_counted_in_units() {
        let row = json!({"answer": "kitten"});
        for (completion, expected) in [("sitting", 1.0 - 3.0 / 7.0), ("kitten", 1.0), ("", 0.0), ("xyz", 0.0)] {
            close(score(&EditSimilarity::default(), &row, completion), expected);
        }
        let words = EditSimilarity { unit: Unit::Words, ..EditSimilarity::default() };
        close(score(&words, &json!({"answer": "the red cat"}), "the cat"), 2.0 / 3.0);
        close(score(&words, &json!({"answer": ["x", "the cat"]}), "the cat"), 1.0);
        close(score(&words, &json!({"answer": ""}), " "), 1.0);
        close(score(&EditSimilarity::default(), &json!({"answer": "né"}), "ne"), 0.5);
    }
}
