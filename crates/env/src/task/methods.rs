//! What the templates of the Python world take for granted: string methods, `dict.get`,
//! and a `tojson` that writes as Python's `json.dumps` does.

use std::sync::Arc;

use minijinja::{
    Error, ErrorKind, State, Value, filters,
    value::{Kwargs, Rest, Tuple, ValueKind, from_args},
};

use super::python::{self, Characters, KeyOrder, Layout};

/// Python's methods on strings (`strip`, `split`, `startswith`, `replace`, `join`, ..), lists (`count`, `index`) and
/// dictionaries (`get`, `items`, `keys`, `values`), for what minijinja does not know by itself. What would change a
/// value is unknown here, as it is forbidden there.
pub(crate) fn python_method(_: &mut State, value: &Value, method: &str, args: &[Value]) -> Result<Value, Error> {
    match (value.as_str(), value.kind()) {
        (Some(text), _) => string_method(value, text, method, args),
        (None, ValueKind::Map) => map_method(value, method, args),
        (None, ValueKind::Seq | ValueKind::Iterable) => list_method(value, method, args),
        (None, _) => Err(ErrorKind::UnknownMethod.into()),
    }
}

fn string_method(value: &Value, text: &str, method: &str, args: &[Value]) -> Result<Value, Error> {
    let stripped = |start: bool, end: bool| -> Result<Value, Error> {
        let (chars,): (Option<&str>,) = from_args(args)?;
        let strip = |c: char| chars.map_or_else(|| is_space(c), |chars| chars.contains(c));
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
        "title" => plain(title),
        "capitalize" => plain(|text| {
            let mut chars = text.chars();
            chars
                .next()
                .map_or_else(String::new, |c| c.to_uppercase().chain(chars.flat_map(char::to_lowercase)).collect())
        }),
        "split" => {
            let (separator, most): (Option<Arc<str>>, Option<i64>) = from_args(args)?;
            if separator.as_deref() == Some("") {
                return Err(wrong("split: the separator is empty"));
            }
            Ok(filters::split(value, separator, most.filter(|&n| n >= 0))?.try_iter()?.collect())
        }
        "rsplit" => {
            let (separator, most): (&str, Option<usize>) = from_args(args)?;
            let mut parts: Vec<&str> = match most {
                Some(most) => text.rsplitn(most + 1, separator).collect(),
                None => text.rsplit(separator).collect(),
            };
            parts.reverse();
            Ok(parts.into_iter().map(Value::from).collect())
        }
        "partition" | "rpartition" => {
            let (separator,): (&str,) = from_args(args)?;
            let is_last = method == "rpartition";
            let found = if is_last { text.rsplit_once(separator) } else { text.split_once(separator) };
            let parts = match (found, is_last) {
                (Some((before, after)), _) => [before, separator, after],
                (None, false) => [text, "", ""],
                (None, true) => ["", "", text],
            };
            Ok(Value::from(Tuple::from(parts.map(Value::from))))
        }
        "splitlines" => {
            let () = from_args(args)?;
            let lines = text.replace("\r\n", "\n").replace('\r', "\n");
            let lines = lines.strip_suffix('\n').unwrap_or(&lines);
            Ok(lines.split('\n').filter(|_| !text.is_empty()).map(Value::from).collect())
        }
        "join" => {
            let (parts,): (&Value,) = from_args(args)?;
            let mut texts = Vec::new();
            for part in parts.try_iter()? {
                texts.push(part.as_str().ok_or_else(|| wrong("join: an item is no string"))?.to_owned());
            }
            Ok(Value::from(texts.join(text)))
        }
        "removeprefix" => {
            let (prefix,): (&str,) = from_args(args)?;
            Ok(Value::from(text.strip_prefix(prefix).unwrap_or(text)))
        }
        "removesuffix" => {
            let (suffix,): (&str,) = from_args(args)?;
            Ok(Value::from(text.strip_suffix(suffix).unwrap_or(text)))
        }
        "count" => {
            let (what,): (&str,) = from_args(args)?;
            Ok(Value::from(text.matches(what).count()))
        }
        "isdigit" => all_are(text, args, |c| c.is_ascii_digit() || (!c.is_ascii() && c.is_numeric())),
        "isalpha" => all_are(text, args, char::is_alphabetic),
        "isalnum" => all_are(text, args, char::is_alphanumeric),
        "isspace" => all_are(text, args, is_space),
        "isupper" => Ok(Value::from(text.chars().any(char::is_uppercase) && !text.chars().any(char::is_lowercase))),
        "islower" => Ok(Value::from(text.chars().any(char::is_lowercase) && !text.chars().any(char::is_uppercase))),
        "startswith" => any_affix(args, |affix| text.starts_with(affix)),
        "endswith" => any_affix(args, |affix| text.ends_with(affix)),
        "replace" => {
            let (old, new, count): (&str, &str, Option<i64>) = from_args(args)?;
            Ok(Value::from(match count.and_then(|n| usize::try_from(n).ok()) {
                Some(n) => text.replacen(old, new, n),
                None => text.replace(old, new),
            }))
        }
        "find" | "rfind" => {
            let (what,): (&str,) = from_args(args)?;
            let at = if method == "find" { text.find(what) } else { text.rfind(what) };
            Ok(Value::from(at.map_or(-1, |at| text[..at].chars().count() as i64)))
        }
        _ => Err(ErrorKind::UnknownMethod.into()),
    }
}

/// What `str.isspace` and `str.strip` take for a space: Unicode's white space, and the four separators of ASCII.
fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

/// A letter is large after anything but a letter, and small after one.
fn title(text: &str) -> String {
    let mut is_inside = false;
    let mut titled = String::with_capacity(text.len());
    for c in text.chars() {
        if is_inside {
            titled.extend(c.to_lowercase());
        } else {
            titled.extend(c.to_uppercase());
        }
        is_inside = c.is_alphabetic();
    }
    titled
}

fn all_are(text: &str, args: &[Value], is: impl Fn(char) -> bool) -> Result<Value, Error> {
    let () = from_args(args)?;
    Ok(Value::from(!text.is_empty() && text.chars().all(is)))
}

fn wrong(reason: &'static str) -> Error {
    Error::new(ErrorKind::InvalidOperation, reason)
}

fn list_method(value: &Value, method: &str, args: &[Value]) -> Result<Value, Error> {
    if !matches!(method, "count" | "index") {
        return Err(ErrorKind::UnknownMethod.into());
    }
    let (what,): (&Value,) = from_args(args)?;
    let mut places = value.try_iter()?.enumerate().filter(|(_, item)| item == what).map(|(place, _)| place);
    match method {
        "count" => Ok(Value::from(places.count())),
        _ => places.next().map(Value::from).ok_or_else(|| wrong("index: the list has no such item")),
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

/// `tojson(value, ensure_ascii=False, indent=None, separators=None, sort_keys=False)`: `json.dumps` as transformers has
/// it. Nothing is escaped for HTML.
pub(crate) fn tojson(value: &Value, given: Rest<Value>, options: Kwargs) -> Result<Value, Error> {
    let given = |index: usize, name: &str| -> Result<Option<Value>, Error> {
        let value = given.get(index).cloned();
        Ok(value.or(options.get::<Option<Value>>(name)?).filter(|value| !value.is_none()))
    };
    let is_ascii = given(0, "ensure_ascii")?.is_some_and(|value| value.is_true());
    let indent = match given(1, "indent")? {
        Some(indent) if indent.as_str().is_some() => Some(python::text(&indent)),
        Some(indent) => Some(" ".repeat(usize::try_from(indent)?)),
        None => None,
    };
    let separators = match given(2, "separators")? {
        Some(pair) => Some((pair.get_item_by_index(0)?, pair.get_item_by_index(1)?)),
        None => None,
    };
    let is_sorted = given(3, "sort_keys")?.is_some_and(|value| value.is_true());
    options.assert_all_used()?;
    let comma = if indent.is_some() { "," } else { ", " };
    let (comma, colon) = match separators {
        Some((comma, colon)) => (python::text(&comma), python::text(&colon)),
        None => (comma.to_owned(), ": ".to_owned()),
    };
    let keys = if is_sorted { KeyOrder::Sorted } else { KeyOrder::AsTheyStand };
    let characters = if is_ascii { Characters::Ascii } else { Characters::All };
    let written = Layout { indent, comma, colon, keys, characters }.write(value);
    written.map(Value::from).map_err(|reason| Error::new(ErrorKind::BadSerialization, reason))
}
