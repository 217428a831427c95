//! `repetition` and `redundancy`: how little a text says twice.

use std::collections::HashSet;

use cohort_core::Outcome;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::super::{
    Described, Verdict, VerifierError, View,
    columns::Fault,
    pure::{Pure, at_least},
    reading,
    words::{Numbered, ngrams, words},
};

/// Distinct runs of n words over all runs, in 0..1; 1 of a text too short for two.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Repetition {
    pub n: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
}

impl Default for Repetition {
    fn default() -> Self {
        Self { n: 4, tag: None }
    }
}

impl Pure for Repetition {
    const DESCRIBED: Described = Described {
        name: "repetition",
        summary: "share of distinct n-grams: 1 of a text that repeats nothing",
        range: "0..1",
        reads: &["completion"],
        parameters: &[
            ("n", "words in a run; 4 unless told"),
            ("tag", "the tag that is looked at; without it, the whole completion"),
        ],
        source: "Li et al. 2016 (distinct-n)",
    };

    fn check(&self) -> Result<(), VerifierError> {
        reading::check_tag("tag", self.tag.as_deref())?;
        at_least("n", self.n as f64, 1.0, "at least 1")
    }

    fn verdict(&self, view: &View) -> Result<Verdict, Fault> {
        let said = words(reading::part(self.tag.as_deref(), view.completion).unwrap_or(""));
        let said = Numbered::default().ids(&said);
        let runs = (said.len() + 1).saturating_sub(self.n);
        let distinct = ngrams(&said, self.n).len();
        Ok(Outcome::scored(if runs == 0 { 1.0 } else { distinct as f64 / runs as f64 }).into())
    }
}

/// What a text is a list of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Items {
    /// What ends with `.`, `!`, `?` or a line.
    #[default]
    Sentences,
    /// Lines that are not blank.
    Lines,
    /// The elements of a JSON list; a text that is none has no items.
    Json,
}

/// Distinct items over items, in 0..1; 0 of none. Items are compared in lower case and without the blanks around. With `most`, 1 where no more
/// than `most` items are repeated, else 0.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Redundancy {
    pub items: Items,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub most: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
}

impl Pure for Redundancy {
    const DESCRIBED: Described = Described {
        name: "redundancy",
        summary: "share of distinct sentences, lines or elements: 1 where nothing is said twice",
        range: "0..1",
        reads: &["completion"],
        parameters: &[
            ("items", "\"sentences\" (default), \"lines\" or \"json\": the elements of a list"),
            ("most", "with it, 1 where no more items than this are repeated, else 0"),
            ("tag", "the tag that is looked at; without it, the whole completion"),
        ],
        source: "Affordance-R1 (repeated sentences, most = 1), Reason-RFT (unique over total)",
    };

    fn check(&self) -> Result<(), VerifierError> {
        reading::check_tag("tag", self.tag.as_deref())
    }

    fn verdict(&self, view: &View) -> Result<Verdict, Fault> {
        let text = reading::part(self.tag.as_deref(), view.completion).unwrap_or("");
        let items: Vec<String> = match self.items {
            Items::Sentences => text.split(['.', '!', '?', '\n']).map(reading::normal).collect(),
            Items::Lines => text.lines().map(reading::normal).collect(),
            Items::Json => match reading::json(text) {
                Some(Value::Array(list)) => list.iter().map(|item| reading::normal(&item.to_string())).collect(),
                _ => Vec::new(),
            },
        };
        let items: Vec<String> = items.into_iter().filter(|item| !item.is_empty()).collect();
        let distinct = items.iter().collect::<HashSet<_>>().len();
        let repeated = items.len() - distinct;
        let outcome = match self.most {
            _ if items.is_empty() => Outcome::scored(0.0),
            Some(most) => Outcome::pass_if(repeated <= most),
            None => Outcome::scored(distinct as f64 / items.len() as f64),
        };
        Ok(Verdict::from(outcome).with("items", items.len()).with("repeated", repeated))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{
        super::super::pure::ask::{close, score},
        *,
    };

    #[test]
    fn runs_that_come_again_cost() {
        let none = json!({});
        let two = Repetition { n: 2, tag: None };
        for (completion, expected) in
            [("a b c", 1.0), ("a b a b a", 0.5), ("A b. a B", 2.0 / 3.0), ("a", 1.0), ("", 1.0)]
        {
            close(score(&two, &none, completion), expected);
        }
    }

    #[test]
    fn items_that_come_again_cost() {
        let none = json!({});
        close(score(&Redundancy::default(), &none, "It is so. it  is so! No."), 2.0 / 3.0);
        close(score(&Redundancy::default(), &none, ""), 0.0);
        let lines = Redundancy { items: Items::Lines, ..Redundancy::default() };
        close(score(&lines, &none, "a\nb\n\na"), 2.0 / 3.0);
        let list = Redundancy { items: Items::Json, ..Redundancy::default() };
        close(score(&list, &none, "[[1, 2], [1, 2]]"), 0.5);
        close(score(&list, &none, "[1, 2"), 0.0);
        let gate = Redundancy { most: Some(1), ..Redundancy::default() };
        close(score(&gate, &none, "a. a. b"), 1.0);
        close(score(&gate, &none, "a. a. a"), 0.0);
    }
}
