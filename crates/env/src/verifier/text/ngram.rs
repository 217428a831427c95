//! `ngram_jaccard`: which runs of words two texts share.

use cohort_core::Outcome;
use serde::{Deserialize, Serialize};

use super::super::{
    Described, Verdict, VerifierError, View, columns,
    columns::Fault,
    pure::{Pure, at_least},
    reading,
    words::{Numbered, Unit, ngrams},
};

/// `|A n B| / |A u B|` of the sets of runs of n units, in 0..1. Texts that are shorter than n are one run each; 1 of two empty ones. The best of several
/// answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct NgramJaccard {
    pub n: usize,
    pub unit: Unit,
    pub column: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
}

impl Default for NgramJaccard {
    fn default() -> Self {
        Self { n: 2, unit: Unit::Words, column: "answer".into(), tag: None }
    }
}

impl Pure for NgramJaccard {
    const DESCRIBED: Described = Described {
        name: "ngram_jaccard",
        summary: "Jaccard similarity of the n-grams of the completion and the row's text",
        range: "0..1",
        reads: &["completion", "the column `answer`, or the one that `column` names: a text or several"],
        parameters: &[
            ("n", "units in a run; 2 unless told"),
            ("unit", "\"characters\", \"words\" between blanks (default) or \"lines\""),
            ("column", "the row's column; answer unless told"),
            ("tag", "the tag that is compared; without it, the whole completion"),
        ],
        source: "Reasoning-SQL, n-gram similarity",
    };

    fn check(&self) -> Result<(), VerifierError> {
        reading::check_tag("tag", self.tag.as_deref())?;
        at_least("n", self.n as f64, 1.0, "at least 1")
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
            let n = self.n.min(said.len().max(gold.len()));
            if n == 0 {
                return 1.0;
            }
            // A text that is too short for a run is one: else nothing could be like it.
            let runs = |units: &'_ [u32]| -> usize { units.len().min(n) };
            let (a, b) = (ngrams(&said, runs(&said)), ngrams(&gold, runs(&gold)));
            let shared = a.keys().filter(|run| b.contains_key(*run)).count();
            shared as f64 / (a.len() + b.len() - shared) as f64
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
    fn runs_are_a_set() {
        let row = json!({"answer": "select name from t where age < 30"});
        close(score(&NgramJaccard::default(), &row, "select name from t where age > 30"), 5.0 / 9.0);
        close(score(&NgramJaccard::default(), &row, "select name from t where age < 30"), 1.0);
        close(score(&NgramJaccard::default(), &row, "select"), 0.0);
        close(score(&NgramJaccard::default(), &row, ""), 0.0);
        close(score(&NgramJaccard::default(), &json!({"answer": "x"}), "x"), 1.0);
        close(score(&NgramJaccard::default(), &json!({"answer": "a a a a"}), "a a"), 1.0);
        close(score(&NgramJaccard::default(), &json!({"answer": ""}), ""), 1.0);
    }
}
