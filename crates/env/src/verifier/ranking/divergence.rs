//! `score_divergence`: whether scores are spread over documents as they should be.

use std::collections::BTreeMap;

use cohort_core::Outcome;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::super::{
    Described, Verdict, VerifierError, View, columns,
    columns::Fault,
    pure::{Pure, positive},
    reading,
};

/// How scores become a distribution.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Distribution {
    /// `exp(s / temperature)`, divided by the sum.
    #[default]
    Softmax,
    /// `s` divided by the sum; all zero is even; a negative score is none.
    Sum,
}

/// `1 - JS(P, Q)`, `JS = KL(P || M) / 2 + KL(Q || M) / 2`, `M = (P + Q) / 2`, in bits, so that it lies in 0..1: P from the completion's
/// scores, Q from the column's. A completion that leaves a document out, or names another, gets 0.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ScoreDivergence {
    pub distribution: Distribution,
    pub temperature: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
}

impl Default for ScoreDivergence {
    fn default() -> Self {
        Self { distribution: Distribution::default(), temperature: 1.0, tag: None }
    }
}

impl Pure for ScoreDivergence {
    const DESCRIBED: Described = Described {
        name: "score_divergence",
        summary: "1 - Jensen-Shannon divergence, in bits, of the completion's scores and the row's",
        range: "0..1",
        reads: &["completion: JSON, a list of scores or an object of documents and scores", "scores: the same"],
        parameters: &[
            ("distribution", "\"softmax\" (default) or \"sum\": scores over their sum"),
            ("temperature", "of the softmax; 1 unless told"),
            ("tag", "the tag that holds the scores; without it, the whole completion"),
        ],
        source: "GroupRank, reward term 1 - JS",
    };

    fn check(&self) -> Result<(), VerifierError> {
        reading::check_tag("tag", self.tag.as_deref())?;
        positive("temperature", self.temperature)
    }

    fn verdict(&self, view: &View) -> Result<Verdict, Fault> {
        let expected = "a list of scores, or an object of documents and scores";
        let broken = || columns::fault(view, "scores", expected);
        let gold = scores(columns::value(view, "scores", expected)?).ok_or_else(broken)?;
        let ids: Vec<&String> = gold.keys().collect();
        let q = self.spread(ids.iter().map(|id| gold[*id])).ok_or_else(broken)?;
        let said = reading::part(self.tag.as_deref(), view.completion).and_then(reading::json);
        let said = said.as_ref().and_then(scores).filter(|said| said.len() == gold.len());
        let p = said.and_then(|said| ids.iter().map(|id| said.get(*id).copied()).collect::<Option<Vec<_>>>());
        let Some(p) = p.and_then(|p| self.spread(p.into_iter())) else { return Ok(Outcome::scored(0.0).into()) };
        let to_mean = |a: &[f64], b: &[f64]| -> f64 {
            let term = |(&a, &b): (&f64, &f64)| if a > 0.0 { a * (2.0 * a / (a + b)).log2() } else { 0.0 };
            a.iter().zip(b).map(term).sum()
        };
        let js = f64::midpoint(to_mean(&p, &q), to_mean(&q, &p)).clamp(0.0, 1.0);
        Ok(Verdict::from(Outcome::scored(1.0 - js)).with("divergence", js))
    }
}

impl ScoreDivergence {
    /// In the order of the documents' names, so that a sum has the same bits each time; `None` of no scores, or of scores that are none.
    fn spread(&self, scores: impl Iterator<Item = f64>) -> Option<Vec<f64>> {
        let mut scores: Vec<f64> = scores.collect();
        let top = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        match self.distribution {
            Distribution::Softmax => scores.iter_mut().for_each(|s| *s = ((*s - top) / self.temperature).exp()),
            Distribution::Sum if scores.iter().any(|&s| s < 0.0) => return None,
            Distribution::Sum if top == 0.0 => scores.iter_mut().for_each(|s| *s = 1.0),
            Distribution::Sum => scores.iter_mut().for_each(|s| *s /= top),
        }
        let sum: f64 = scores.iter().sum();
        scores.iter_mut().for_each(|s| *s /= sum);
        (!scores.is_empty()).then_some(scores)
    }
}

fn scores(value: &Value) -> Option<BTreeMap<String, f64>> {
    match value {
        Value::Array(list) => list.iter().enumerate().map(|(i, n)| Some((i.to_string(), n.as_f64()?))).collect(),
        Value::Object(map) => map.iter().map(|(id, n)| Some((id.clone(), n.as_f64()?))).collect(),
        _ => None,
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
    fn a_verdict_has_the_same_bits_each_time() {
        let said: serde_json::Map<String, Value> = (0..9).map(|i| (format!("d{i}"), json!(1 + i * i % 7))).collect();
        let row = json!({ "scores": said.keys().rev().map(|id| (id.clone(), json!(id.len()))).collect::<serde_json::Map<_, _>>() });
        let of = || score(&ScoreDivergence::default(), &row, &Value::from(said.clone()).to_string());
        let first = of();
        assert!((0..50).all(|_| of() == first), "{first:?}");
    }

    #[test]
    fn the_divergence_of_scipy() {
        // scipy.spatial.distance.jensenshannon(p, q, base=2) ** 2
        let row = json!({"scores": [1, 2, 3]});
        close(score(&ScoreDivergence::default(), &row, "[1, 2, 3]"), 1.0);
        close(score(&ScoreDivergence::default(), &row, "[101, 102, 103]"), 1.0);
        let sum = ScoreDivergence { distribution: Distribution::Sum, ..ScoreDivergence::default() };
        close(score(&sum, &row, "[3, 2, 1]"), 0.8741854163060885);
        close(score(&ScoreDivergence::default(), &row, "[3, 2, 1]"), 0.64280591700828);
        close(score(&sum, &json!({"scores": [1, 0]}), "[0, 5]"), 0.0);
        close(score(&sum, &json!({"scores": {"a": 1, "b": 1}}), r#"{"b": 0, "a": 0}"#), 1.0);
    }

    #[test]
    fn every_document_is_scored_once() {
        let row = json!({"scores": {"a": 1, "b": 2}});
        for bad in [
            "",
            "[1, 2, 3]",
            r#"{"a": 1}"#,
            r#"{"a": 1, "b": 2, "c": 0}"#,
            r#"{"a": 1, "c": 2}"#,
            "[NaN, 1]",
            "{\"a\": \"x\", \"b\": 1}",
        ] {
            close(score(&ScoreDivergence::default(), &row, bad), 0.0);
        }
        for row in [json!({}), json!({"scores": []}), json!({"scores": ["x"]})] {
            assert!(error(&ScoreDivergence::default(), &row, "[1]").contains("`scores`"));
        }
    }
}
