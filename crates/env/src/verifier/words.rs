//! Texts as sequences: of characters, or of words.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

/// Units beyond this many are not looked at: a bound on time for texts that no answer needs.
pub(super) const LONGEST: usize = 200_000;

/// What a text is a sequence of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Unicode scalar values.
    #[default]
    Characters,
    /// What stands between blanks, as it is written.
    Words,
    /// Lines, without their ends.
    Lines,
}

impl Unit {
    /// The units of a text, the first 200,000.
    pub(super) fn split(self, text: &str) -> Vec<&str> {
        match self {
            Unit::Characters => text.char_indices().take(LONGEST).map(|(i, c)| &text[i..i + c.len_utf8()]).collect(),
            Unit::Words => text.split_whitespace().take(LONGEST).collect(),
            Unit::Lines => text.lines().take(LONGEST).collect(),
        }
    }
}

/// Runs of letters and digits in lower case, the first 200,000: how ROUGE sees a text, for any script.
pub(super) fn words(text: &str) -> Vec<String> {
    let lower = text.to_lowercase();
    lower.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty()).take(LONGEST).map(str::to_owned).collect()
}

/// Equal units as equal numbers, counted from 0 in the order in which they are first met.
#[derive(Default)]
pub(super) struct Numbered<'a>(HashMap<&'a str, u32>);

impl<'a> Numbered<'a> {
    pub(super) fn ids<T: AsRef<str> + ?Sized + 'a>(&mut self, units: impl IntoIterator<Item = &'a T>) -> Vec<u32> {
        let mut ids = Vec::new();
        for unit in units {
            let next = u32::try_from(self.0.len()).unwrap_or(u32::MAX);
            ids.push(*self.0.entry(unit.as_ref()).or_insert(next));
        }
        ids
    }
}

/// How often each run of `n` units occurs.
pub(super) fn ngrams<T: Eq + std::hash::Hash>(units: &[T], n: usize) -> HashMap<&[T], usize> {
    let mut counts = HashMap::new();
    for run in units.windows(n.max(1)) {
        *counts.entry(run).or_default() += 1;
    }
    counts
}
