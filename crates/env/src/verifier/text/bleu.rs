//! `bleu`: the words of a translation.

use std::collections::HashMap;

use cohort_core::Outcome;
use serde::{Deserialize, Serialize};

use super::super::{
    Described, Verdict, VerifierError, View, columns,
    columns::Fault,
    pure::{Pure, at_least},
    reading,
    words::{Numbered, ngrams, words},
};

/// Sentence BLEU: `BP exp(mean_n ln p_n)` over n = 1..order, in 0..1. `p_n` is the share of the completion's n-grams that an answer
/// has, each counted as often as in the answer that has it most; `BP = min(1, exp(1 - r / c))` with c the completion's words and r those of
/// the answer nearest in length. A `p_n` of 0 is smoothed to `1 / (2^k total)`, k counting the zeros (sacreBLEU's `exp`), and orders
/// longer than the completion are left out. Words are runs of letters and digits in lower case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Bleu {
    pub order: usize,
    pub column: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
}

impl Default for Bleu {
    fn default() -> Self {
        Self { order: 4, column: "answer".into(), tag: None }
    }
}

impl Pure for Bleu {
    const DESCRIBED: Described = Described {
        name: "bleu",
        summary: "sentence BLEU of the completion against the row's text, smoothed",
        range: "0..1",
        reads: &["completion", "the column `answer`, or the one that `column` names: a text or several"],
        parameters: &[
            ("order", "the longest n-gram, 1..9; 4 unless told"),
            ("column", "the row's column; answer unless told"),
            ("tag", "the tag that is compared; without it, the whole completion"),
        ],
        source: "Papineni et al. 2002; sacreBLEU (smoothing exp, effective order)",
    };

    fn check(&self) -> Result<(), VerifierError> {
        reading::check_tag("tag", self.tag.as_deref())?;
        if self.order > 9 {
            return Err(VerifierError::BadNumber { parameter: "order", got: self.order as f64, expected: "in 1..9" });
        }
        at_least("order", self.order as f64, 1.0, "in 1..9")
    }

    fn verdict(&self, view: &View) -> Result<Verdict, Fault> {
        let golds: Vec<Vec<String>> = columns::texts(view, &self.column)?.iter().map(|gold| words(gold)).collect();
        let said = words(reading::part(self.tag.as_deref(), view.completion).unwrap_or(""));
        let mut numbered = Numbered::default();
        let said = numbered.ids(&said);
        let golds: Vec<Vec<u32>> = golds.iter().map(|gold| numbered.ids(gold)).collect();
        let nearest = golds.iter().map(Vec::len).min_by_key(|&n| (n.abs_diff(said.len()), n));
        let Some(length) = nearest else {
            return Err(columns::fault(view, &self.column, "a text or several"));
        };
        let (mut logs, mut orders, mut zeros) = (0.0, 0, 0);
        for n in 1..=self.order.min(said.len()) {
            let mut most: HashMap<&[u32], usize> = HashMap::new();
            for (run, count) in golds.iter().flat_map(|gold| ngrams(gold, n)) {
                let most = most.entry(run).or_default();
                *most = count.max(*most);
            }
            let shared: usize = ngrams(&said, n).iter().map(|(run, c)| most.get(run).map_or(0, |m| *c.min(m))).sum();
            if n == 1 && shared == 0 {
                return Ok(Outcome::scored(0.0).into());
            }
            let total = (said.len() + 1 - n) as f64;
            let precision = if shared == 0 {
                zeros += 1;
                0.5f64.powi(zeros) / total
            } else {
                shared as f64 / total
            };
            logs += precision.ln();
            orders += 1;
        }
        if orders == 0 {
            return Ok(Outcome::scored(if length == 0 { 1.0 } else { 0.0 }).into());
        }
        let brevity = (1.0 - length as f64 / said.len() as f64).min(0.0).exp();
        let score = (brevity * (logs / f64::from(orders)).exp()).clamp(0.0, 1.0);
        Ok(Verdict::from(Outcome::scored(score)).with("brevity", brevity))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{
        super::super::pure::ask::{close, error, score},
        *,
    };

    /// sacreBLEU 2, `sentence_bleu(.., smooth_method="exp", tokenize="none", use_effective_order=True) / 100`.
    #[test]
    fn the_scores_of_sacrebleu() {
        for (golds, said, expected) in GOLDEN {
            close(score(&Bleu::default(), &json!({"answer": golds}), said), *expected);
        }
    }

    const GOLDEN: &[(&[&str], &str, f64)] = &[
        (&["the cat sat on the mat"], "the cat sat on mat", 0.57893006746741),
        (&["the cat sat on the mat"], "a dog stood by the door at night", 0.05522397783539471),
        (&["police killed the gunman"], "the gunman police killed", 0.45180100180492266),
        (&["one two three four five six"], "six five four three two one", 0.12703318703865377),
        (&["to be or not to be"], "to be to be to be", 0.22957488466614337),
        (
            &["a quick brown fox jumps over the lazy dog"],
            "a quick brown fox jumped over the lazy dog again",
            0.5253819788848316,
        ),
        (&["the cat is on the mat", "there is a cat on the mat"], "the the cat on the mat", 0.5773502691896257),
    ];

    #[test]
    fn nothing_is_nothing() {
        close(score(&Bleu::default(), &json!({"answer": "x"}), ""), 0.0);
        close(score(&Bleu::default(), &json!({"answer": "x"}), "!!"), 0.0);
        close(score(&Bleu::default(), &json!({"answer": ""}), ""), 1.0);
        assert!(error(&Bleu::default(), &json!({"answer": []}), "x").contains("`answer`"));
        assert!(Pure::check(&Bleu { order: 0, ..Bleu::default() }).is_err());
    }
}
