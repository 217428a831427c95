//! `answer`: whether a completion's answer is the row's.

use std::borrow::Cow;

use cohort_core::Outcome;
use regex::Regex;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Configured, Described, Means, Verdict, Verifier, VerifierError, View, number::Number};

/// When two answers are the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Compare {
    /// The same text, but for blanks around it.
    #[default]
    Exact,
    /// The same number, exactly and however long: `1,234.50` is `1234.5`, `$5` is `5`. Where the
    /// answer is found by `tag` or `after`, it must hold exactly one number, with any words.
    Number,
}

/// 1 where the completion's answer is that of the row's column, else 0. The answer is the text
/// in the first `<tag>..</tag>`, or the rest of the line after the last mark `after`, or with
/// neither the last number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    /// The tag's name, such as `answer`. What it holds has no `<` and no `>`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// The mark, such as `####`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// When two answers are the same.
    #[serde(default)]
    pub compare: Compare,
    /// The column that holds the right answer: a text or a number.
    #[serde(default = "answer")]
    pub column: String,
}

fn answer() -> String {
    "answer".into()
}

impl Default for Answer {
    fn default() -> Self {
        Self { tag: None, after: None, compare: Compare::default(), column: answer() }
    }
}

impl Configured for Answer {
    const DESCRIBED: Described = Described {
        name: "answer",
        summary: "1 where the completion's answer is the row's, else 0",
        range: "0 or 1",
        reads: &["completion", "the column `answer`, or the one that `column` names"],
        parameters: &[
            ("tag", "the tag that holds the answer, such as answer; without tag and after, the last number"),
            ("after", "the mark that the answer follows, such as ####"),
            ("compare", "\"exact\" (default), or \"number\""),
            ("column", "the row's column that holds the right answer; answer unless told"),
        ],
        source: "ours",
    };

    fn check(&self) -> Result<(), VerifierError> {
        self.verifier().map(|_| ())
    }

    fn build(&self, _: &Means) -> Result<Box<dyn Verifier>, VerifierError> {
        Ok(Box::new(self.verifier()?))
    }
}

impl Answer {
    /// # Errors
    /// Both `tag` and `after`; a tag or a mark that cannot be one.
    fn verifier(&self) -> Result<SameAnswer, VerifierError> {
        let find = match (&self.tag, &self.after) {
            (Some(_), Some(_)) => return Err(VerifierError::TagAndAfter),
            (Some(tag), None) => Find::Tag(tag_pattern(tag)?),
            (None, Some(mark)) if mark.trim().is_empty() => {
                return Err(VerifierError::BadText {
                    parameter: "after",
                    got: mark.clone(),
                    expected: "a mark such as ####",
                });
            }
            (None, Some(mark)) => Find::After(mark.clone()),
            (None, None) => Find::LastNumber,
        };
        Ok(SameAnswer { find, compare: self.compare, column: self.column.clone() })
    }
}

fn tag_pattern(tag: &str) -> Result<Regex, VerifierError> {
    if tag.is_empty() || tag.contains(|c: char| matches!(c, '<' | '>' | '/') || c.is_whitespace()) {
        return Err(VerifierError::BadText {
            parameter: "tag",
            got: tag.into(),
            expected: "a tag's name without brackets, such as answer",
        });
    }
    let name = regex::escape(tag);
    Regex::new(&format!("<{name}>([^<>]*)</{name}>")).map_err(|e| VerifierError::BadPattern { reason: e.to_string() })
}

enum Find {
    Tag(Regex),
    After(String),
    LastNumber,
}

impl Find {
    /// The text that holds the answer.
    fn text<'a>(&self, completion: &'a str) -> Option<&'a str> {
        match self {
            Find::Tag(pattern) => Some(pattern.captures(completion)?.get(1)?.as_str().trim()),
            Find::After(mark) => {
                let (_, rest) = completion.rsplit_once(mark.as_str())?;
                Some(rest.trim_start().lines().next()?.trim_end())
            }
            Find::LastNumber => Some(completion),
        }
    }

    fn number(&self, completion: &str) -> Option<Number> {
        let text = self.text(completion)?;
        match self {
            Find::Tag(_) | Find::After(_) => Number::only(text),
            Find::LastNumber => Number::last(text),
        }
    }
}

struct SameAnswer {
    find: Find,
    compare: Compare,
    column: String,
}

impl SameAnswer {
    /// The row's answer; the problem is broken where it has none.
    fn gold<'a>(&self, view: &View<'a>) -> Result<Cow<'a, str>, String> {
        let column = &self.column;
        match view.column(column) {
            None => Err(format!("the row has no column `{column}` with its answer ({})", view.item.origin)),
            Some(Value::String(text)) if !text.trim().is_empty() => Ok(text.trim().into()),
            Some(Value::Number(number)) => match number.as_f64() {
                _ if number.is_i64() || number.is_u64() => Ok(number.to_string().into()),
                Some(value) if value.abs() < (1u64 << 53) as f64 => Ok(value.to_string().into()),
                _ => Err(format!(
                    "column `{column}` is {number}, too large to be exact: write it as text ({})",
                    view.item.origin
                )),
            },
            Some(other) => {
                Err(format!("column `{column}` is {other}, and must be a text or a number ({})", view.item.origin))
            }
        }
    }
}

impl Verifier for SameAnswer {
    fn name(&self) -> &str {
        "answer"
    }

    fn range(&self) -> (f64, f64) {
        (0.0, 1.0)
    }

    fn score(&self, view: &View) -> Verdict {
        let gold = match self.gold(view) {
            Ok(gold) => gold,
            Err(reason) => return Outcome::error(reason).into(),
        };
        let outcome = match (self.compare, &self.find) {
            (Compare::Number, _) => match Number::parse(&gold) {
                Some(gold) => Outcome::pass_if(self.find.number(view.completion) == Some(gold)),
                None => Outcome::error(format!(
                    "column `{}` is {gold:?}, and `compare = \"number\"` needs a number ({})",
                    self.column, view.item.origin
                )),
            },
            (Compare::Exact, Find::LastNumber) => {
                Outcome::pass_if(self.find.number(view.completion).is_some_and(|number| number.to_string() == *gold))
            }
            (Compare::Exact, _) => Outcome::pass_if(self.find.text(view.completion) == Some(&*gold)),
        };
        outcome.into()
    }

    fn answer(&self, completion: &str) -> Option<String> {
        match (self.compare, &self.find) {
            (Compare::Number, _) | (_, Find::LastNumber) => self.find.number(completion).map(|n| n.to_string()),
            (Compare::Exact, _) => self.find.text(completion).map(str::to_owned),
        }
    }
}

#[cfg(test)]
#[path = "answer_tests.rs"]
mod tests;
