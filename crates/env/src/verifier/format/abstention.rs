//! `abstention`: an answer may be right, wrong, or that the policy does not know.

use cohort_core::Outcome;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::super::{Described, Verdict, VerifierError, View, columns, columns::Fault, pure::Pure, reading};

/// `right` where the completion's answer is one of the row's, `abstained` where it is a phrase of `phrases`, else `wrong`. On a row whose column `answerable`
/// is false, `abstained_rightly` and `wrong`. The answer alone is looked at, whole: a text that says "I don't know" on the way does not abstain. Texts
/// are compared in lower case, without blanks or full stops around.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Abstention {
    pub phrases: Vec<String>,
    pub right: f64,
    pub abstained: f64,
    pub abstained_rightly: f64,
    pub wrong: f64,
    pub column: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
}

impl Default for Abstention {
    fn default() -> Self {
        let phrases = ["i don't know", "i do not know", "unknown", "not sure", "i'm not sure", "cannot be determined"];
        Self {
            phrases: phrases.map(String::from).to_vec(),
            right: 1.0,
            abstained: 0.0,
            abstained_rightly: 1.0,
            wrong: -1.0,
            column: "answer".into(),
            tag: None,
        }
    }
}

impl Pure for Abstention {
    const DESCRIBED: Described = Described {
        name: "abstention",
        summary: "whether the completion's answer is right, wrong, or that it does not know",
        range: "the least to the greatest of its four scores; -1..1 unless told",
        reads: &[
            "completion",
            "the column `answer`, or the one that `column` names: a text or several",
            "answerable: false where not to know is right",
        ],
        parameters: &[
            ("phrases", "answers that abstain"),
            ("right", "score of a right answer; 1 unless told"),
            ("abstained", "score of not knowing; 0 unless told"),
            ("abstained_rightly", "score of not knowing what has no answer; 1 unless told"),
            ("wrong", "score of any other answer; -1 unless told"),
            ("column", "the row's column; answer unless told"),
            ("tag", "the tag that holds the answer; without it, the whole completion"),
        ],
        source: "TruthRL (ternary reward); DeFacto (unknown on masked evidence)",
    };

    fn check(&self) -> Result<(), VerifierError> {
        reading::check_tag("tag", self.tag.as_deref())?;
        for (parameter, got) in self.scores() {
            if !got.is_finite() {
                return Err(VerifierError::BadNumber { parameter, got, expected: "a finite number" });
            }
        }
        Ok(())
    }

    fn range(&self) -> (f64, f64) {
        let scores = self.scores().map(|(_, score)| score);
        (scores.iter().copied().fold(f64::INFINITY, f64::min), scores.iter().copied().fold(f64::NEG_INFINITY, f64::max))
    }

    fn verdict(&self, view: &View) -> Result<Verdict, Fault> {
        let answerable = match view.column("answerable") {
            None | Some(Value::Bool(true)) => true,
            Some(Value::Bool(false)) => false,
            Some(_) => return Err(columns::fault(view, "answerable", "true or false")),
        };
        let golds = if answerable { columns::texts(view, &self.column)? } else { Vec::new() };
        let said = reading::part(self.tag.as_deref(), view.completion).map(plain).unwrap_or_default();
        let is = |texts: &[String]| !said.is_empty() && texts.iter().any(|text| plain(text) == said);
        let score = match (is(&golds), is(&self.phrases)) {
            (true, _) => self.right,
            (false, true) if answerable => self.abstained,
            (false, true) => self.abstained_rightly,
            (false, false) => self.wrong,
        };
        Ok(Outcome::scored(score).into())
    }
}

impl Abstention {
    fn scores(&self) -> [(&'static str, f64); 4] {
        [
            ("right", self.right),
            ("abstained", self.abstained),
            ("abstained_rightly", self.abstained_rightly),
            ("wrong", self.wrong),
        ]
    }
}

fn plain(text: &str) -> String {
    reading::normal(text).replace('\u{2019}', "'")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{
        super::super::pure::ask::{close, error, score},
        *,
    };

    #[test]
    fn not_to_know_is_neither_right_nor_wrong() {
        let term = Abstention { tag: Some("answer".into()), ..Abstention::default() };
        let row = json!({"answer": ["Paris", "Paris, France"]});
        for (completion, expected) in [
            ("<answer>paris</answer>", 1.0),
            ("<answer>I don\u{2019}t know.</answer>", 0.0),
            ("I don't know. <answer>Rome</answer>", -1.0),
            ("<answer>Rome, but I don't know</answer>", -1.0),
            ("I don't know", -1.0),
            ("", -1.0),
        ] {
            close(score(&term, &row, completion), expected);
        }
        let none = json!({"answerable": false});
        close(score(&term, &none, "<answer>unknown</answer>"), 1.0);
        close(score(&term, &none, "<answer>Paris</answer>"), -1.0);
        assert!(error(&term, &json!({"answerable": 1}), "x").contains("`answerable`"));
        // A row whose right answer is a phrase.
        close(score(&term, &json!({"answer": "unknown"}), "<answer>unknown</answer>"), 1.0);
    }
}
