//! `wer` and `cer`: how much of a transcript is wrong.

use cohort_core::{Outcome, distance};
use serde::{Deserialize, Serialize};

use super::super::{
    Described, Verdict, VerifierError, View, columns,
    columns::Fault,
    pure::Pure,
    reading,
    words::{Numbered, Unit, words},
};

/// What is compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Compare {
    /// Letters and digits, in lower case.
    #[default]
    Letters,
    /// The text as it is written, but for blanks around.
    Exact,
}

macro_rules! rate {
    ($config:ident, $name:literal, $unit:literal, $split:expr) => {
        #[doc = concat!("`1 - min(1, d / n)` with d the Levenshtein distance in ", $unit, " and n the ", $unit, " of the answer, in 0..1;")]
        /// of an empty answer, 1 where the completion is empty, too. The part `rate` is d / n, which may exceed 1.
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
        #[serde(default, deny_unknown_fields)]
        pub struct $config {
            pub compare: Compare,
            pub column: String,
            #[serde(skip_serializing_if = "Option::is_none")]
            pub tag: Option<String>,
        }

        impl Default for $config {
            fn default() -> Self {
                Self { compare: Compare::default(), column: "answer".into(), tag: None }
            }
        }

        impl Pure for $config {
            const DESCRIBED: Described = Described {
                name: $name,
                summary: concat!("1 - the error rate in ", $unit, ", not below 0"),
                range: "0..1",
                reads: &["completion", "the column `answer`, or the one that `column` names"],
                parameters: &[
                    ("compare", "\"letters\" (default): letters and digits in lower case; \"exact\": as it is written"),
                    ("column", "the row's column; answer unless told"),
                    ("tag", "the tag that is compared; without it, the whole completion"),
                ],
                source: "NIST SCTK; Reason-RFT, ViSS-R1 (OCR: 1 - WER), DMOSpeech 2",
            };

            fn check(&self) -> Result<(), VerifierError> {
                reading::check_tag("tag", self.tag.as_deref())
            }

            fn verdict(&self, view: &View) -> Result<Verdict, Fault> {
                let gold = columns::text(view, &self.column)?;
                let Some(said) = reading::part(self.tag.as_deref(), view.completion) else {
                    return Ok(Outcome::scored(0.0).into());
                };
                let split: fn(&str, Compare) -> Vec<String> = $split;
                Ok(verdict(&split(said, self.compare), &split(gold.trim(), self.compare)))
            }
        }
    };
}

rate!(Wer, "wer", "words", |text, compare| match compare {
    Compare::Letters => words(text),
    Compare::Exact => Unit::Words.split(text).into_iter().map(str::to_owned).collect(),
});

rate!(Cer, "cer", "characters", |text, compare| match compare {
    Compare::Letters => Unit::Characters.split(&words(text).join(" ")).into_iter().map(str::to_owned).collect(),
    Compare::Exact => Unit::Characters.split(text).into_iter().map(str::to_owned).collect(),
});

fn verdict(said: &[String], gold: &[String]) -> Verdict {
    let mut numbered = Numbered::default();
    let (said, gold) = (numbered.ids(said), numbered.ids(gold));
    let wrong = distance::levenshtein(&said, &gold) as f64;
    let rate = if gold.is_empty() { wrong } else { wrong / gold.len() as f64 };
    Verdict::from(Outcome::scored(1.0 - rate.min(1.0))).with("rate", rate)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{
        super::super::pure::ask::{close, error, score, verdict},
        *,
    };

    /// jiwer 4: `wer` and `cer` of the texts as they are written.
    #[test]
    fn the_rates_of_jiwer() {
        let exact = Wer { compare: Compare::Exact, ..Wer::default() };
        let exact_letters = Cer { compare: Compare::Exact, ..Cer::default() };
        for (gold, said, wer, cer) in GOLDEN {
            let row = json!({"answer": gold});
            close(verdict(&exact, &row, said).parts["rate"].as_f64().unwrap(), *wer);
            close(verdict(&exact_letters, &row, said).parts["rate"].as_f64().unwrap(), *cer);
        }
    }

    const GOLDEN: &[(&str, &str, f64, f64)] = &[
        ("the cat sat on the mat", "the cat sat on mat", 0.16666666666666666, 0.18181818181818182),
        ("the cat sat on the mat", "a dog stood by the door at night", 1.1666666666666667, 1.0454545454545454),
        ("police killed the gunman", "the gunman police killed", 1.0, 0.9166666666666666),
        ("one two three four five six", "six five four three two one", 1.0, 0.8148148148148148),
        ("to be or not to be", "to be to be to be", 0.3333333333333333, 0.2777777777777778),
        (
            "a quick brown fox jumps over the lazy dog",
            "a quick brown fox jumped over the lazy dog again",
            0.2222222222222222,
            0.1951219512195122,
        ),
    ];

    #[test]
    fn case_and_punctuation_do_not_count_unless_told() {
        let row = json!({"answer": "Hello, World!"});
        close(score(&Wer::default(), &row, "hello world"), 1.0);
        close(score(&Cer::default(), &row, "hello world"), 1.0);
        close(score(&Wer { compare: Compare::Exact, ..Wer::default() }, &row, "hello world"), 0.0);
        close(score(&Wer::default(), &row, "a b c d e f"), 0.0);
        close(score(&Wer::default(), &json!({"answer": ""}), ""), 1.0);
        close(score(&Wer::default(), &json!({"answer": ""}), "x"), 0.0);
        assert!(error(&Wer::default(), &json!({"answer": [1]}), "x").contains("`answer`"));
    }
}
