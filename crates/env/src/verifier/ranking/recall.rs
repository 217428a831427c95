//! `recall_at_k`: how many of the relevant documents come first.

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

/// `Recall@k = |relevant documents among the first k| / |relevant documents|`, in 0..1; a document is relevant above `above`. Documents
/// that share a place across the k-th count by the share that is inside. A row without a relevant document abstains.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RecallAtK {
    pub k: usize,
    pub above: f64,
    pub first: First,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
}

impl Default for RecallAtK {
    fn default() -> Self {
        Self { k: 10, above: 0.0, first: First::default(), tag: None }
    }
}

impl Pure for RecallAtK {
    const DESCRIBED: Described = Described {
        name: "recall_at_k",
        summary: "share of the relevant documents among the first k of the completion's ranking",
        range: "0..1; abstains where no document is relevant",
        reads: &["completion: as of ndcg", "relevance: as of ndcg"],
        parameters: &[
            ("k", "places that count; 10 unless told"),
            ("above", "a document is relevant above this; 0 unless told"),
            ("first", "as of ndcg"),
            ("tag", "as of ndcg"),
        ],
        source: "GroupRank, Rank-GRPO",
    };

    fn check(&self) -> Result<(), VerifierError> {
        reading::check_tag("tag", self.tag.as_deref())?;
        at_least("above", self.above, 0.0, "at least 0")?;
        at_least("k", self.k as f64, 1.0, "at least 1")
    }

    fn verdict(&self, view: &View) -> Result<Verdict, Fault> {
        let relevance = Relevance::read(view)?;
        let relevant = relevance.gains.values().filter(|&&r| r > self.above).count();
        if relevant == 0 {
            return Ok(Outcome::Abstain.into());
        }
        let Some(text) = reading::part(self.tag.as_deref(), view.completion) else {
            return Ok(Outcome::scored(0.0).into());
        };
        let (mut found, mut place) = (0.0, 0);
        for tied in relevance.ranked(text, self.first).gains {
            let inside = self.k.saturating_sub(place).min(tied.len()) as f64 / tied.len() as f64;
            found += inside * tied.iter().filter(|&&r| r > self.above).count() as f64;
            place += tied.len();
        }
        Ok(Outcome::scored((found / relevant as f64).min(1.0)).into())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{
        super::super::pure::ask::{close, score, verdict},
        *,
    };

    #[test]
    fn the_first_k_count() {
        let row = json!({"relevance": [1, 0, 2, 0]});
        let two = RecallAtK { k: 2, ..RecallAtK::default() };
        for (completion, expected) in [("0 1 2 3", 0.5), ("2 0", 1.0), ("0 0 2", 0.5), ("3 1", 0.0), ("", 0.0)] {
            close(score(&two, &row, completion), expected);
        }
        let high = RecallAtK { above: 1.0, ..two.clone() };
        close(score(&high, &row, "2 1"), 1.0);
        // Three share the first places, two of them count.
        close(score(&two, &json!({"relevance": {"a": 1, "b": 0, "c": 0}}), r#"{"a": 1, "b": 1, "c": 1}"#), 2.0 / 3.0);
        assert_eq!(verdict(&two, &json!({"relevance": [0]}), "0").outcome, Outcome::Abstain);
    }
}
