//! `catalogue`: whether recommendations exist and are new.

use std::collections::{HashMap, HashSet};

use cohort_core::Outcome;
use serde::{Deserialize, Serialize};

use super::{
    super::{Described, Verdict, VerifierError, View, columns, columns::Fault, pure::Pure, reading},
    titles::{self, Title},
};

/// The share of the completion's lines that are titles of the catalogue, neither seen before nor said twice; 0 of no lines.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Catalogue {
    pub years: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
}

impl Pure for Catalogue {
    const DESCRIBED: Described = Described {
        name: "catalogue",
        summary: "share of the recommended titles that the catalogue has, neither seen before nor repeated",
        range: "0..1",
        reads: &[
            "completion: a title a line, as `Title (1999)`",
            "catalogue: a list of titles",
            "seen: titles of the dialogue, where there are any",
        ],
        parameters: &[
            ("years", "how far years may lie apart; 0 unless told"),
            ("tag", "the tag that holds the list; without it, the whole completion"),
        ],
        source: "Rank-GRPO (ConvRec-R1), catalogue and seen checks",
    };

    fn check(&self) -> Result<(), VerifierError> {
        reading::check_tag("tag", self.tag.as_deref())
    }

    fn verdict(&self, view: &View) -> Result<Verdict, Fault> {
        let catalogue = Shelf::of(columns::texts(view, "catalogue")?);
        let seen = Shelf::of(columns::texts_if_any(view, "seen")?);
        let lines = titles::lines(reading::part(self.tag.as_deref(), view.completion).unwrap_or(""));
        let mut said = HashSet::new();
        let valid = |title: &Title| catalogue.has(title, self.years) && !seen.has(title, self.years);
        let good = lines.iter().flatten().filter(|title| said.insert(title.name.clone()) && valid(title)).count();
        let share = if lines.is_empty() { 0.0 } else { good as f64 / lines.len() as f64 };
        Ok(Verdict::from(Outcome::scored(share)).with("lines", lines.len()).with("valid", good))
    }
}

/// Titles, found by name.
pub(super) struct Shelf(HashMap<String, Vec<Title>>);

impl Shelf {
    pub(super) fn of(titles: Vec<String>) -> Self {
        let mut shelf: HashMap<String, Vec<Title>> = HashMap::new();
        for title in titles.iter().filter_map(|line| Title::read(line)) {
            shelf.entry(title.name.clone()).or_default().push(title);
        }
        Self(shelf)
    }

    pub(super) fn has(&self, title: &Title, years: u32) -> bool {
        self.0.get(&title.name).is_some_and(|found| found.iter().any(|other| other.is(title, years)))
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
    fn titles_must_exist_once_and_be_new() {
        let row = json!({"catalogue": ["Heat (1995)", "Alien (1979)", "Up"], "seen": ["Up"]});
        for (completion, expected) in [
            ("Heat (1995)\nalien (1979)", 1.0),
            ("1. Heat (1995)\n2. Alien (1980)", 0.5),
            ("- Heat (1995)\n- Heat (1995)", 0.5),
            ("Up (2009)", 0.0),
            ("Heat", 1.0),
            ("Nothing (1990)\n(1995)", 0.0),
            ("", 0.0),
        ] {
            close(score(&Catalogue::default(), &row, completion), expected);
        }
        close(score(&Catalogue { years: 2, tag: None }, &row, "Alien (1980)"), 1.0);
        assert!(error(&Catalogue::default(), &json!({}), "x").contains("`catalogue`"));
    }
}
