//! A completion as a ranking, and the column `relevance` that says what each document is worth.

use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::super::{View, columns, columns::Fault, fenced, reading};

/// How a document of a list is counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum First {
    /// From 0 where the completion names 0, from 1 where it names as many as there are documents, else from 0.
    #[default]
    Auto,
    /// The first document is 0.
    Zero,
    /// The first document is 1.
    One,
}

/// What each document is worth.
pub(super) struct Relevance {
    pub gains: HashMap<String, f64>,
    /// Documents are positions in a list.
    counted: bool,
}

impl Relevance {
    /// The column `relevance`: a list (document i is worth the i-th number) or an object of documents.
    ///
    /// # Errors
    /// Another kind of column, or a negative number in it.
    pub(super) fn read(view: &View) -> Result<Self, Fault> {
        let expected = "a list of numbers of at least 0, or an object of documents and such numbers";
        let column = columns::value(view, "relevance", expected)?;
        let (gains, counted): (Option<HashMap<_, _>>, _) = match column {
            Value::Array(list) => {
                (list.iter().enumerate().map(|(i, n)| Some((i.to_string(), worth(n)?))).collect(), true)
            }
            Value::Object(map) => (map.iter().map(|(id, n)| Some((bare(id), worth(n)?))).collect(), false),
            _ => (None, false),
        };
        let gains = gains.ok_or_else(|| columns::fault(view, "relevance", expected))?;
        Ok(Self { gains, counted })
    }

    /// The documents that the completion names, best first; those of one inner list share their place.
    pub(super) fn ranked(&self, text: &str, first: First) -> Ranked {
        let mut places = match reading::json(text) {
            Some(Value::Object(map)) => {
                // `{"ranking": [..]}` and the like, or documents with their scores.
                match map.values().find_map(Value::as_array) {
                    Some(list) => places_of(list, 0),
                    None => by_score(map.iter().filter_map(|(id, n)| Some((bare(id), n.as_f64()?)))),
                }
            }
            Some(Value::Array(list)) => places_of(&list, if self.counted { self.gains.len() } else { 0 }),
            Some(_) | None => self.words(fenced::block_or_all(text)),
        };
        if self.counted {
            let mut ids = places.iter().flatten();
            let last = self.gains.len().to_string();
            let from_one = match first {
                First::Zero => false,
                First::One => true,
                First::Auto => !places.iter().flatten().any(|id| id == "0") && ids.any(|id| *id == last),
            };
            if from_one {
                for id in places.iter_mut().flatten() {
                    *id = id.parse().ok().and_then(|n: u64| n.checked_sub(1)).map_or("?".into(), |n| n.to_string());
                }
            }
        }
        Ranked::new(places, self)
    }

    /// Names in plain text: `[3] > [1]`, `3, 1`, or one a line.
    fn words(&self, text: &str) -> Vec<Vec<String>> {
        if self.counted {
            let whole = |n: &f64| n.fract() == 0.0 && (0.0..9e15).contains(n);
            return reading::numbers(text).iter().filter(|n| whole(n)).map(|n| vec![format!("{n:.0}")]).collect();
        }
        let split: Vec<&str> = match () {
            () if text.contains('>') => text.split('>').collect(),
            () if text.contains('\n') => text.lines().collect(),
            () if text.contains(',') => text.split(',').collect(),
            () => text.split_whitespace().collect(),
        };
        split
            .into_iter()
            .map(|word| bare(listed(word, &self.gains)))
            .filter(|w| !w.is_empty())
            .map(|w| vec![w])
            .collect()
    }
}

/// What a completion ranks. A place that a document already had is empty, and so is one of an unknown document.
pub(super) struct Ranked {
    /// Gains of the places, best first; an inner list shares its places.
    pub gains: Vec<Vec<f64>>,
    pub unknown: usize,
    pub repeated: usize,
}

impl Ranked {
    fn new(places: Vec<Vec<String>>, relevance: &Relevance) -> Self {
        let (mut seen, mut unknown, mut repeated) = (HashSet::new(), 0, 0);
        let mut gain = |id: String| match relevance.gains.get(&id) {
            None => {
                unknown += 1;
                0.0
            }
            Some(_) if !seen.insert(id) => {
                repeated += 1;
                0.0
            }
            Some(&gain) => gain,
        };
        let gains = places.into_iter().map(|tied| tied.into_iter().map(&mut gain).collect()).collect();
        Self { gains, unknown, repeated }
    }
}

fn worth(value: &Value) -> Option<f64> {
    value.as_f64().filter(|n| n.is_finite() && *n >= 0.0)
}

/// A list is a ranking; of `counted` documents with a number that is no whole one, it is their scores.
fn places_of(list: &[Value], counted: usize) -> Vec<Vec<String>> {
    let numbers: Option<Vec<f64>> = list.iter().map(Value::as_f64).collect();
    match numbers {
        Some(scores) if scores.len() == counted && scores.iter().any(|n| n.fract() != 0.0) => {
            by_score(scores.into_iter().enumerate().map(|(i, score)| (i.to_string(), score)))
        }
        _ => list.iter().filter_map(columns::word).map(|id| vec![bare(&id)]).collect(),
    }
}

/// The greatest score first; equal scores share their places.
fn by_score(scores: impl Iterator<Item = (String, f64)>) -> Vec<Vec<String>> {
    let mut scores: Vec<(String, f64)> = scores.collect();
    scores.sort_by(|a, b| b.1.total_cmp(&a.1));
    scores.chunk_by(|a, b| a.1 == b.1).map(|tied| tied.iter().map(|(id, _)| id.clone()).collect()).collect()
}

/// A document's name without brackets, quotes and blanks around: `[12]` is `12`.
fn bare(id: &str) -> String {
    id.trim().trim_matches(|c: char| matches!(c, '[' | ']' | '"' | '\'' | '`') || c.is_whitespace()).to_owned()
}

/// A line without its mark of a list, `1.`, `2)`, `-` or `*`, unless the line itself is a document.
fn listed<'a>(line: &'a str, known: &HashMap<String, f64>) -> &'a str {
    let line = line.trim();
    if known.contains_key(line) {
        return line;
    }
    let rest = line.trim_start_matches(|c: char| c.is_ascii_digit());
    let mark = if rest.len() < line.len() { &['.', ')'][..] } else { &['-', '*'][..] };
    rest.strip_prefix(mark).map_or(line, str::trim_start)
}
