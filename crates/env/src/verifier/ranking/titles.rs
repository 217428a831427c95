//! Recommendations: one title a line, with a year or without.

use std::sync::LazyLock;

use regex::Regex;

use super::super::reading;

/// A title as it is compared, and its year where one is given.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Title {
    pub name: String,
    pub year: Option<i64>,
}

/// `1. The Title (1999)`.
static LINE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"\A\s*(?:(?:\d{1,3}[.)]|[-*])\s+)?(.*?)\s*(?:\((\d{4})\))?\s*\z").expect("a constant")
});

impl Title {
    /// `None` of a line without a name.
    pub(super) fn read(line: &str) -> Option<Self> {
        let found = LINE.captures(line)?;
        let name = reading::normal(found.get(1)?.as_str());
        let year = found.get(2).and_then(|year| year.as_str().parse().ok());
        (!name.is_empty()).then_some(Self { name, year })
    }

    /// The same name, and years that are no more than `years` apart where both are given.
    pub(super) fn is(&self, other: &Self, years: u32) -> bool {
        self.name == other.name
            && match (self.year, other.year) {
                (Some(a), Some(b)) => a.abs_diff(b) <= u64::from(years),
                _ => true,
            }
    }
}

/// The lines of a completion that hold anything; `None` where one is no title.
pub(super) fn lines(text: &str) -> Vec<Option<Title>> {
    text.lines().filter(|line| !line.trim().is_empty()).map(Title::read).collect()
}
