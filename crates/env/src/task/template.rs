//! From a row to a text, by a minijinja template of the recipe.
//!
//! Every column is a variable. What a row lacks is an error and never an empty text, and so
//! is printing a null. Beside minijinja's own filters (`trim`, `replace`, `lower`, ..) and
//! Python's string methods (`.strip()`, `.split()`, ..) there are
//!
//! - `text | after(mark)`: what follows the last `mark`,
//! - `text | before(mark)`: what precedes the first `mark`,
//!
//! both an error where there is no such mark. A worked answer that ends with `#### 1,234`
//! gives its number by `{{ answer | after("####") | trim | replace(",", "") }}`.
//!
//! Blanks are treated as in chat templates: a newline after a block is dropped
//! (`trim_blocks`), blanks before one too (`lstrip_blocks`), and one newline at the end.

use std::collections::BTreeSet;

use minijinja::{AutoEscape, Environment, Error, ErrorKind, UndefinedBehavior, escape_formatter, syntax::SyntaxConfig};
use serde_json::{Map, Value};

use super::{
    error::{RowFault, TaskError, type_of},
    methods, value,
};

const PRINTS_NULL: &str = "a null is printed";

/// A template over the columns of a row, compiled.
pub struct Template {
    key: &'static str,
    environment: Box<Environment<'static>>,
    /// The columns that it may read.
    variables: BTreeSet<String>,
}

impl Template {
    /// `key` is the recipe key that holds `source`: errors name it.
    ///
    /// # Errors
    /// A syntax error, with its line in the template.
    pub fn new(key: &'static str, source: &str) -> Result<Self, TaskError> {
        let mut environment = environment(UndefinedBehavior::Strict);
        environment.set_formatter(|out, state, value| {
            if value.is_none() {
                return Err(Error::new(ErrorKind::InvalidOperation, PRINTS_NULL));
            }
            escape_formatter(out, state, value)
        });
        add(&mut environment, key, source)?;
        let globals: BTreeSet<String> = environment.globals().map(|(name, _)| name.to_owned()).collect();
        let variables = environment.get_template(key).map_or_else(
            |_| BTreeSet::new(),
            |template| template.undeclared_variables(false).into_iter().filter(|v| !globals.contains(v)).collect(),
        );
        Ok(Self { key, environment: Box::new(environment), variables })
    }

    /// Whether it gives every row the same text.
    pub fn is_constant(&self) -> bool {
        self.variables.is_empty()
    }

    /// The text for a row.
    ///
    /// # Errors
    /// A column that the row lacks, a null that would be printed, a filter that does not apply.
    pub fn render(&self, row: &Map<String, Value>) -> Result<String, RowFault> {
        self.environment
            .get_template(self.key)
            .and_then(|template| template.render(value::seen_row(row)))
            .map_err(|error| self.fault(row, &error))
    }

    fn fault(&self, row: &Map<String, Value>, error: &Error) -> RowFault {
        let key = self.key;
        let absent: Vec<String> = self.variables.iter().filter(|v| !row.contains_key(*v)).cloned().collect();
        if error.kind() == ErrorKind::UndefinedError && !absent.is_empty() {
            return RowFault::MissingField { key, fields: absent, has: row.keys().cloned().collect() };
        }
        let null = self.variables.iter().find(|v| row.get(*v) == Some(&Value::Null));
        match null {
            Some(field) if error.detail() == Some(PRINTS_NULL) => {
                RowFault::WrongType { key, field: field.clone(), expected: "a value", found: type_of(&Value::Null) }
            }
            _ => RowFault::Unrenderable { key, reason: describe(error) },
        }
    }
}

/// minijinja's message without its own notes of where, which the key says better.
pub(crate) fn describe(error: &Error) -> String {
    match error.detail() {
        Some(detail) => detail.to_owned(),
        None => error.kind().to_string(),
    }
}

/// The environment that row templates and chat templates share.
pub(crate) fn environment(undefined: UndefinedBehavior) -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(undefined);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    if let Ok(syntax) = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build() {
        environment.set_syntax(syntax);
    }
    environment.set_unknown_method_callback(methods::python_method);
    environment.add_filter("tojson", methods::tojson);
    environment.add_filter("after", |text: &str, mark: &str| match text.rsplit_once(mark) {
        Some((_, rest)) => Ok(rest.to_owned()),
        None => Err(no_mark("after", mark)),
    });
    environment.add_filter("before", |text: &str, mark: &str| match text.split_once(mark) {
        Some((start, _)) => Ok(start.to_owned()),
        None => Err(no_mark("before", mark)),
    });
    environment
}

/// Compiles `source` under the name of its key.
pub(crate) fn add(environment: &mut Environment<'static>, key: &'static str, source: &str) -> Result<(), TaskError> {
    environment.add_template_owned(key, source.to_owned()).map_err(|error| TaskError::Template {
        key,
        line: error.line(),
        reason: describe(&error),
    })
}

fn no_mark(filter: &str, mark: &str) -> Error {
    Error::new(ErrorKind::InvalidOperation, format!("`{filter}({mark:?})`: the text has no {mark:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(json: &str) -> Map<String, Value> {
        serde_json::from_str(json).unwrap()
    }

    fn rendered(source: &str, json: &str) -> Result<String, RowFault> {
        Template::new("data.prompt", source).unwrap().render(&row(json))
    }

    #[test]
    fn columns_filters_and_methods() {
        let worked = r#"{"answer": "Half.\n#### 1,234 ", "n": 3, "tags": ["a", "b"]}"#;
        for (source, expected) in [
            ("{{ answer | after('####') | trim | replace(',', '') }}", "1234"),
            ("{{ answer | before('####') }}", "Half.\n"),
            ("{{ answer.split('####')[1].strip() }}", "1,234"),
            ("{{ answer.rstrip().endswith(('9', '4')) }}", "True"),
            ("{{ answer.startswith('Whole') }}", "False"),
            ("{{ answer.lstrip('Hal').find('.') }} {{ 'aXa'.replace('a', 'b', 1) }}", "1 bXa"),
            ("{{ 'ab cd'.title() }} {{ 'ab'.upper() }} {{ 'aB'.lower() }} {{ 'aB'.capitalize() }}", "Ab Cd AB ab Ab"),
            ("{{ {'k': 1}.get('k') }} {{ {'k': 1}.get('l', 2) }} {{ {'k': 1}.items() | list }}", "1 2 [('k', 1)]"),
            ("{{ {'k': 1}.keys() | list }}{{ {'k': 1}.values() | list }}", "['k'][1]"),
            ("{{ {'k': '<é'} | tojson }} {{ tags | tojson }}", r#"{"k": "<é"} ["a", "b"]"#),
            ("{{ tags | tojson(indent=1) }}", "[\n \"a\",\n \"b\"\n]"),
            ("{% if n is defined %}\n{{ n + 1 }}\n{% endif %}\n", "4\n"),
            ("{{ hint | default('none') }} & <b>", "none & <b>"),
        ] {
            assert_eq!(rendered(source, worked).as_deref(), Ok(expected), "{source}");
        }
    }

    #[test]
    fn a_row_that_lacks_a_column_is_told_which() {
        let error = rendered("Q: {{ question }} {{ hint }}", r#"{"hint": "h", "answer": "1"}"#).unwrap_err();
        assert_eq!(error.kind(), "missing_field");
        assert_eq!(error.to_string(), "the row lacks `question`, which `data.prompt` reads; it has `hint`, `answer`");
    }

    #[test]
    fn a_null_is_not_printed() {
        let error = rendered("Q: {{ question }}", r#"{"question": null}"#).unwrap_err();
        assert_eq!(error.kind(), "wrong_type");
        assert_eq!(error.to_string(), "the field `question`, which `data.prompt` reads, is null, and must be a value");
    }

    #[test]
    fn a_mark_that_is_not_there_is_an_error() {
        for source in ["{{ a | after('####') }}", "{{ a | before('####') }}"] {
            let error = rendered(source, r#"{"a": "b"}"#).unwrap_err();
            assert_eq!(error.kind(), "unrenderable");
            assert!(error.to_string().contains("data.prompt") && error.to_string().contains("####"), "{error}");
        }
    }

    #[test]
    fn a_nested_field_that_is_not_there_is_an_error() {
        let error = rendered("{{ meta.level }}", r#"{"meta": {}}"#).unwrap_err();
        assert_eq!(error.kind(), "unrenderable");
        assert!(error.to_string().contains("undefined"), "{error}");
    }

    #[test]
    fn a_template_that_does_not_parse_names_key_and_line() {
        let Err(error) = Template::new("data.prompt", "fine\n{{ question") else { panic!("it parsed") };
        assert!(error.to_string().contains("data.prompt") && error.to_string().contains("line 2"), "{error}");
        assert_eq!(error.fault(), crate::Fault::Recipe);
    }
}
