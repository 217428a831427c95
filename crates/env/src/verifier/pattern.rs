//! `regex`: whether a completion has a form.

use cohort_core::Outcome;
use regex::{Regex, RegexBuilder};
use serde::{Deserialize, Serialize};

use super::{Configured, Described, Means, Verdict, Verifier, VerifierError, View};

/// How much of the completion must match.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// All of it.
    #[default]
    Full,
    /// Any part.
    Search,
}

/// What a `.` matches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Dot {
    /// All but a newline.
    #[default]
    Line,
    /// Newlines, too.
    Any,
}

/// 1 where the completion matches, else 0. The regular expressions are those of the `regex`
/// crate: they take time linear in the text, and know no look-around and no back-references.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pattern {
    /// The regular expression.
    pub pattern: String,
    /// Where it must match.
    #[serde(default)]
    pub mode: Mode,
    /// What `.` matches.
    #[serde(default)]
    pub dot: Dot,
}

impl Configured for Pattern {
    const DESCRIBED: Described = Described {
        name: "regex",
        summary: "1 where the completion has a form, else 0",
        range: "0 or 1",
        reads: &["completion"],
        parameters: &[
            ("pattern", "a regular expression, in linear time: no look-around, no back-references"),
            ("mode", "\"full\" (default): all of the completion must match; \"search\": any part"),
            ("dot", "what a `.` matches: \"line\" (default), all but a newline; \"any\""),
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

impl Pattern {
    /// # Errors
    /// A pattern that is not one.
    fn verifier(&self) -> Result<Matches, VerifierError> {
        let compile = |pattern: &str| {
            RegexBuilder::new(pattern)
                .dot_matches_new_line(self.dot == Dot::Any)
                .build()
                .map_err(|error| VerifierError::BadPattern { reason: error.to_string() })
        };
        // Compiled as it stands first, so that an error shows what the recipe wrote.
        let search = compile(&self.pattern)?;
        Ok(Matches(match self.mode {
            Mode::Search => search,
            Mode::Full => compile(&format!(r"\A(?:{})\z", self.pattern))?,
        }))
    }
}

struct Matches(Regex);

impl Verifier for Matches {
    fn name(&self) -> &str {
        "regex"
    }

    fn range(&self) -> (f64, f64) {
        (0.0, 1.0)
    }

    fn score(&self, view: &View) -> Verdict {
        Outcome::pass_if(self.0.is_match(view.completion)).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{judge_one, task::arithmetic, testing};

    fn score(pattern: &str, mode: Mode, dot: Dot, completion: &str) -> f64 {
        let item = testing::item("p", "{}");
        let verifier = Pattern { pattern: pattern.into(), mode, dot }.verifier().unwrap();
        judge_one(&verifier, &testing::view(&item, completion)).outcome.value().unwrap()
    }

    #[test]
    fn all_of_it_or_any_part() {
        assert_eq!(score("a|ab", Mode::Full, Dot::Line, "ab"), 1.0);
        assert_eq!(score("ab", Mode::Full, Dot::Line, "xab"), 0.0);
        assert_eq!(score("ab", Mode::Full, Dot::Line, "ab\n"), 0.0);
        assert_eq!(score("ab", Mode::Search, Dot::Line, "xaby"), 1.0);
        assert_eq!(score("ab", Mode::Search, Dot::Line, "ba"), 0.0);
    }

    #[test]
    fn a_dot_may_take_newlines() {
        assert_eq!(score("a.*b", Mode::Full, Dot::Line, "a\nb"), 0.0);
        assert_eq!(score("a.*b", Mode::Full, Dot::Any, "a\nb"), 1.0);
    }

    #[test]
    fn the_arithmetic_format_takes_every_solution_and_no_damaged_one() {
        let format = "<think>[^<>]*</think><answer>[^<>]*</answer>";
        for (a, b) in (10..100).flat_map(|a| (10..100).map(move |b| (a, b))).step_by(37) {
            let text = arithmetic::solution(a, b);
            assert_eq!(score(format, Mode::Full, Dot::Line, &text), 1.0, "{text}");
            assert_eq!(score(format, Mode::Full, Dot::Line, &text[1..]), 0.0, "{text}");
            assert_eq!(score(format, Mode::Full, Dot::Line, &format!("{text}.")), 0.0, "{text}");
        }
    }

    #[test]
    fn a_pattern_that_is_none_is_shown_as_written() {
        for mode in [Mode::Full, Mode::Search] {
            let error = Pattern { pattern: "(ab".into(), mode, dot: Dot::Line }.verifier().err().unwrap().to_string();
            assert!(
                error.contains("`pattern`") && error.contains("unclosed group") && !error.contains(r"\A"),
                "{error}"
            );
        }
    }
}
