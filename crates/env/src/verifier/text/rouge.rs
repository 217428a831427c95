//! `rouge`: which words of the answer a text has.

use cohort_core::{Outcome, distance};
use serde::{Deserialize, Serialize};

use super::super::{
    Described, Verdict, VerifierError, View, columns,
    columns::Fault,
    pure::Pure,
    reading,
    words::{Numbered, ngrams, words},
};

/// Which ROUGE.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Variant {
    /// Of words.
    One,
    /// Of pairs of words.
    Two,
    /// Of the longest common subsequence.
    #[default]
    L,
    /// The mean of the three.
    Mean,
}

/// F1 of what the completion and the answer share: `2 P R / (P + R)`, in 0..1, over runs of letters and digits in lower case, without stemming. The
/// best of several answers. The parts have all three.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Rouge {
    pub variant: Variant,
    pub column: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
}

impl Default for Rouge {
    fn default() -> Self {
        Self { variant: Variant::default(), column: "answer".into(), tag: None }
    }
}

impl Pure for Rouge {
    const DESCRIBED: Described = Described {
        name: "rouge",
        summary: "ROUGE-1, ROUGE-2 or ROUGE-L F1 of the completion against the row's text",
        range: "0..1",
        reads: &["completion", "the column `answer`, or the one that `column` names: a text or several"],
        parameters: &[
            ("variant", "\"one\", \"two\", \"l\" (default) or \"mean\" of the three"),
            ("column", "the row's column; answer unless told"),
            ("tag", "the tag that is compared; without it, the whole completion"),
        ],
        source: "Lin 2004; Video-R1, ViSS-R1 (mean of 1, 2 and L)",
    };

    fn check(&self) -> Result<(), VerifierError> {
        reading::check_tag("tag", self.tag.as_deref())
    }

    fn verdict(&self, view: &View) -> Result<Verdict, Fault> {
        let golds = columns::texts(view, &self.column)?;
        let said = words(reading::part(self.tag.as_deref(), view.completion).unwrap_or(""));
        let mut best = [0.0; 4];
        for gold in &golds {
            let gold = words(gold);
            let mut numbered = Numbered::default();
            let (said, gold) = (numbered.ids(&said), numbered.ids(&gold));
            let run = |n: usize| {
                let (a, b) = (ngrams(&said, n), ngrams(&gold, n));
                let shared: usize = a.iter().map(|(run, n)| b.get(run).map_or(0, |m| *n.min(m))).sum();
                f1(shared, (said.len() + 1).saturating_sub(n), (gold.len() + 1).saturating_sub(n))
            };
            let (one, two) = (run(1), run(2));
            let l = f1(distance::common_subsequence(&said, &gold), said.len(), gold.len());
            let mean = (one + two + l) / 3.0;
            let of = |scores: [f64; 4]| match self.variant {
                Variant::One => scores[0],
                Variant::Two => scores[1],
                Variant::L => scores[2],
                Variant::Mean => scores[3],
            };
            if of([one, two, l, mean]) >= of(best) {
                best = [one, two, l, mean];
            }
        }
        let [one, two, l, mean] = best;
        let score = match self.variant {
            Variant::One => one,
            Variant::Two => two,
            Variant::L => l,
            Variant::Mean => mean,
        };
        Ok(Verdict::from(Outcome::scored(score)).with("rouge1", one).with("rouge2", two).with("rougeL", l))
    }
}

fn f1(shared: usize, said: usize, gold: usize) -> f64 {
    if shared == 0 { 0.0 } else { 2.0 * shared as f64 / (said + gold) as f64 }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{
        super::super::pure::ask::{close, score, verdict},
        *,
    };

    /// rouge_score 0.1, without stemming.
    #[test]
    fn the_scores_of_rouge_score() {
        for (gold, said, expected) in GOLDEN {
            let parts = verdict(&Rouge::default(), &json!({"answer": gold}), said).parts;
            for (name, expected) in ["rouge1", "rouge2", "rougeL"].iter().zip(expected) {
                close(parts[*name].as_f64().unwrap(), *expected);
            }
        }
    }

    const GOLDEN: &[(&str, &str, [f64; 3])] = &[
        ("the cat sat on the mat", "the cat sat on mat", [0.9090909090909091, 0.6666666666666665, 0.9090909090909091]),
        ("the cat sat on the mat", "a dog stood by the door at night", [0.14285714285714288, 0.0, 0.14285714285714288]),
        ("police killed the gunman", "the gunman police killed", [1.0, 0.6666666666666666, 0.5]),
        ("one two three four five six", "six five four three two one", [1.0, 0.0, 0.16666666666666666]),
        ("to be or not to be", "to be to be to be", [0.6666666666666666, 0.4000000000000001, 0.6666666666666666]),
        (
            "a quick brown fox jumps over the lazy dog",
            "a quick brown fox jumped over the lazy dog again",
            [0.8421052631578948, 0.7058823529411765, 0.8421052631578948],
        ),
    ];

    #[test]
    fn the_best_answer_counts() {
        let row = json!({"answer": ["a b", "the cat sat"]});
        close(score(&Rouge { variant: Variant::Mean, ..Rouge::default() }, &row, "The cat, sat."), 1.0);
        close(score(&Rouge { variant: Variant::Two, ..Rouge::default() }, &row, "cat sat"), 2.0 / 3.0);
        close(score(&Rouge::default(), &row, ""), 0.0);
        close(score(&Rouge::default(), &json!({"answer": ""}), ""), 0.0);
    }
}
