//! How Python writes values: `str`, `repr` and `json.dumps`.

use minijinja::{Value, value::ValueKind};

/// `str(value)`; nothing for an undefined value.
pub(crate) fn text(value: &Value) -> String {
    match value.kind() {
        ValueKind::Undefined => String::new(),
        ValueKind::String => value.as_str().unwrap_or_default().to_owned(),
        _ => repr(value),
    }
}

fn repr(value: &Value) -> String {
    match value.kind() {
        ValueKind::Number => number(value),
        ValueKind::Map => {
            let pairs = value.try_iter().into_iter().flatten();
            let pairs = pairs.map(|key| format!("{}: {}", repr(&key), repr(&value.get_item(&key).unwrap_or_default())));
            format!("{{{}}}", pairs.collect::<Vec<_>>().join(", "))
        }
        ValueKind::Seq if !value.is_tuple() => {
            let items = value.try_iter().into_iter().flatten().map(|item| repr(&item));
            format!("[{}]", items.collect::<Vec<_>>().join(", "))
        }
        _ => format!("{value:?}"),
    }
}

/// A number as `repr` has it.
fn number(value: &Value) -> String {
    if value.is_integer() {
        return value.to_string();
    }
    f64::try_from(value.clone()).map_or_else(|_| value.to_string(), float)
}

/// `repr` of a float: the shortest digits that give it back, with an exponent below 1e-4 and from 1e16 on.
fn float(x: f64) -> String {
    if !x.is_finite() {
        return if x.is_nan() { "nan".into() } else { format!("{x}") };
    }
    let scientific = format!("{x:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    match exponent.parse::<i32>() {
        Ok(exponent) if !(-4..16).contains(&exponent) => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{digits}e{sign}{:02}", exponent.abs())
        }
        _ => format!("{x:?}"),
    }
}

/// How `json.dumps` lays a value out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    /// What a level is indented by; `None` writes one line.
    pub indent: Option<String>,
    /// Between items.
    pub comma: String,
    /// Between a key and its value.
    pub colon: String,
    pub keys: KeyOrder,
    pub characters: Characters,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyOrder {
    AsTheyStand,
    Sorted,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Characters {
    All,
    /// Everything else is escaped.
    Ascii,
}

impl Layout {
    /// # Errors
    /// A value that JSON has no form for, by its type.
    pub fn write(&self, value: &Value) -> Result<String, String> {
        let mut out = String::new();
        self.value(&mut out, value, 0)?;
        Ok(out)
    }

    fn value(&self, out: &mut String, value: &Value, level: usize) -> Result<(), String> {
        match value.kind() {
            ValueKind::None => out.push_str("null"),
            ValueKind::Bool => out.push_str(if value.is_true() { "true" } else { "false" }),
            ValueKind::Number => out.push_str(&json_number(value)),
            ValueKind::String => self.string(out, value.as_str().unwrap_or_default()),
            ValueKind::Seq => {
                let items: Vec<Value> = value.try_iter().map_err(|e| e.to_string())?.collect();
                self.items(out, ['[', ']'], &items, level, |out, item| self.value(out, item, level + 1))?;
            }
            ValueKind::Map => {
                let mut pairs = Vec::new();
                for key in value.try_iter().map_err(|e| e.to_string())? {
                    let item = value.get_item(&key).map_err(|e| e.to_string())?;
                    pairs.push((key_text(&key)?, item));
                }
                if self.keys == KeyOrder::Sorted {
                    pairs.sort_by(|(a, _), (b, _)| a.cmp(b));
                }
                self.items(out, ['{', '}'], &pairs, level, |out, (key, item)| {
                    self.string(out, key);
                    out.push_str(&self.colon);
                    self.value(out, item, level + 1)
                })?;
            }
            kind => return Err(format!("a value of type {kind} cannot be written as JSON")),
        }
        Ok(())
    }

    fn items<T>(
        &self,
        out: &mut String,
        [open, close]: [char; 2],
        items: &[T],
        level: usize,
        mut write: impl FnMut(&mut String, &T) -> Result<(), String>,
    ) -> Result<(), String> {
        out.push(open);
        for (index, item) in items.iter().enumerate() {
            if index > 0 {
                out.push_str(&self.comma);
            }
            self.line(out, level + 1);
            write(out, item)?;
        }
        if !items.is_empty() {
            self.line(out, level);
        }
        out.push(close);
        Ok(())
    }

    fn line(&self, out: &mut String, level: usize) {
        if let Some(indent) = &self.indent {
            out.push('\n');
            out.push_str(&indent.repeat(level));
        }
    }

    fn string(&self, out: &mut String, text: &str) {
        out.push('"');
        for c in text.chars() {
            match c {
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                '\u{8}' => out.push_str("\\b"),
                '\u{c}' => out.push_str("\\f"),
                c if c < ' ' || (self.characters == Characters::Ascii && c > '~') => {
                    let mut units = [0; 2];
                    c.encode_utf16(&mut units).iter().for_each(|unit| out.push_str(&format!("\\u{unit:04x}")));
                }
                c => out.push(c),
            }
        }
        out.push('"');
    }
}

fn json_number(value: &Value) -> String {
    match number(value).as_str() {
        "nan" => "NaN".into(),
        "inf" => "Infinity".into(),
        "-inf" => "-Infinity".into(),
        finite => finite.into(),
    }
}

fn key_text(key: &Value) -> Result<String, String> {
    match key.kind() {
        ValueKind::String => Ok(key.as_str().unwrap_or_default().to_owned()),
        ValueKind::None => Ok("null".into()),
        ValueKind::Bool => Ok(if key.is_true() { "true" } else { "false" }.into()),
        ValueKind::Number => Ok(json_number(key)),
        kind => Err(format!("a key of type {kind} cannot be written as JSON")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::task::value::seen;

    #[test]
    fn values_are_written_as_by_str() {
        for (value, expected) in [
            (json!("it's"), "it's"),
            (
                json!(["it's", null, true, 1, 2.0, 1e16, 1e-5, 0.0001, -0.0]),
                r#"["it's", None, True, 1, 2.0, 1e+16, 1e-05, 0.0001, -0.0]"#,
            ),
            (json!({"a": {"b": ["\n"]}, "c": {}}), r"{'a': {'b': ['\n']}, 'c': {}}"),
            (json!(1.5e300), "1.5e+300"),
            (json!(123456789012345680.0), "1.2345678901234568e+17"),
            (json!(null), "None"),
        ] {
            assert_eq!(text(&seen(&value)), expected);
        }
        assert_eq!(text(&Value::UNDEFINED), "");
    }

    #[test]
    fn values_are_written_as_by_json_dumps() {
        let value = json!({"b": [1.0, 1e-7, "é\u{1F600}\u{7f}\u{1}\t/<&'\""], "a": {}, "c": [], "d": [[null]]});
        let one_line = Layout {
            indent: None,
            comma: ", ".into(),
            colon: ": ".into(),
            keys: KeyOrder::AsTheyStand,
            characters: Characters::All,
        };
        assert_eq!(
            one_line.write(&seen(&value)).unwrap(),
            "{\"b\": [1.0, 1e-07, \"é\u{1F600}\u{7f}\\u0001\\t/<&'\\\"\"], \"a\": {}, \"c\": [], \"d\": [[null]]}"
        );
        let other = Layout {
            indent: Some(" ".into()),
            comma: ",".into(),
            colon: "=".into(),
            keys: KeyOrder::Sorted,
            characters: Characters::Ascii,
        };
        assert_eq!(
            other.write(&seen(&value)).unwrap(),
            "{\n \"a\"={},\n \"b\"=[\n  1.0,\n  1e-07,\n  \"\\u00e9\\ud83d\\ude00\\u007f\\u0001\\t/<&'\\\"\"\n ],\n \"c\"=[],\n \"d\"=[\n  [\n   null\n  ]\n ]\n}"
        );
        let error = one_line.write(&Value::from(vec![Value::UNDEFINED])).unwrap_err();
        assert!(error.contains("undefined"), "{error}");
    }
}
