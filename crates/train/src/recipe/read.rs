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
        let mut table: Table = toml::from_str(&source.text)
            .map_err(|e| RecipeError::Syntax { place: source.line_of(&e), reason: e.message().to_owned() })?;
        // What the file says is held by itself first: its faults are not those of what was set.
        source.low = source.typed(table.clone())?;
        if overrides.is_empty() {
            return Ok(source);
        }
        for given in overrides {
            let key = apply(&mut table, given)?;
            source.set.push(key);
        }
        source.low = source.typed(table)?;
        Ok(source)
    }

    /// The one way to types: code for each of them is made once for a kind of input.
    fn typed(&self, table: Table) -> Result<Low, RecipeError> {
        let mut path = serde_path_to_error::Track::new();
        let deserializer = serde_path_to_error::Deserializer::new(Value::Table(table), &mut path);
        serde::Deserialize::deserialize(deserializer).map_err(|e: toml::de::Error| {
            let key = path.path().to_string();
            let key = if key == "." && !self.set.is_empty() { self.set.join(", ") } else { key };
            RecipeError::Key { place: self.place(&key), reason: e.message().to_owned(), key }
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
        let offset = DeTable::parse(&self.text).ok().and_then(|table| offset_in(table.get_ref(), key));
        match offset {
            Some(offset) => Place::Line { file: self.file.clone(), line: line_at(&self.text, offset) },
            None => Place::Absent { file: self.file.clone() },
        }
    }
}

/// Where the deepest part of a path (`a.b[0].c`) that a table has stands. A key may hold dots.
fn offset_in(table: &DeTable, path: &str) -> Option<usize> {
    let leads =
        |name: &str| path.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']));
    let entries = table.iter().filter(|(name, _)| leads(name.get_ref()));
    let (name, value) = entries.max_by_key(|(name, _)| name.get_ref().len())?;
    let rest = &path[name.get_ref().len()..];
    Some(offset_within(value.get_ref(), rest).unwrap_or(name.span().start))
}

fn offset_within(value: &DeValue, rest: &str) -> Option<usize> {
    match value {
        DeValue::Table(table) => offset_in(table, rest.strip_prefix('.')?),
        DeValue::Array(items) => {
            let (index, rest) = rest.strip_prefix('[')?.split_once(']')?;
            let item = items.get(index.parse::<usize>().ok()?)?;
            Some(offset_within(item.get_ref(), rest).unwrap_or(item.span().start))
        }
        _ => None,
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
