//! From a file and the command line to the typed recipe, keeping the place of every key.

use std::path::Path;

use cohort_zoo::dotted::insert;
use toml::{
    Table, Value,
    de::{DeTable, DeValue},
};

use super::{
    error::{Place, RecipeError},
    low::Low,
};

/// The recipe as typed, and where its keys stand.
#[derive(Clone, Debug)]
pub struct Source {
    pub file: String,
    text: String,
    /// Keys given by `--set`.
    set: Vec<String>,
    pub low: Low,
}

impl Source {
    /// Reads `path` and applies `overrides` (`KEY=VALUE`, in order).
    pub fn read(path: &Path, overrides: &[String]) -> Result<Self, RecipeError> {
        let file = path.display().to_string();
        let text = std::fs::read_to_string(path)
            .map_err(|e| RecipeError::Unreadable { file: file.clone(), reason: e.to_string() })?;
        Self::parse(file, text, overrides)
    }

    /// The same from a text; `file` names it in errors.
    pub fn parse(file: String, text: String, overrides: &[String]) -> Result<Self, RecipeError> {
        let mut source = Self { file, text, set: Vec::new(), low: Low::default() };
        source.low = source.typed_text()?;
        if overrides.is_empty() {
            return Ok(source);
        }
        let mut table: Table = toml::from_str(&source.text).expect("the text was just parsed");
        for given in overrides {
            let key = apply(&mut table, given)?;
            source.set.push(key);
        }
        let mut path = serde_path_to_error::Track::new();
        let deserializer = serde_path_to_error::Deserializer::new(Value::Table(table), &mut path);
        source.low = serde::Deserialize::deserialize(deserializer).map_err(|e: toml::de::Error| {
            let key = path.path().to_string();
            let key = if key == "." { source.set.join(", ") } else { key };
            RecipeError::Key { place: source.place(&key), reason: e.message().to_owned(), key }
        })?;
        Ok(source)
    }

    fn typed_text(&self) -> Result<Low, RecipeError> {
        let syntax =
            |e: &toml::de::Error| RecipeError::Syntax { place: self.line_of(e), reason: e.message().to_owned() };
        let deserializer = toml::Deserializer::parse(&self.text).map_err(|e| syntax(&e))?;
        serde_path_to_error::deserialize(deserializer).map_err(|e| {
            let key = e.path().to_string();
            let e = e.into_inner();
            RecipeError::Key { place: self.line_of(&e), key, reason: e.message().to_owned() }
        })
    }

    fn line_of(&self, e: &toml::de::Error) -> Place {
        match e.span() {
            Some(span) => Place::Line { file: self.file.clone(), line: line_at(&self.text, span.start) },
            None => Place::Absent { file: self.file.clone() },
        }
    }

    /// Where a dotted key was given; for a key that was not, where its section is.
    pub fn place(&self, key: &str) -> Place {
        if self.set.iter().any(|s| s == key || key.starts_with(&format!("{s}.")) || s.starts_with(&format!("{key}."))) {
            return Place::Set;
        }
        let Ok(table) = DeTable::parse(&self.text) else { return Place::Absent { file: self.file.clone() } };
        let mut offset = None;
        let mut table = table.get_ref();
        for part in key.split('.') {
            let Some((name, value)) = table.get_key_value(part) else { break };
            offset = Some(name.span().start);
            let DeValue::Table(inner) = value.get_ref() else { break };
            table = inner;
        }
        match offset {
            Some(offset) => Place::Line { file: self.file.clone(), line: line_at(&self.text, offset) },
            None => Place::Absent { file: self.file.clone() },
        }
    }
}

fn line_at(text: &str, offset: usize) -> usize {
    text.as_bytes()[..offset.min(text.len())].iter().filter(|&&b| b == b'\n').count() + 1
}

/// The table of `KEY=VALUE` pairs, as `--set` reads them.
pub fn table_of(pairs: &[String]) -> Result<Table, RecipeError> {
    let mut table = Table::new();
    pairs.iter().try_for_each(|pair| apply(&mut table, pair).map(|_| ()))?;
    Ok(table)
}

/// Puts `KEY=VALUE` into the table and returns the key. A value that is no TOML is a string.
fn apply(table: &mut Table, given: &str) -> Result<String, RecipeError> {
    let wrong = |reason: &str| RecipeError::Set { given: given.to_owned(), reason: reason.to_owned() };
    let (key, text) = given.split_once('=').ok_or_else(|| wrong("no `=`"))?;
    let key = key.trim();
    if key.split('.').any(str::is_empty) {
        return Err(wrong("an empty part in the key"));
    }
    let value = toml::from_str::<Table>(&format!("value = {text}"))
        .ok()
        .and_then(|mut t| (t.len() == 1).then(|| t.remove("value")).flatten())
        .unwrap_or_else(|| Value::String(text.to_owned()));
    insert(table, key, value);
    Ok(key.to_owned())
}
