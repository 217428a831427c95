//! `categorical`: one label of a few.

use cohort_core::{Fact, Outcome};
use serde::{Deserialize, Serialize};

use super::super::{Described, Verdict, VerifierError, View, columns, columns::Fault, pure::Pure, reading};

/// `right` where the completion is the row's label, `wrong` where it is another of `labels`, `invalid` where it is none; without `labels`
/// all but the right one are wrong. The fact `label` is what was said, or nothing where that is none. Labels are compared in lower case, without blanks or full stops around.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Categorical {
    pub labels: Vec<String>,
    pub right: f64,
    pub wrong: f64,
    pub invalid: f64,
    pub column: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
}

impl Default for Categorical {
    fn default() -> Self {
        Self { labels: Vec::new(), right: 1.0, wrong: 0.0, invalid: 0.0, column: "answer".into(), tag: None }
    }
}

impl Pure for Categorical {
    const DESCRIBED: Described = Described {
        name: "categorical",
        summary: "whether the completion is the row's label, another label, or none",
        range: "the least to the greatest of right, wrong and invalid; 0 or 1 unless told",
        reads: &["completion", "the column `answer`, or the one that `column` names"],
        parameters: &[
            ("labels", "all labels; without them every text is one"),
            ("right", "score of the right label; 1 unless told"),
            ("wrong", "score of another label; 0 unless told"),
            ("invalid", "score of what is no label; 0 unless told"),
            ("column", "the row's column; answer unless told"),
            ("tag", "the tag that holds the label; without it, the whole completion"),
        ],
        source: "ProRank (right 1, wrong 0, invalid -1), R1-AQA",
    };

    fn check(&self) -> Result<(), VerifierError> {
        reading::check_tag("tag", self.tag.as_deref())?;
        for (parameter, got) in [("right", self.right), ("wrong", self.wrong), ("invalid", self.invalid)] {
            if !got.is_finite() {
                return Err(VerifierError::BadNumber { parameter, got, expected: "a finite number" });
            }
        }
        Ok(())
    }

    fn range(&self) -> (f64, f64) {
        let scores = [self.right, self.wrong, self.invalid];
        (scores.iter().copied().fold(f64::INFINITY, f64::min), scores.iter().copied().fold(f64::NEG_INFINITY, f64::max))
    }

    fn verdict(&self, view: &View) -> Result<Verdict, Fault> {
        let gold = reading::normal(&columns::text(view, &self.column)?);
        let known = |label: &str| self.labels.is_empty() || self.labels.iter().any(|l| reading::normal(l) == label);
        if gold.is_empty() || !known(&gold) {
            return Err(columns::fault(view, &self.column, "one of `labels`"));
        }
        let said = reading::part(self.tag.as_deref(), view.completion).map(reading::normal);
        let (score, label) = match said {
            Some(said) if said == gold => (self.right, said),
            Some(said) if known(&said) => (self.wrong, said),
            _ => (self.invalid, String::new()),
        };
        Ok(Verdict::from(Outcome::scored(score)).telling("label", Fact::Text(label)))
    }

    fn answer(&self, completion: &str) -> Option<String> {
        reading::part(self.tag.as_deref(), completion).map(reading::normal).filter(|said| !said.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{
        super::super::pure::ask::{close, error, score},
        *,
    };

    #[test]
    fn labels_are_right_wrong_or_none() {
        let labels = ["yes", "no"].map(String::from).to_vec();
        let term = Categorical { labels, invalid: -1.0, ..Categorical::default() };
        let row = json!({"answer": "Yes"});
        for (completion, expected) in [(" yes. ", 1.0), ("no", 0.0), ("maybe", -1.0), ("yes no", -1.0), ("", -1.0)] {
            close(score(&term, &row, completion), expected);
        }
        close(score(&Categorical::default(), &json!({"answer": 2}), "2"), 1.0);
        assert!(error(&term, &json!({"answer": "perhaps"}), "yes").contains("`labels`"));
        assert!(error(&term, &json!({"answer": ""}), "yes").contains("`answer`"));
    }
}
