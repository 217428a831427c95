//! What the templates of the Python world take for granted: string methods, `dict.get`,
//! and a `tojson` that writes as Python's `json.dumps` does.

use minijinja::{
    Error, ErrorKind, State, Value, filters,
    value::{Kwargs, Tuple, ValueKind, from_args},
};
use serde::Serialize;
use serde_json::ser::{Formatter, PrettyFormatter, Serializer};

/// Python's methods on strings (`strip`, `lstrip`, `rstrip`, `split`, `startswith`, `endswith`,
/// `replace`, `find`, `upper`, `lower`, `title`, `capitalize`) and dictionaries (`get`, `items`,
/// `keys`, `values`), for what minijinja does not know by itself.
pub(crate) fn python_method(_: &mut State, value: &Value, method: &str, args: &[Value]) -> Result<Value, Error> {
    match (value.as_str(), value.kind()) {
        (Some(text), _) => string_method(value, text, method, args),
        (None, ValueKind::Map) => map_method(value, method, args),
        (None, _) => Err(ErrorKind::UnknownMethod.into()),
    }
}

fn string_method(value: &Value, text: &str, method: &str, args: &[Value]) -> Result<Value, Error> {
    let stripped = |start: bool, end: bool| -> Result<Value, Error> {
        let (chars,): (Option<&str>,) = from_args(args)?;
        let strip = |c: char| chars.map_or_else(|| c.is_whitespace(), |chars| chars.contains(c));
        let text = if start { text.trim_start_matches(strip) } else { text };
        Ok(Value::from(if end { text.trim_end_matches(strip) } else { text }))
    };
    let plain = |f: fn(&str) -> String| -> Result<Value, Error> {
        let () = from_args(args)?;
        Ok(Value::from(f(text)))
    };
    match method {
        "strip" => stripped(true, true),
        "lstrip" => stripped(true, false),
        "rstrip" => stripped(false, true),
        "upper" => plain(str::to_uppercase),
        "lower" => plain(str::to_lowercase),
        "title" => plain(|text| filters::title(text.into())),
        "capitalize" => plain(|text| {
            let mut chars = text.chars();
            chars
                .next()
                .map_or_else(String::new, |c| c.to_uppercase().chain(chars.flat_map(char::to_lowercase)).collect())
        }),
        "split" => {
            let (separator, most) = from_args(args)?;
            Ok(filters::split(value, separator, most)?.try_iter()?.collect())
        }
        "startswith" => any_affix(args, |affix| text.starts_with(affix)),
        "endswith" => any_affix(args, |affix| text.ends_with(affix)),
        "replace" => {
            let (old, new, count): (&str, &str, Option<i64>) = from_args(args)?;
            Ok(Value::from(match count.and_then(|n| usize::try_from(n).ok()) {
                Some(n) => text.replacen(old, new, n),
                None => text.replace(old, new),
            }))
        }
        "find" => {
            let (what,): (&str,) = from_args(args)?;
            Ok(Value::from(text.find(what).map_or(-1, |at| text[..at].chars().count() as i64)))
        }
        _ => Err(ErrorKind::UnknownMethod.into()),
    }
}

fn any_affix(args: &[Value], holds: impl Fn(&str) -> bool) -> Result<Value, Error> {
    let (affix,): (&Value,) = from_args(args)?;
    if let Some(affix) = affix.as_str() {
        return Ok(Value::from(holds(affix)));
    }
    for one in affix.try_iter()? {
        let one = one.as_str().ok_or_else(|| Error::new(ErrorKind::InvalidOperation, "expected strings"))?;
        if holds(one) {
            return Ok(Value::from(true));
        }
    }
    Ok(Value::from(false))
}

fn map_method(value: &Value, method: &str, args: &[Value]) -> Result<Value, Error> {
    if method == "get" {
        let (key, default): (&Value, Option<Value>) = from_args(args)?;
        let found = value.get_item(key)?;
        return Ok(if found.is_undefined() { default.unwrap_or_else(|| Value::from(())) } else { found });
    }
    let () = from_args(args)?;
    let keys = value.try_iter()?;
    match method {
        "keys" => Ok(keys.collect()),
        "values" => keys.map(|key| value.get_item(&key)).collect(),
        "items" => keys.map(|key| Ok(Value::from(Tuple::from([key.clone(), value.get_item(&key)?])))).collect(),
        _ => Err(ErrorKind::UnknownMethod.into()),
    }
}

/// `json.dumps(value, ensure_ascii=False, indent=indent)`.
pub(crate) fn tojson(value: &Value, indent: Option<usize>, options: Kwargs) -> Result<Value, Error> {
    let indent = match indent {
        Some(indent) => Some(indent),
        None => options.get::<Option<usize>>("indent")?,
    };
    // Python writes UTF-8 as it is here, and does not escape for HTML.
    let _: Option<bool> = options.get("ensure_ascii")?;
    options.assert_all_used()?;
    let written = match indent {
        Some(indent) => write(value, PrettyFormatter::with_indent(" ".repeat(indent).as_bytes())),
        None => write(value, OneLine),
    };
    written.map(Value::from_safe_string).map_err(|e| Error::new(ErrorKind::BadSerialization, e.to_string()))
}

fn write(value: &Value, formatter: impl Formatter) -> Result<String, serde_json::Error> {
    let mut bytes = Vec::new();
    value.serialize(&mut Serializer::with_formatter(&mut bytes, formatter))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Python's separators on one line: `, ` and `: `.
struct OneLine;

impl OneLine {
    fn separate<W: ?Sized + std::io::Write>(writer: &mut W, first: bool) -> std::io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }
}

impl Formatter for OneLine {
    fn begin_array_value<W: ?Sized + std::io::Write>(&mut self, writer: &mut W, first: bool) -> std::io::Result<()> {
        Self::separate(writer, first)
    }

    fn begin_object_key<W: ?Sized + std::io::Write>(&mut self, writer: &mut W, first: bool) -> std::io::Result<()> {
        Self::separate(writer, first)
    }

    fn begin_object_value<W: ?Sized + std::io::Write>(&mut self, writer: &mut W) -> std::io::Result<()> {
        writer.write_all(b": ")
    }
}
