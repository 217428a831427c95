//! `mrr`: how early the first relevant document comes.

use cohort_core::Outcome;
use serde::{Deserialize, Serialize};

use super::{
    super::{
        Described, Verdict, VerifierError, View,
        columns::Fault,
        pure::{Pure, at_least},
        reading,
    },
    ranked::{First, Relevance},
};

/// 1 / (place of the first relevant document), 0 where none is among the first k; in 0..1; its mean over rows is the mean
/// reciprocal rank. Among documents that share a place the relevant ones come last, so that a tie is no luck.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Mrr {
    pub k: usize,
    pub above: f64,
    pub first: First,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
}

impl Default for Mrr {
    fn default() -> Self {
        Self { k: 10, above: 0.0, first: First::default(), tag: None }
    }
}

impl Pure for Mrr {
    const DESCRIBED: Described = Described {
        name: "mrr",
        summary: "reciprocal rank of the first relevant document",
        range: "0..1; abstains where no document is relevant",
        reads: &["completion: as of ndcg", "relevance: as of ndcg"],
        parameters: &[
            ("k", "places that count; 10 unless told"),
            ("above", "a document is relevant above this; 0 unless told"),
            ("first", "as of ndcg"),
            ("tag", "as of ndcg"),
        ],
        source: "Voorhees 1999 (TREC-8 question answering)",
    };

    fn check(&self) -> Result<(), VerifierError> {
        reading::check_tag("tag", self.tag.as_deref())?;
        at_least("above", self.above, 0.0, "at least 0")?;
        at_least("k", self.k as f64, 1.0, "at least 1")
    }

    fn verdict(&self, view: &View) -> Result<Verdict, Fault> {
        let relevance = Relevance::read(view)?;
        if !relevance.gains.values().any(|&r| r > self.above) {
            return Ok(Outcome::Abstain.into());
        }
        let Some(text) = reading::part(self.tag.as_deref(), view.completion) else {
            return Ok(Outcome::scored(0.0).into());
        };
        let mut before = 0;
        for tied in relevance.ranked(text, self.first).gains {
            let others = tied.iter().filter(|&&r| r <= self.above).count();
            before += others;
            if others < tied.len() {
                let place = before + 1;
                return Ok(Outcome::scored(if place <= self.k { 1.0 / place as f64 } else { 0.0 }).into());
            }
        }
        Ok(Outcome::scored(0.0).into())
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
    fn the_first_relevant_document_counts() {
        let row = json!({"relevance": [0, 0, 1, 5]});
        for (completion, expected) in [("2 0", 1.0), ("0 1 2", 1.0 / 3.0), ("0 7 7 3", 0.25), ("0 1", 0.0), ("", 0.0)] {
            close(score(&Mrr::default(), &row, completion), expected);
        }
        close(score(&Mrr { k: 2, ..Mrr::default() }, &row, "0 1 2"), 0.0);
        close(score(&Mrr::default(), &json!({"relevance": {"a": 1, "b": 0}}), r#"{"a": 1, "b": 1}"#), 0.5);
    }
}
