//! `ndcg`: how good a ranking of documents is.

use cohort_core::{Outcome, gain::ndcg};
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

/// What a document of relevance r adds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Gain {
    /// r.
    #[default]
    Linear,
    /// 2^r - 1.
    Exponential,
}

/// Normalised discounted cumulated gain: `DCG@k = sum_{i=1..k} gain(r_i) / log2(i + 1)` over the places of the
/// ranking, divided by that of the best ranking of all documents; in 0..1. Documents that share a place, by equal
/// scores, each get the mean of their discounts. Unknown and repeated documents take a place and add nothing.
/// Järvelin and Kekäläinen 2002; ties as McSherry and Najork 2008. A row without a relevant document abstains.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Ndcg {
    pub k: usize,
    pub gain: Gain,
    pub first: First,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
}

impl Default for Ndcg {
    fn default() -> Self {
        Self { k: 10, gain: Gain::default(), first: First::default(), tag: None }
    }
}

impl Pure for Ndcg {
    const DESCRIBED: Described = Described {
        name: "ndcg",
        summary: "normalised discounted cumulated gain of the completion's ranking of documents",
        range: "0..1; abstains where no document is relevant",
        reads: &[
            "completion: documents, best first (JSON list, `[2] > [1]`, one a line), or an object of scores",
            "relevance: a list of numbers, or an object of documents and numbers",
        ],
        parameters: &[
            ("k", "places that count; 10 unless told"),
            ("gain", "\"linear\" (default): r; \"exponential\": 2^r - 1"),
            (
                "first",
                "how documents of a list are counted: \"zero\", \"one\", or \"auto\" (default) by what the completion names",
            ),
            ("tag", "the tag that holds the ranking; without it, the whole completion"),
        ],
        source: "Järvelin and Kekäläinen 2002; GroupRank (NDCG@10), ProRank, Rank-GRPO",
    };

    fn check(&self) -> Result<(), VerifierError> {
        reading::check_tag("tag", self.tag.as_deref())?;
        at_least("k", self.k as f64, 1.0, "at least 1")
    }

    fn verdict(&self, view: &View) -> Result<Verdict, Fault> {
        let relevance = Relevance::read(view)?;
        let gain = |r: f64| match self.gain {
            Gain::Linear => r,
            // Beyond 60 the gain of one document hides all others, and sums would overflow in the end.
            Gain::Exponential => r.min(60.0).exp2() - 1.0,
        };
        let best: Vec<f64> = relevance.gains.values().map(|&r| gain(r)).collect();
        if best.iter().all(|gain| *gain <= 0.0) {
            return Ok(Outcome::Abstain.into());
        }
        let Some(text) = reading::part(self.tag.as_deref(), view.completion) else {
            return Ok(Outcome::scored(0.0).into());
        };
        let ranked = relevance.ranked(text, self.first);
        let gains: Vec<Vec<f64>> = ranked.gains.iter().map(|tied| tied.iter().map(|&r| gain(r)).collect()).collect();
        let score = ndcg(&gains, &best, self.k).unwrap_or(0.0);
        let named: usize = ranked.gains.iter().map(Vec::len).sum();
        Ok(Verdict::from(Outcome::scored(score))
            .with("named", named)
            .with("unknown", ranked.unknown)
            .with("repeated", ranked.repeated))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{
        super::super::pure::ask::{close, error, score, verdict},
        *,
    };

    fn list() -> Value {
        json!({"relevance": [3, 2, 3, 0, 1, 2]})
    }

    #[test]
    fn the_textbook_example() {
        // Wikipedia's: DCG 6.861 and, of the same six documents, IDCG 7.141.
        close(score(&Ndcg::default(), &list(), "[0, 1, 2, 3, 4, 5]"), 0.9608081943360616);
        close(score(&Ndcg::default(), &list(), "[1] > [2] > [3] > [4] > [5] > [6]"), 0.9608081943360616);
        close(score(&Ndcg::default(), &list(), "0 2 1 5 4 3"), 1.0);
        let three = Ndcg { k: 3, ..Ndcg::default() };
        close(score(&three, &list(), "0, 1, 2"), (3.0 + 2.0 / 3f64.log2() + 1.5) / (3.0 + 3.0 / 3f64.log2() + 1.0));
        let steep = Ndcg { gain: Gain::Exponential, k: 2, ..Ndcg::default() };
        close(score(&steep, &json!({"relevance": [0, 2]}), "0 1"), (3.0 / 3f64.log2()) / 3.0);
    }

    #[test]
    fn documents_may_have_names() {
        let row = json!({"relevance": {"d1": 0, "d 2": 1, "3": 0}});
        for (completion, expected) in [
            ("d 2\nd1\n3", 1.0),
            ("1. d1\n2. d 2\n", 1.0 / 3f64.log2()),
            (r#"["d 2"]"#, 1.0),
            (r#"{"ranking": ["d1", "d 2"]}"#, 1.0 / 3f64.log2()),
            (r#"{"d1": 0.1, "d 2": 0.9}"#, 1.0),
            ("3 > [d 2]", 1.0 / 3f64.log2()),
            ("", 0.0),
            ("none", 0.0),
        ] {
            close(score(&Ndcg::default(), &row, completion), expected);
        }
    }

    #[test]
    fn equal_scores_share_their_places_whatever_their_order() {
        // sklearn.metrics.ndcg_score([[1, 0, 2, 0]], [[.5, .5, .5, .1]])
        let row = json!({"relevance": [1, 0, 2, 0]});
        close(score(&Ndcg::default(), &row, "[0.5, 0.5, 0.5, 0.1]"), 0.8099531166420328);
        let named = json!({"relevance": {"a": 1, "b": 0}});
        close(score(&Ndcg::default(), &named, r#"{"a": 1, "b": 1}"#), (1.0 + 1.0 / 3f64.log2()) / 2.0);
        close(score(&Ndcg::default(), &named, r#"{"b": 1, "a": 1}"#), (1.0 + 1.0 / 3f64.log2()) / 2.0);
    }

    #[test]
    fn unknown_and_repeated_documents_cost_a_place() {
        let row = json!({"relevance": [0, 1]});
        let found = verdict(&Ndcg::default(), &row, "[1, 1, 9]");
        assert_eq!(found.outcome, Outcome::scored(1.0));
        assert_eq!((found.parts["repeated"].as_u64(), found.parts["unknown"].as_u64()), (Some(1), Some(1)));
        let zero = Ndcg { first: First::Zero, ..Ndcg::default() };
        close(score(&zero, &row, "[9, 1]"), 1.0 / 3f64.log2());
        let one = Ndcg { first: First::One, ..Ndcg::default() };
        close(score(&one, &row, "[0, 2]"), 1.0 / 3f64.log2());
    }

    #[test]
    fn a_row_without_relevance_is_no_zero() {
        assert_eq!(verdict(&Ndcg::default(), &json!({"relevance": [0, 0]}), "0").outcome, Outcome::Abstain);
        assert_eq!(verdict(&Ndcg::default(), &json!({"relevance": []}), "0").outcome, Outcome::Abstain);
        for row in [json!({}), json!({"relevance": "x"}), json!({"relevance": [-1]}), json!({"relevance": [null]})] {
            assert!(error(&Ndcg::default(), &row, "0").contains("`relevance`"));
        }
        assert!(Pure::check(&Ndcg { k: 0, ..Ndcg::default() }).is_err());
    }
}
