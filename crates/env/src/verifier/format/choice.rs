//! `multiple_choice`: the letter of an option.

use cohort_core::Outcome;
use serde::{Deserialize, Serialize};

use super::super::{Described, Verdict, VerifierError, View, columns, columns::Fault, pure::Pure, reading};

/// Where the letter stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Letter {
    /// The text starts with it: `B`, `(b)`, `B. Paris`, `\boxed{B}`; or it is the only capital letter that stands alone.
    #[default]
    Found,
    /// The text is the letter.
    Alone,
}

/// 1 where the completion's option is the row's, else 0; options are the letters A to `last`, in either case where they stand first. A text that names
/// several options has none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct MultipleChoice {
    pub letter: Letter,
    pub last: char,
    pub column: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
}

impl Default for MultipleChoice {
    fn default() -> Self {
        Self { letter: Letter::default(), last: 'Z', column: "answer".into(), tag: None }
    }
}

impl Pure for MultipleChoice {
    const DESCRIBED: Described = Described {
        name: "multiple_choice",
        summary: "1 where the completion's option letter is the row's, else 0",
        range: "0 or 1",
        reads: &["completion", "the column `answer`, or the one that `column` names: `B`, `(B)` or `B. Paris`"],
        parameters: &[
            (
                "letter",
                "\"found\" (default): first in the text, or the only capital alone; \"alone\": the text is the letter",
            ),
            ("last", "the last option's letter; Z unless told"),
            ("column", "the row's column; answer unless told"),
            ("tag", "the tag that holds the answer; without it, the whole completion"),
        ],
        source: "Video-R1, Temporal-R1, Med-R1",
    };

    fn check(&self) -> Result<(), VerifierError> {
        reading::check_tag("tag", self.tag.as_deref())?;
        if self.last.is_ascii_uppercase() {
            return Ok(());
        }
        Err(VerifierError::BadText { parameter: "last", got: self.last.into(), expected: "a letter of A to Z" })
    }

    fn verdict(&self, view: &View) -> Result<Verdict, Fault> {
        let gold = columns::text(view, &self.column)?;
        let gold = self
            .found(gold.trim(), Letter::Found)
            .ok_or_else(|| columns::fault(view, &self.column, "an option's letter"))?;
        let said = reading::part(self.tag.as_deref(), view.completion).and_then(|text| self.found(text, self.letter));
        Ok(Outcome::pass_if(said == Some(gold)).into())
    }

    fn answer(&self, completion: &str) -> Option<String> {
        let text = reading::part(self.tag.as_deref(), completion)?;
        self.found(text, self.letter).map(String::from)
    }
}

impl MultipleChoice {
    fn found(&self, text: &str, letter: Letter) -> Option<char> {
        let option = |word: &str| -> Option<char> {
            let mut letters = word.chars();
            let only = letters.next().filter(|_| letters.next().is_none())?.to_ascii_uppercase();
            ('A'..=self.last).contains(&only).then_some(only)
        };
        let edge =
            |c: char| c.is_whitespace() || matches!(c, '(' | ')' | '[' | ']' | '{' | '}' | '.' | ':' | '*' | '$');
        let text = text.trim();
        let text = text.strip_prefix("\\boxed").or_else(|| text.strip_prefix("$\\boxed")).unwrap_or(text);
        if let Some(only) = option(text.trim_matches(edge)) {
            return Some(only);
        }
        if letter == Letter::Alone {
            return None;
        }
        let words: Vec<&str> = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
        let mut capitals: Vec<char> =
            words.iter().filter(|w| w.chars().all(|c| c.is_ascii_uppercase())).filter_map(|w| option(w)).collect();
        // `B. Paris`, `(b) Paris`: a letter, a mark, and then the option's words. `A cat` and `I think` are words.
        let first = text.trim_start_matches(edge);
        let marked = first.chars().nth(1).is_some_and(|c| matches!(c, '.' | ')' | ':' | ']' | '}'));
        capitals.sort_unstable();
        capitals.dedup();
        match (first.get(..1).filter(|_| marked).and_then(option), &capitals[..]) {
            (Some(letter), []) => Some(letter),
            (Some(letter), [only]) if *only == letter => Some(letter),
            (None, [only]) => Some(*only),
            _ => None,
        }
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
    fn one_letter_is_the_option() {
        let row = json!({"answer": "B"});
        let four = MultipleChoice { last: 'D', ..MultipleChoice::default() };
        for (completion, expected) in [
            ("B", 1.0),
            ("(b)", 1.0),
            ("B. Paris", 1.0),
            ("b) Paris", 1.0),
            ("\\boxed{B}", 1.0),
            ("The answer is B.", 1.0),
            ("**B**", 1.0),
            ("I think it is B", 1.0),
            ("B or C", 0.0),
            ("B. C", 0.0),
            ("A", 0.0),
            ("Because", 0.0),
            ("ABCD", 0.0),
            ("é", 0.0),
            ("", 0.0),
        ] {
            assert_eq!(score(&four, &row, completion), expected, "{completion}");
        }
        let alone = MultipleChoice { letter: Letter::Alone, tag: Some("answer".into()), ..four };
        close(score(&alone, &row, "<answer> B </answer>"), 1.0);
        close(score(&alone, &row, "<answer>B. Paris</answer>"), 0.0);
        close(score(&alone, &row, "B"), 0.0);
        close(score(&alone, &json!({"answer": "(B) Paris"}), "<answer>B</answer>"), 1.0);
        assert_eq!(Pure::answer(&alone, "<answer>b</answer>").as_deref(), Some("B"));
        assert!(error(&alone, &json!({"answer": "Paris is it"}), "B").contains("`answer`"));
        assert!(Pure::check(&MultipleChoice { last: 'z', ..MultipleChoice::default() }).is_err());
    }
}
