//! Columns of a row as terms need them; one that is missing or malformed is a [`Fault`] that names it and its row.

use cohort_core::Outcome;
use serde_json::Value;

use super::View;

/// What is wrong with a row, and where the row is from.
#[derive(Clone, Debug)]
pub(super) struct Fault(String);

impl Fault {
    /// Column `name` has its form, and what it says is wrong.
    pub(super) fn because(view: &View, name: &str, why: &str) -> Self {
        Self(format!("column `{name}`: {why} ({})", view.item.origin))
    }

    pub(super) fn outcome(self) -> Outcome {
        Outcome::error(self.0)
    }
}

/// Column `name` is not `expected`.
pub(super) fn fault(view: &View, name: &str, expected: &str) -> Fault {
    let origin = &view.item.origin;
    Fault(match view.column(name) {
        None => format!("the row has no column `{name}`, which must be {expected} ({origin})"),
        Some(got) => format!("column `{name}` is {}, and must be {expected} ({origin})", shown(got)),
    })
}

/// A value in a message: its beginning alone where it is long.
fn shown(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(80) {
        Some((end, _)) => format!("{}..", &text[..end]),
        None => text,
    }
}

/// A column of any kind but null.
pub(super) fn value<'a>(view: &View<'a>, name: &str, expected: &str) -> Result<&'a Value, Fault> {
    view.column(name).filter(|value| !value.is_null()).ok_or_else(|| fault(view, name, expected))
}

/// A text, or a number or a truth value as JSON writes it.
pub(super) fn text(view: &View, name: &str) -> Result<String, Fault> {
    view.column(name).and_then(word).ok_or_else(|| fault(view, name, "a text or a number"))
}

/// A list of texts or numbers; one text or number is a list of one.
pub(super) fn texts(view: &View, name: &str) -> Result<Vec<String>, Fault> {
    let found = match view.column(name) {
        Some(Value::Array(list)) => list.iter().map(word).collect(),
        Some(one) => word(one).map(|one| vec![one]),
        None => None,
    };
    found.ok_or_else(|| fault(view, name, "a text, or a list of texts or numbers"))
}

/// As [`texts`]; no column is an empty list.
pub(super) fn texts_if_any(view: &View, name: &str) -> Result<Vec<String>, Fault> {
    if view.column(name).is_none_or(Value::is_null) { Ok(Vec::new()) } else { texts(view, name) }
}

/// A list of numbers.
pub(super) fn numbers(view: &View, name: &str) -> Result<Vec<f64>, Fault> {
    value(view, name, "a list of numbers")
        .ok()
        .and_then(list_of_numbers)
        .ok_or_else(|| fault(view, name, "a list of numbers"))
}

/// A list of lists of numbers, all of one length.
pub(super) fn table(view: &View, name: &str, expected: &str) -> Result<Vec<Vec<f64>>, Fault> {
    value(view, name, expected)?
        .as_array()
        .and_then(|rows| rows.iter().map(list_of_numbers).collect::<Option<Vec<_>>>())
        .filter(|rows| rows.windows(2).all(|pair| pair[0].len() == pair[1].len()))
        .ok_or_else(|| fault(view, name, expected))
}

/// A JSON list of numbers, all finite.
pub(super) fn list_of_numbers(value: &Value) -> Option<Vec<f64>> {
    value.as_array()?.iter().map(|n| n.as_f64().filter(|n| n.is_finite())).collect()
}

/// A text, a number or a truth value as text.
pub(super) fn word(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}
