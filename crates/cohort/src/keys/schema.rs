//! The JSON schema of a recipe, and a way to walk it key by key.

use std::sync::OnceLock;

use cohort_train::recipe::low::Low;
use serde_json::{Map, Value};

/// The JSON schema of a recipe, for editors: every key with its type, doc comment and default.
pub fn schema() -> &'static Value {
    static SCHEMA: OnceLock<Value> = OnceLock::new();
    SCHEMA.get_or_init(|| schemars::schema_for!(Low).to_value())
}

/// What a recipe without the key has at it.
pub fn default_of(parts: &[&str]) -> Option<Value> {
    let whole = serde_json::to_value(Low::default()).ok()?;
    parts.iter().try_fold(whole, |value, part| value.get(part).cloned())
}

/// A place in the schema: what was written at the key, and the type that it refers to.
#[derive(Clone, Copy, Debug)]
pub struct Node {
    /// Has the words and the default of the field.
    field: &'static Value,
    /// Has the shape.
    shape: &'static Value,
    /// The type's name, where it has one.
    name: Option<&'static str>,
    /// Its own name is the recipe's choice.
    is_named: bool,
}

impl Node {
    pub fn root() -> Self {
        Self { field: schema(), shape: schema(), name: None, is_named: false }
    }

    fn new(field: &'static Value) -> Self {
        let (mut shape, mut name) = (field, None);
        loop {
            if let Some(reference) = shape.get("$ref").and_then(Value::as_str) {
                name = reference.strip_prefix("#/$defs/");
                shape = name.and_then(|name| schema().get("$defs")?.get(name)).unwrap_or(&Value::Null);
            } else if let Some(some) = optional(shape) {
                shape = some;
            } else {
                return Self { field, shape, name, is_named: false };
            }
        }
    }

    /// The key below this one: a field, a choice, a name of the recipe's own, or one of a list's elements.
    pub fn child(self, part: &str) -> Option<Node> {
        if let Some(field) = properties(self.shape).and_then(|p| p.get(part)) {
            return Some(Node::new(field));
        }
        for variant in self.variants() {
            if let Some(field) = properties(variant).and_then(|p| p.get(part)) {
                let node = Node::new(field);
                // The words of a choice stand beside it.
                let has_words = field.get("description").is_some() || variant.get("description").is_none();
                return Some(if has_words { node } else { Node { field: variant, ..node } });
            }
            if words(variant).any(|word| word == part) {
                return Some(Node { field: variant, shape: &Value::Null, name: None, is_named: false });
            }
            if properties(variant).is_none()
                && let Some(found) = Node::new(variant).of_no_word().and_then(|node| node.child(part))
            {
                return Some(found);
            }
        }
        if let Some(any) = self.shape.get("additionalProperties").filter(|any| any.is_object()) {
            return Some(Node { is_named: true, ..Node::new(any) });
        }
        self.items()?.child(part)
    }

    /// Another type's place, not a word's.
    fn of_no_word(self) -> Option<Node> {
        self.shape.get("type").is_none_or(|t| t == "object").then_some(self).filter(|node| node.name.is_some())
    }

    fn items(self) -> Option<Node> {
        self.shape.get("items").filter(|items| items.is_object()).map(Node::new)
    }

    fn variants(self) -> impl Iterator<Item = &'static Value> {
        let list = ["oneOf", "anyOf"].into_iter().filter_map(move |word| self.shape.get(word)?.as_array());
        let words = self.shape.get("enum").map(|_| self.shape);
        list.flatten().chain(words)
    }

    /// What the doc comments say: of the field, and of its type where that says more.
    pub fn about(self) -> String {
        let said = |value: &Value| value.get("description").and_then(Value::as_str).map(unwrapped);
        said(self.field).or_else(|| said(self.shape)).unwrap_or_default()
    }

    pub fn default(self) -> Option<Value> {
        self.field.get("default").or_else(|| self.shape.get("default")).cloned()
    }

    /// The type in words.
    pub fn kind(self) -> String {
        if self.shape.is_null() {
            return "a choice without parameters".to_owned();
        }
        if !self.choices().is_empty() {
            return "one of the choices".to_owned();
        }
        let words: Vec<&str> = types(self.shape).filter(|t| *t != "null").map(word).collect();
        match (words.as_slice(), self.items()) {
            ([], _) if self.variants().next().is_some() => {
                // One of several types, told apart by what is written.
                self.variants().map(|variant| Node::new(variant).kind()).collect::<Vec<_>>().join(" or ")
            }
            ([], _) => "a section".to_owned(),
            (_, Some(items)) => match self.shape.get("minItems").and_then(Value::as_u64) {
                Some(n) => format!("a list of {n}, each {}", items.kind()),
                None => format!("a list, each element {}", items.kind()),
            },
            (words, None) => words.join(" or "),
        }
    }

    pub fn is_named(self) -> bool {
        self.is_named
    }

    /// The least that the type allows.
    pub fn least(self) -> Option<i64> {
        self.shape.get("minimum").and_then(Value::as_i64)
    }

    pub fn types(self) -> Vec<&'static str> {
        types(self.shape).collect()
    }

    /// Elements of a list of fixed length.
    pub fn length(self) -> Option<u64> {
        self.shape.get("minItems").and_then(Value::as_u64)
    }

    /// The words that may stand here, with what is said of them.
    pub fn choices(self) -> Vec<(String, String)> {
        let mut found: Vec<(String, String)> = Vec::new();
        for variant in self.variants() {
            let said = variant.get("description").and_then(Value::as_str).map(unwrapped).unwrap_or_default();
            let tags = properties(variant).into_iter().flat_map(Map::keys).map(String::as_str);
            for name in words(variant).chain(tags) {
                if !found.iter().any(|(n, _)| n == name) {
                    found.push((name.to_owned(), said.clone()));
                }
            }
        }
        found
    }

    /// The fields of a section, or of a list's elements.
    pub fn keys(self) -> Vec<(String, Node)> {
        if let Some(any) = self.shape.get("additionalProperties").filter(|any| any.is_object()) {
            return vec![("NAME".to_owned(), Node::new(any))];
        }
        match (properties(self.shape), self.items()) {
            (Some(fields), _) => fields.iter().map(|(name, field)| (name.clone(), Node::new(field))).collect(),
            (None, Some(items)) => items.keys(),
            (None, None) => Vec::new(),
        }
    }

    /// Every key at and below this one; a type within itself is not entered again.
    pub fn walk(self, at: &str, within: &mut Vec<&'static str>, out: &mut Vec<String>) {
        if !at.is_empty() {
            out.push(at.to_owned());
        }
        if self.name.is_some_and(|name| within.contains(&name)) {
            return;
        }
        within.extend(self.name);
        let names =
            self.keys().into_iter().map(|(name, _)| name).chain(self.choices().into_iter().map(|(name, _)| name));
        let items = self.items().map(|items| items.choices()).unwrap_or_default().into_iter().map(|(name, _)| name);
        for name in names.chain(items).collect::<Vec<_>>() {
            let dot = if at.is_empty() { "" } else { "." };
            if let Some(child) = self.child(&name) {
                child.walk(&format!("{at}{dot}{name}"), within, out);
            }
        }
        if self.name.is_some() {
            within.pop();
        }
    }
}

/// The one type of `T | null`.
fn optional(shape: &'static Value) -> Option<&'static Value> {
    let list = shape.get("anyOf")?.as_array()?;
    let some: Vec<_> = list.iter().filter(|v| v.get("type").is_none_or(|t| t != "null")).collect();
    (some.len() == 1 && list.len() == 2).then(|| some[0])
}

fn properties(shape: &'static Value) -> Option<&'static Map<String, Value>> {
    shape.get("properties")?.as_object()
}

/// The words of a choice without parameters.
fn words(variant: &'static Value) -> impl Iterator<Item = &'static str> {
    let one = variant.get("const").and_then(Value::as_str);
    let many = variant.get("enum").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    one.into_iter().chain(many)
}

fn types(shape: &'static Value) -> impl Iterator<Item = &'static str> {
    let list = shape.get("type").and_then(Value::as_array).into_iter().flatten();
    list.chain(shape.get("type").filter(|t| t.is_string())).filter_map(Value::as_str)
}

fn word(json: &str) -> &str {
    match json {
        "integer" => "a whole number",
        "number" => "a number",
        "boolean" => "true or false",
        "string" => "a text",
        "array" => "a list",
        "object" => "a section",
        other => other,
    }
}

/// A doc comment's lines are broken for its source.
fn unwrapped(text: &str) -> String {
    text.split("\n\n")
        .map(|paragraph| paragraph.split('\n').collect::<Vec<_>>().join(" "))
        .collect::<Vec<_>>()
        .join("\n")
}
