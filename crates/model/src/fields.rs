//! Typed access to the fields of a JSON file, whose errors name file and field.

use std::{
    fmt::Display,
    path::{Path, PathBuf},
};

use serde_json::{Map, Value};

use crate::error::ConfigError;

/// A JSON object with the file that it came from, and the dotted prefix of nested objects.
#[derive(Clone, Debug)]
pub(crate) struct Fields<'a> {
    path: &'a Path,
    prefix: String,
    object: &'a Map<String, Value>,
}

/// Reads and parses a file.
pub(crate) fn read_json(path: &Path) -> Result<Value, ConfigError> {
    let bytes = std::fs::read(path).map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
    serde_json::from_slice(&bytes).map_err(|error| ConfigError::Syntax {
        path: path.to_owned(),
        line: error.line(),
        column: error.column(),
        message: error.to_string(),
    })
}

/// The value as it stands in the file, cut to a readable length.
fn shown(value: &Value) -> String {
    let mut text = value.to_string();
    if let Some((cut, _)) = text.char_indices().nth(80) {
        text.truncate(cut);
        text.push_str("...");
    }
    text
}

impl<'a> Fields<'a> {
    pub(crate) fn of(path: &'a Path, value: &'a Value) -> Result<Self, ConfigError> {
        match value {
            Value::Object(object) => Ok(Self { path, prefix: String::new(), object }),
            other => Err(ConfigError::Field {
                path: path.to_owned(),
                field: "(the whole file)".to_owned(),
                found: shown(other),
                expected: "an object".to_owned(),
            }),
        }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.path.to_owned()
    }

    /// Every field with its value.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&'a str, &'a Value)> {
        self.object.iter().map(|(name, value)| (name.as_str(), value))
    }

    fn name(&self, field: &str) -> String {
        format!("{}{field}", self.prefix)
    }

    /// The value, unless it is absent or null.
    pub(crate) fn get(&self, field: &str) -> Option<&'a Value> {
        self.object.get(field).filter(|value| !value.is_null())
    }

    /// Whether the field stands there at all, null included.
    pub(crate) fn contains(&self, field: &str) -> bool {
        self.object.contains_key(field)
    }

    pub(crate) fn missing(&self, field: &str, expected: impl Display) -> ConfigError {
        ConfigError::MissingField { path: self.path(), field: self.name(field), expected: expected.to_string() }
    }

    pub(crate) fn wrong(&self, field: &str, found: &Value, expected: impl Display) -> ConfigError {
        ConfigError::Field {
            path: self.path(),
            field: self.name(field),
            found: shown(found),
            expected: expected.to_string(),
        }
    }

    pub(crate) fn unsupported(&self, field: &str, found: &Value, supported: impl Display) -> ConfigError {
        ConfigError::Unsupported {
            path: self.path(),
            field: self.name(field),
            found: shown(found),
            supported: supported.to_string(),
        }
    }

    fn typed<T>(
        &self,
        field: &str,
        expected: &str,
        take: impl Fn(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, ConfigError> {
        match self.get(field) {
            None => Ok(None),
            Some(value) => take(value).map(Some).ok_or_else(|| self.wrong(field, value, expected)),
        }
    }

    /// A whole number of at least 1.
    pub(crate) fn count(&self, field: &str) -> Result<Option<usize>, ConfigError> {
        self.typed(field, "a whole number from 1 to 2^31", |v| {
            v.as_u64().filter(|&n| n > 0 && n <= 1 << 31).map(|n| n as usize)
        })
    }

    pub(crate) fn required_count(&self, field: &str) -> Result<usize, ConfigError> {
        self.count(field)?.ok_or_else(|| self.missing(field, "a whole number of at least 1"))
    }

    /// A finite number above 0.
    pub(crate) fn positive(&self, field: &str) -> Result<Option<f64>, ConfigError> {
        self.typed(field, "a number above 0", |v| v.as_f64().filter(|x| x.is_finite() && *x > 0.0))
    }

    /// A finite number.
    pub(crate) fn number(&self, field: &str) -> Result<Option<f64>, ConfigError> {
        self.typed(field, "a number", |v| v.as_f64().filter(|x| x.is_finite()))
    }

    pub(crate) fn flag(&self, field: &str) -> Result<Option<bool>, ConfigError> {
        self.typed(field, "true or false", Value::as_bool)
    }

    pub(crate) fn text(&self, field: &str) -> Result<Option<&'a str>, ConfigError> {
        self.typed(field, "a string", Value::as_str)
    }

    /// One id or a list of ids.
    pub(crate) fn ids(&self, field: &str) -> Result<Option<Vec<u32>>, ConfigError> {
        fn id(value: &Value) -> Option<u32> {
            value.as_u64().and_then(|n| u32::try_from(n).ok())
        }
        self.typed(field, "a token id or a list of token ids", |value| match value {
            Value::Array(list) => list.iter().map(id).collect(),
            other => id(other).map(|one| vec![one]),
        })
    }

    pub(crate) fn object(&self, field: &str) -> Result<Option<Fields<'a>>, ConfigError> {
        Ok(self.typed(field, "an object", Value::as_object)?.map(|object| Fields {
            path: self.path,
            prefix: format!("{}{field}.", self.prefix),
            object,
        }))
    }
}
