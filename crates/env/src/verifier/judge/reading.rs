//! What a judge's words say: a number, several, or which of two is better.

use regex::Regex;
use serde::{Deserialize, Serialize};
use serde_json::{Deserializer, Map, Value};

use crate::verifier::{VerifierError, reading};

/// Where the score is in what a judge says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Reading {
    /// In this field of the last JSON object that has it; a number that stands alone is read too.
    Json(String),
    /// The last number.
    Number,
    /// What the last match of a regular expression captures, or the whole match where nothing is captured.
    Regex(String),
}

impl Default for Reading {
    fn default() -> Self {
        Reading::Json("score".to_owned())
    }
}

/// A reading that is ready.
pub(super) enum Reader {
    Json(String),
    Number,
    Regex(Regex),
}

impl Reading {
    /// # Errors
    /// An expression that is none, or that captures more than one thing.
    pub(super) fn reader(&self) -> Result<Reader, VerifierError> {
        Ok(match self {
            Reading::Json(field) => Reader::Json(field.clone()),
            Reading::Number => Reader::Number,
            Reading::Regex(pattern) => {
                let regex = Regex::new(pattern).map_err(|e| VerifierError::BadPattern { reason: e.to_string() })?;
                if regex.captures_len() > 2 {
                    let got = pattern.clone();
                    return Err(VerifierError::BadText {
                        parameter: "read",
                        got,
                        expected: "captures one thing at most",
                    });
                }
                Reader::Regex(regex)
            }
        })
    }
}

impl Reader {
    /// The score in `said`, if there is one: any finite number.
    pub(super) fn score(&self, said: &str) -> Option<f64> {
        match self {
            Reader::Json(field) => {
                object_with(said, |object| object.get(field).and_then(number)).or_else(|| alone(said))
            }
            Reader::Number => reading::numbers(said).pop(),
            Reader::Regex(regex) => {
                let last = regex.captures_iter(said).last()?;
                alone(last.get(1).or_else(|| last.get(0))?.as_str())
            }
        }
    }
}

/// A number a name, where one object has them all.
pub(super) fn scores(said: &str, names: &[&str]) -> Option<Vec<f64>> {
    object_with(said, |object| names.iter().map(|name| object.get(*name).and_then(number)).collect())
}

/// Which of two is better: 1 the first, 0 the second, 1/2 neither.
pub(super) fn winner(said: &str) -> Option<f64> {
    let word = object_with(said, |object| object.get("winner")?.as_str().map(str::to_owned));
    let word = word.unwrap_or_else(|| said.trim().to_owned());
    match word.trim_matches(|c: char| !c.is_alphanumeric()).to_ascii_lowercase().as_str() {
        "a" => Some(1.0),
        "b" => Some(0.0),
        "tie" => Some(0.5),
        _ => None,
    }
}

/// A text that is one finite number.
fn alone(text: &str) -> Option<f64> {
    text.trim().parse().ok().filter(|x: &f64| x.is_finite())
}

/// A number, or a text that is one.
fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64().filter(|x| x.is_finite()),
        Value::String(text) => alone(text),
        _ => None,
    }
}

/// Braces that are tried, from the end.
const MOST_BRACES: usize = 64;

/// What `take` finds in the last JSON object that has it. Of objects within another the outer one is asked after.
fn object_with<R>(said: &str, take: impl Fn(&Map<String, Value>) -> Option<R>) -> Option<R> {
    said.rmatch_indices('{').take(MOST_BRACES).find_map(|(at, _)| {
        let object = Deserializer::from_str(&said[at..]).into_iter::<Map<String, Value>>().next()?.ok()?;
        take(&object)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_score_is_found_where_it_was_asked_for() {
        let read = |reading: Reading, said: &str| reading.reader().unwrap().score(said);
        let json = |said| read(Reading::default(), said);
        for (said, score) in [
            (r#"{"score": 7}"#, Some(7.0)),
            ("```json\n{\"reason\": \"a {brace}\", \"score\": 0.5}\n```\nDone.", Some(0.5)),
            (r#"{"score": 1} then {"score": 2}"#, Some(2.0)),
            (r#"{"reason": {"score": 3}, "score": 4}"#, Some(3.0)),
            (r#"{"score": "8"}"#, Some(8.0)),
            (" 6.5 ", Some(6.5)),
            (r#"{"score": NaN}"#, None),
            (r#"{"score": 1e999}"#, None),
            (r#"{"score": null}"#, None),
            ("NaN", None),
            ("I would say 7", None),
            ("{\"score\": 7", None),
            ("", None),
        ] {
            assert_eq!(json(said), score, "{said}");
        }
        assert_eq!(read(Reading::Number, "between 3 and 4"), Some(4.0));
        assert_eq!(read(Reading::Number, "none"), None);
        let regex = || Reading::Regex(r"(?i)score:\s*(\S+)".to_owned());
        assert_eq!(read(regex(), "Score: 2\nscore: 9"), Some(9.0));
        assert_eq!(read(regex(), "score: NaN"), None);
        assert!(Reading::Regex("(a)(b)".to_owned()).reader().is_err());
        assert!(Reading::Regex("(".to_owned()).reader().is_err());
    }

    #[test]
    fn braces_without_end_take_no_long() {
        assert_eq!(Reading::default().reader().unwrap().score(&"{\"a\":".repeat(200_000)), None);
    }

    #[test]
    fn rubrics_and_winners() {
        let said = r#"{"clear": 3, "right": 10, "why": "x"}"#;
        assert_eq!(scores(said, &["right", "clear"]), Some(vec![10.0, 3.0]));
        assert_eq!(scores(said, &["right", "short"]), None);
        for (said, who) in [
            (r#"{"winner": "A"}"#, Some(1.0)),
            (r#"{"why": "..", "winner": "b"}"#, Some(0.0)),
            (r#"{"winner": "tie"}"#, Some(0.5)),
            ("**B**", Some(0.0)),
            ("A is better", None),
            ("", None),
        ] {
            assert_eq!(winner(said), who, "{said}");
        }
    }

    const CORPUS: &[&str] = &[
        "Because it is right.\n{\"score\": 7, \"right\": 3, \"brief\": \"2\"}",
        "```json\n{\"reason\": {\"score\": 1}, \"score\": 0.5}\n```",
        "Score: 9/10 {\"winner\": \"A\"} tie B",
    ];
    const MARKS: &[&str] =
        &["{", "}", "\"", ":", ",", "1e999", "NaN", "-", ".", "{\"score\":", "\"winner\"", "A", "é", "\n"];

    proptest::proptest! {
        #![proptest_config(proptest::test_runner::Config::with_cases(cohort_testing::cases()))]

        /// Any words are a finite number, or none.
        #[test]
        fn any_words_are_read(number in proptest::num::u64::ANY) {
            let bytes = cohort_testing::mutated(CORPUS, MARKS, number);
            let said = String::from_utf8_lossy(&bytes);
            for reader in [Reader::Json("score".to_owned()), Reader::Number] {
                proptest::prop_assert!(reader.score(&said).is_none_or(f64::is_finite), "{}", said);
            }
            proptest::prop_assert!(scores(&said, &["right", "brief"]).is_none_or(|s| s.len() == 2 && s.iter().all(|x| x.is_finite())));
            proptest::prop_assert!(winner(&said).is_none_or(|w| [0.0, 0.5, 1.0].contains(&w)), "{}", said);
        }
    }
}
