//! What a data file holds, and which of its columns is what.

use std::path::Path;

use cohort_env::{TaskError, task::rows};
use serde_json::{Map, Value};

/// Rows that are looked at; all are counted.
const LOOKED_AT: usize = 512;
/// Names that columns of prompts and of answers go by, the likeliest first.
const PROMPTS: [&str; 9] =
    ["prompt", "question", "problem", "instruction", "query", "input", "text", "Question", "Problem"];
const ANSWERS: [&str; 12] = [
    "answer",
    "final_answer",
    "ground_truth",
    "gold",
    "target",
    "label",
    "expected_answer",
    "solution",
    "output",
    "response",
    "completion",
    "Answer",
];
const MESSAGES: [&str; 4] = ["messages", "prompt", "conversation", "conversations"];

/// A look at a data file.
pub struct Columns {
    pub rows: usize,
    /// Rows that are no JSON object.
    pub bad: usize,
    pub columns: Vec<Column>,
    pub look: Vec<Map<String, Value>>,
}

/// One column: its name, the types of its values, and an example.
pub struct Column {
    pub name: String,
    pub types: Vec<&'static str>,
    /// Rows of the look that have a value there.
    pub filled: usize,
    pub example: String,
}

impl Columns {
    /// # Errors
    /// A file that cannot be read.
    pub fn of(path: &Path) -> Result<Self, TaskError> {
        let key = "--data";
        let mut found = Self { rows: 0, bad: 0, columns: Vec::new(), look: Vec::new() };
        for row in rows::open(key, path)? {
            let (_, row) = row.map_err(|source| TaskError::Unreadable { key, path: path.into(), source })?;
            match row {
                Ok(row) => {
                    found.rows += 1;
                    if found.look.len() < LOOKED_AT {
                        found.add(&row);
                        found.look.push(row);
                    }
                }
                Err(_) => found.bad += 1,
            }
        }
        Ok(found)
    }

    fn add(&mut self, row: &Map<String, Value>) {
        for (name, value) in row {
            let at = self.columns.iter().position(|c| c.name == *name).unwrap_or_else(|| {
                let name = name.clone();
                self.columns.push(Column { name, types: Vec::new(), filled: 0, example: String::new() });
                self.columns.len() - 1
            });
            let column = &mut self.columns[at];
            if value.is_null() {
                continue;
            }
            let kind = type_of(value);
            if !column.types.contains(&kind) {
                column.types.push(kind);
            }
            if column.filled == 0 {
                column.example = shortened(&value.to_string());
            }
            column.filled += 1;
        }
    }

    fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Value> {
        self.look.iter().filter_map(move |row| row.get(name)).filter(|v| !v.is_null())
    }

    /// Every row of the look has a value there that passes.
    fn all(&self, name: &str, passes: impl Fn(&Value) -> bool) -> bool {
        !self.look.is_empty() && self.values(name).count() == self.look.len() && self.values(name).all(passes)
    }

    fn is_text(&self, name: &str) -> bool {
        self.all(name, |v| v.as_str().is_some_and(|t| !t.trim().is_empty()))
    }

    /// Chat messages that end with what is asked, not with the answer.
    fn is_chat(&self, name: &str) -> bool {
        let role = |m: &Value| m.get("role").and_then(Value::as_str).map(str::to_owned);
        self.all(name, |v| {
            v.as_array()
                .is_some_and(|m| !m.is_empty() && m.iter().all(|m| role(m).is_some() && m.get("content").is_some()))
                && v.as_array().and_then(|m| role(m.last()?)).is_some_and(|role| role != "assistant")
        })
    }

    /// The column of chat messages.
    pub fn messages(&self) -> Option<&'static str> {
        MESSAGES.into_iter().find(|name| self.is_chat(name))
    }

    /// The column of prompts.
    pub fn prompt(&self) -> Option<&'static str> {
        PROMPTS.into_iter().find(|name| self.is_text(name))
    }

    /// The column of answers, other than `prompt`.
    pub fn answer(&self, prompt: Option<&str>) -> Option<&'static str> {
        let is_value = |v: &Value| v.is_number() || v.as_str().is_some_and(|t| !t.trim().is_empty());
        ANSWERS.into_iter().find(|name| Some(*name) != prompt && self.all(name, is_value))
    }

    pub fn has(&self, name: &str) -> bool {
        self.columns.iter().any(|c| c.name == name)
    }

    /// What stands behind a last `####`, as GSM8K has it.
    pub fn is_worked(&self, answer: &str) -> bool {
        self.all(answer, |v| {
            v.as_str().is_some_and(|t| t.rsplit_once("####").is_some_and(|(_, end)| !end.trim().is_empty()))
        })
    }

    /// Answers are numbers, perhaps with thousands separated, behind `####` where they are worked.
    pub fn is_number(&self, answer: &str) -> bool {
        self.all(answer, |v| match v {
            Value::String(text) => {
                let text = text.rsplit("####").next().unwrap_or(text).trim().replace(',', "");
                text.parse::<f64>().is_ok_and(f64::is_finite)
            }
            other => other.is_number(),
        })
    }

    pub fn names(&self) -> String {
        match self.columns.as_slice() {
            [] => "none".to_owned(),
            columns => columns.iter().map(|c| format!("`{}`", c.name)).collect::<Vec<_>>().join(", "),
        }
    }
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "text",
        Value::Array(_) => "list",
        Value::Object(_) => "object",
    }
}

/// One line, of some 60 characters.
fn shortened(text: &str) -> String {
    match text.char_indices().nth(60) {
        Some((at, _)) => format!("{} ..", &text[..at]),
        None => text.to_owned(),
    }
}
