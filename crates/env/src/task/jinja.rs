//! Where Jinja, under Python, differs from minijinja and chat templates can tell.

use minijinja::{
    Environment, Error, ErrorKind, State, Value,
    value::{Kwargs, ValueKind, from_args},
};

use super::{methods, python};

/// Adds Jinja's tests and filters to an environment.
///
/// Its tests ask what a Python object can do: an undefined value can be walked, None cannot, a string and a dictionary
/// are sequences, a truth value is a number. Its filters on text take any value by its `str`.
pub(crate) fn add(environment: &mut Environment<'static>) {
    environment.add_test("iterable", |value: &Value| can_be_walked(value));
    environment.add_test("sequence", |value: &Value| can_be_walked(value) && value.kind() != ValueKind::Iterable);
    environment.add_test("number", |value: &Value| matches!(value.kind(), ValueKind::Number | ValueKind::Bool));
    environment.add_filter("length", length);
    environment.add_filter("count", length);
    environment.set_formatter(|out, _, value| out.write_str(&python::text(value)).map_err(Error::from));
    environment.add_filter("string", python::text);
    environment.add_filter("join", join);
    for method in ["upper", "lower", "capitalize"] {
        environment.add_filter(method, move |state: &mut State, value: &Value| by_method(state, value, method, &[]));
    }
    environment.add_filter("title", |value: &Value| title(&python::text(value)));
    environment.add_filter("trim", |state: &mut State, value: &Value, characters: Option<Value>| {
        by_method(state, value, "strip", characters.as_slice())
    });
    environment.add_filter(
        "replace",
        |state: &mut State, value: &Value, old: Value, new: Value, count: Option<Value>| {
            let mut arguments = vec![Value::from(python::text(&old)), Value::from(python::text(&new))];
            arguments.extend(count);
            by_method(state, value, "replace", &arguments)
        },
    );
}

fn can_be_walked(value: &Value) -> bool {
    use ValueKind::{Bytes, Iterable, Map, Seq, String, Undefined};
    matches!(value.kind(), Undefined | String | Bytes | Seq | Map | Iterable)
}

fn length(value: &Value) -> Result<usize, Error> {
    if value.is_undefined() {
        return Ok(0);
    }
    value.len().ok_or_else(|| {
        Error::new(ErrorKind::InvalidOperation, format!("a value of type {} has no length", value.kind()))
    })
}

/// Every word's first character large and the rest small. Unlike `str.title`, a word goes on after an apostrophe.
fn title(text: &str) -> String {
    let mut titled = String::with_capacity(text.len());
    let mut is_inside = false;
    for c in text.chars() {
        if is_inside {
            titled.extend(c.to_lowercase());
        } else {
            titled.extend(c.to_uppercase());
        }
        is_inside = !(c.is_whitespace() || matches!(c, '-' | '(' | '{' | '[' | '<'));
    }
    titled
}

fn join(values: &Value, between: Option<Value>, options: Kwargs) -> Result<String, Error> {
    let attribute: Option<&str> = options.get("attribute")?;
    options.assert_all_used()?;
    let mut texts = Vec::new();
    for value in values.try_iter()? {
        texts.push(python::text(&match attribute {
            Some(name) => value.get_attr(name)?,
            None => value,
        }));
    }
    Ok(texts.join(&between.as_ref().map(python::text).unwrap_or_default()))
}

/// A filter that is the string method of the value's text.
fn by_method(state: &mut State, value: &Value, method: &str, arguments: &[Value]) -> Result<Value, Error> {
    let text = if value.as_str().is_some() { value.clone() } else { Value::from(python::text(value)) };
    let _: (Option<Value>, Option<Value>, Option<Value>) = from_args(arguments)?;
    methods::python_method(state, &text, method, arguments)
}
