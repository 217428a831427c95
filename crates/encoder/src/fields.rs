//! Typed access to the fields of a JSON file, whose errors name file and field.

use std::{
    fmt::Display,
    path::{Path, PathBuf},
};

use serde_json::Value;

use crate::EncoderError;

/// A JSON object and the file that it is from.
pub(crate) struct Fields {
    pub path: PathBuf,
    value: Value,
}

/// A file that may be absent.
pub(crate) fn read_if_any(path: &Path) -> Result<Option<Value>, EncoderError> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(EncoderError::Unreadable { path: path.to_owned(), reason: e.to_string() }),
    };
    let broken = |e: serde_json::Error| EncoderError::Syntax { path: path.to_owned(), reason: e.to_string() };
    serde_json::from_slice(&bytes).map(Some).map_err(broken)
}

impl Fields {
    pub(crate) fn read(path: PathBuf, expected: &'static str) -> Result<Self, EncoderError> {
        match Self::read_if_any(path.clone())? {
            Some(fields) => Ok(fields),
            None => Err(EncoderError::MissingFile { path, expected }),
        }
    }

    pub(crate) fn read_if_any(path: PathBuf) -> Result<Option<Self>, EncoderError> {
        Ok(read_if_any(&path)?.map(|value| Self { path, value }))
    }

    /// The value, unless it is absent or null.
    pub(crate) fn get(&self, field: &str) -> Option<&Value> {
        self.value.get(field).filter(|value| !value.is_null())
    }

    pub(crate) fn wrong(&self, field: &str, expected: impl Display) -> EncoderError {
        EncoderError::Field {
            path: self.path.clone(),
            field: field.to_owned(),
            found: self.shown(field),
            expected: expected.to_string(),
        }
    }

    pub(crate) fn unsupported(&self, field: &str, supported: impl Display) -> EncoderError {
        EncoderError::Unsupported {
            path: self.path.clone(),
            field: field.to_owned(),
            found: self.shown(field),
            supported: supported.to_string(),
        }
    }

    /// The value as it stands in the file: its beginning alone where it is long.
    fn shown(&self, field: &str) -> String {
        let text = self.value.get(field).map_or("absent".to_owned(), Value::to_string);
        match text.char_indices().nth(80) {
            Some((end, _)) => format!("{}..", &text[..end]),
            None => text,
        }
    }

    fn typed<'a, T>(
        &'a self,
        field: &str,
        expected: &str,
        take: impl Fn(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, EncoderError> {
        match self.get(field) {
            None => Ok(None),
            Some(value) => take(value).map(Some).ok_or_else(|| self.wrong(field, expected)),
        }
    }

    /// A whole number of at least 1.
    pub(crate) fn count_if_any(&self, field: &str) -> Result<Option<usize>, EncoderError> {
        let count = |v: &Value| v.as_u64().filter(|n| (1..=1 << 31).contains(n)).map(|n| n as usize);
        self.typed(field, "a whole number from 1 to 2^31", count)
    }

    pub(crate) fn count(&self, field: &str) -> Result<usize, EncoderError> {
        self.count_if_any(field)?.ok_or_else(|| self.wrong(field, "a whole number of at least 1"))
    }

    /// A number above 0.
    pub(crate) fn positive(&self, field: &str, default: f64) -> Result<f64, EncoderError> {
        let positive = |v: &Value| v.as_f64().filter(|x| x.is_finite() && *x > 0.0);
        Ok(self.typed(field, "a number above 0", positive)?.unwrap_or(default))
    }

    pub(crate) fn flag(&self, field: &str, default: bool) -> Result<bool, EncoderError> {
        Ok(self.typed(field, "true or false", Value::as_bool)?.unwrap_or(default))
    }

    pub(crate) fn text(&self, field: &str) -> Result<Option<&str>, EncoderError> {
        self.typed(field, "a text", Value::as_str)
    }

    /// A field that must be absent, null or one value, because another would mean other numbers.
    pub(crate) fn only(&self, field: &str, value: Value) -> Result<(), EncoderError> {
        match self.get(field) {
            Some(got) if *got != value => Err(self.unsupported(field, &value)),
            _ => Ok(()),
        }
    }
}
