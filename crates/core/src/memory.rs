//! What a method remembers across steps, and a checkpoint keeps.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Numbers of the run and of single prompts, by name. Methods put down here what their formula carries from
/// step to step (a running mean, a prompt's fewest calls); a checkpoint saves it whole.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Memory {
    run: BTreeMap<String, f64>,
    prompts: BTreeMap<String, BTreeMap<String, f64>>,
}

impl Memory {
    pub fn run(&self, name: &str) -> Option<f64> {
        self.run.get(name).copied()
    }

    pub fn set_run(&mut self, name: &str, value: f64) {
        self.run.insert(name.to_owned(), value);
    }

    /// What is remembered of the prompt `key`.
    pub fn prompt(&self, key: &str, name: &str) -> Option<f64> {
        self.prompts.get(key)?.get(name).copied()
    }

    pub fn set_prompt(&mut self, key: &str, name: &str, value: f64) {
        self.prompts.entry(key.to_owned()).or_default().insert(name.to_owned(), value);
    }
}
