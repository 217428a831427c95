//! JSON as templates see it. Objects keep the order of their keys, as Python's do.

use std::sync::Arc;

use minijinja::{
    Value as Seen,
    value::{Enumerator, Object},
};
use serde_json::{Map, Value};

/// A JSON object; few keys, so looking one up is a walk.
#[derive(Debug)]
struct Fields(Vec<(Seen, Seen)>);

impl Object for Fields {
    fn get_value(self: &Arc<Self>, key: &Seen) -> Option<Seen> {
        self.0.iter().find(|(name, _)| name == key).map(|(_, value)| value.clone())
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(self.0.iter().map(|(name, _)| name.clone()).collect())
    }
}

/// The template's view of a JSON value.
pub(crate) fn seen(value: &Value) -> Seen {
    match value {
        Value::Null => Seen::from(()),
        Value::Bool(truth) => Seen::from(*truth),
        Value::String(text) => Seen::from(text.as_str()),
        Value::Array(list) => list.iter().map(seen).collect(),
        Value::Object(row) => seen_row(row),
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(integer), _) => Seen::from(integer),
            (None, Some(integer)) => Seen::from(integer),
            (None, None) => number.as_f64().map_or_else(|| Seen::from(number.to_string()), Seen::from),
        },
    }
}

/// The template's view of a row: its columns.
pub(crate) fn seen_row(row: &Map<String, Value>) -> Seen {
    Seen::from_object(Fields(row.iter().map(|(name, value)| (Seen::from(name.as_str()), seen(value))).collect()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn nothing_is_lost_and_keys_keep_their_order() {
        let value = json!({"z": 1, "a": [true, null, -2.5, "x"], "m": {"y": u64::MAX, "b": i64::MIN}});
        assert_eq!(serde_json::to_string(&seen(&value)).unwrap(), value.to_string());
    }
}
