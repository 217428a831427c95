//! What was recorded beside the numbers: lengths, calls, answers, noise scales.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// One recorded fact.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Fact {
    Flag(bool),
    Number(f64),
    Text(String),
    /// One number an action (a step size), or one a member of the group.
    List(Vec<f64>),
    /// One row a member of the group (a judge's pairwise verdicts).
    Table(Vec<Vec<f64>>),
}

/// Facts by name. Who reads one names it; a method never guesses what is not there.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Facts(BTreeMap<String, Fact>);

impl Facts {
    pub fn get(&self, name: &str) -> Option<&Fact> {
        self.0.get(name)
    }

    pub fn insert(&mut self, name: impl Into<String>, fact: Fact) {
        self.0.insert(name.into(), fact);
    }

    /// A number; a flag counts as 1 or 0.
    pub fn number(&self, name: &str) -> Option<f64> {
        match self.get(name)? {
            Fact::Number(x) => Some(*x),
            Fact::Flag(flag) => Some(f64::from(u8::from(*flag))),
            Fact::Text(_) | Fact::List(_) | Fact::Table(_) => None,
        }
    }

    pub fn list(&self, name: &str) -> Option<&[f64]> {
        match self.get(name)? {
            Fact::List(list) => Some(list),
            Fact::Flag(_) | Fact::Number(_) | Fact::Text(_) | Fact::Table(_) => None,
        }
    }

    pub fn table(&self, name: &str) -> Option<&[Vec<f64>]> {
        match self.get(name)? {
            Fact::Table(table) => Some(table),
            Fact::Flag(_) | Fact::Number(_) | Fact::Text(_) | Fact::List(_) => None,
        }
    }

    /// A word for comparing: numbers and flags are written out.
    pub fn label(&self, name: &str) -> Option<String> {
        match self.get(name)? {
            Fact::Text(text) => Some(text.clone()),
            Fact::Number(x) => Some(x.to_string()),
            Fact::Flag(flag) => Some(flag.to_string()),
            Fact::List(_) | Fact::Table(_) => None,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &Fact)> {
        self.0.iter().map(|(name, fact)| (name.as_str(), fact))
    }
}
