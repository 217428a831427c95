//! Every key that a recipe may have, from the recipe's own types: their names, doc comments and defaults
//! ([`schema`]), the registry's words for choices, and the words of the check that a value must pass.

mod range;
mod schema;

use std::fmt::Write;

use cohort_core::registry::{self, Axis, Entry};
use cohort_env::verifier;
use serde::Serialize;
use serde_json::Value;

use crate::explain;
use schema::Node;
pub use schema::schema;

/// One key explained.
#[derive(Clone, Debug, Serialize)]
pub struct Key {
    pub key: String,
    #[serde(rename = "type")]
    pub kind: String,
    /// What the key is when a recipe does not have it; `None` where it is then absent, or must be given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default: Option<Value>,
    pub about: String,
    /// What a value must be.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub range: Vec<String>,
    /// Paper, framework or `ours`, for what the registry has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<&'static str>,
    /// The words that it may be.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<Named>,
    /// The keys below it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<Named>,
    #[serde(skip)]
    entry: Option<&'static Entry>,
}

/// A word and what it means.
#[derive(Clone, Debug, Serialize)]
pub struct Named {
    pub name: String,
    pub about: String,
}

/// No key has this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no key of a recipe is named `{key}`\n  hint: {}", hint(near))]
pub struct UnknownKey {
    pub key: String,
    /// The likeliest first.
    pub near: Vec<String>,
}

fn hint(near: &[String]) -> String {
    match near {
        [] => "`cohort explain` lists the sections".to_owned(),
        near => format!("did you mean {}? `cohort explain` lists the sections", near.join(", ")),
    }
}

/// The key with this dotted name; the whole recipe for an empty one.
///
/// # Errors
/// [`UnknownKey`], with what it may have meant.
pub fn explain(key: &str) -> Result<Key, UnknownKey> {
    let root = Node::root();
    let unknown = || UnknownKey { key: key.to_owned(), near: near(key) };
    let parts: Vec<&str> = key.split('.').filter(|_| !key.is_empty()).collect();
    let mut node = root;
    for part in &parts {
        node = node.child(part).ok_or_else(unknown)?;
    }
    let entry = entry_of(key);
    let parameter = parameter_of(key);
    let choices = node.choices();
    let choices =
        choices.into_iter().map(|(name, about)| Named { about: about_choice(key, &name, about), name }).collect();
    let keys = node.keys().into_iter().map(|(name, child)| Named { name, about: first_sentence(&child.about()) });
    let about = match (node.about(), entry, parameter) {
        (_, Some(entry), _) => entry.summary.to_owned(),
        (.., Some(parameter)) => parameter.meaning.to_owned(),
        (about, ..) if about.is_empty() && verifier_parameter_of(key).is_some() => {
            verifier_parameter_of(key).unwrap_or_default().to_owned()
        }
        (about, ..) if about.is_empty() && node.is_named() => "A name of the recipe's own.".to_owned(),
        (about, ..) => about,
    };
    let range = match parameter {
        Some(parameter) => vec![parameter.range.to_owned()],
        None => range::of(key, &node),
    };
    Ok(Key {
        key: key.to_owned(),
        kind: node.kind(),
        default: schema::default_of(&parts).or_else(|| node.default()).filter(|d| !d.is_null()),
        about,
        range,
        source: entry.map(|e| e.source),
        choices,
        keys: keys.collect(),
        entry,
    })
}

/// Every key, depth first. `NAME` stands for a name of the recipe's own.
pub fn all() -> Vec<String> {
    let mut keys = Vec::new();
    Node::root().walk("", &mut Vec::new(), &mut keys);
    keys
}

/// The entry of the registry whose choice `key` is: the axis's key, or one below it, and its word.
fn entry_of(key: &str) -> Option<&'static Entry> {
    let (choice, word) = key.rsplit_once('.')?;
    entry_at(choice, word)
}

fn entry_at(choice: &str, word: &str) -> Option<&'static Entry> {
    let is_here = |axis: Axis| match axis {
        // One axis whose choices stand under several keys.
        Axis::Weight | Axis::Curriculum => choice.rsplit_once('.').is_some_and(|(section, _)| section == axis.key()),
        Axis::Derive => choice == "reward.derive.with",
        axis => choice == axis.key(),
    };
    registry::entries().find(|entry| entry.name == word && is_here(entry.axis))
}

/// What a verifier says of one of its parameters.
fn verifier_parameter_of(key: &str) -> Option<&'static str> {
    let (choice, name) = key.rsplit_once('.')?;
    let (section, word) = choice.rsplit_once('.')?;
    let verifier = verifier::DESCRIBED.iter().find(|v| v.name == word && section.ends_with(".verifier"))?;
    verifier.parameters.iter().find(|(parameter, _)| *parameter == name).map(|(_, meaning)| *meaning)
}

/// A parameter of the registry; its name may have parts of its own (`by.group.of`).
fn parameter_of(key: &str) -> Option<&'static registry::Parameter> {
    key.match_indices('.').find_map(|(at, _)| {
        let (choice, name) = (&key[..at], &key[at + 1..]);
        entry_of(choice)?.parameters.iter().find(|p| p.name == name)
    })
}

fn about_choice(key: &str, name: &str, about: String) -> String {
    entry_at(key, name).map_or_else(|| first_sentence(&about), |entry| entry.summary.to_owned())
}

fn first_sentence(text: &str) -> String {
    text.split_inclusive(". ").next().unwrap_or(text).trim().to_owned()
}

/// The likeliest keys: those that end in the same word, then those that differ by the fewest letters.
fn near(key: &str) -> Vec<String> {
    let word = |key: &str| key.rsplit('.').next().unwrap_or(key).to_owned();
    let asked = word(key);
    let mut found: Vec<(usize, String)> = all()
        .into_iter()
        .map(|candidate| {
            let slip = edits(&word(&candidate), &asked);
            // A slip counts more than a section that is left out.
            (4 * slip + edits(&candidate, key).min(12), candidate)
        })
        .collect();
    found.sort();
    let most = 4 * (1 + asked.len() / 3) + 12;
    found.into_iter().filter(|(far, _)| *far <= most).map(|(_, key)| key).take(4).collect()
}

/// Letters put in, left out or changed.
fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, &y) in b.iter().enumerate() {
            let changed = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

impl Key {
    /// For people.
    pub fn page(&self) -> String {
        if let Some(entry) = self.entry {
            return format!("{}\n\n{}", self.key, explain::page(entry));
        }
        let mut text = if self.key.is_empty() { String::new() } else { format!("{}\n\n", self.key) };
        let mut line = |title: &str, body: &str| {
            let _ = writeln!(text, "{title:<11}{}", body.replace('\n', "\n           "));
        };
        if !self.key.is_empty() {
            line("type", &self.kind);
            if let Some(default) = &self.default {
                line("default", &toml_of(default));
            }
        }
        self.range.iter().for_each(|range| line("range", range));
        if !self.about.is_empty() {
            line("about", &self.about);
        }
        for (title, list) in [("choices", &self.choices), ("keys", &self.keys)] {
            let width = list.iter().map(|named| named.name.len()).max().unwrap_or(0);
            let body: Vec<String> =
                list.iter().map(|n| format!("{:width$}  {}", n.name, n.about).trim_end().to_owned()).collect();
            if !body.is_empty() {
                line(title, &body.join("\n"));
            }
        }
        if !self.choices.is_empty() || !self.keys.is_empty() {
            let example = self.choices.first().or(self.keys.first()).map_or("", |n| n.name.as_str());
            let dot = if self.key.is_empty() { "" } else { "." };
            let _ = write!(text, "\n`cohort explain {}{dot}{example}` explains one.", self.key);
        }
        text
    }
}

/// A value as a recipe writes it.
fn toml_of(value: &Value) -> String {
    match value {
        Value::Null => "absent".to_owned(),
        Value::Array(list) => format!("[{}]", list.iter().map(toml_of).collect::<Vec<_>>().join(", ")),
        Value::Object(table) if table.is_empty() => "{}".to_owned(),
        Value::Object(table) => {
            let pairs: Vec<String> =
                table.iter().filter(|(_, v)| !v.is_null()).map(|(k, v)| format!("{k} = {}", toml_of(v))).collect();
            format!("{{ {} }}", pairs.join(", "))
        }
        Value::Number(x) if x.is_f64() => format!("{:?}", x.as_f64().unwrap_or_default()),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_explained() {
        let mut wordless = Vec::new();
        for key in all() {
            let found = explain(&key).unwrap_or_else(|e| panic!("{e}"));
            if found.about.is_empty() {
                wordless.push(key.clone());
            }
            assert!(!found.kind.is_empty(), "{key}");
            assert!(found.page().contains(&key));
        }
        assert!(wordless.is_empty(), "give the fields a doc comment of {wordless:#?}");
    }

    /// The types that are explained are those that recipes are read with.
    #[test]
    fn every_key_of_a_resolved_recipe_is_one() {
        fn leaves(at: &str, value: &toml::Value, out: &mut Vec<String>) {
            match value {
                toml::Value::Table(table) if !table.is_empty() => {
                    let dot = if at.is_empty() { "" } else { "." };
                    table.iter().for_each(|(k, v)| leaves(&format!("{at}{dot}{k}"), v, out));
                }
                _ => out.push(at.to_owned()),
            }
        }
        for text in [range::RECIPE, range::NEW_POLICY] {
            let recipe = cohort_train::Recipe::parse("example", text, &[]).unwrap();
            let mut keys = Vec::new();
            leaves("", &toml::Value::Table(recipe.resolved().parse().unwrap()), &mut keys);
            assert!(keys.len() > 40, "{keys:?}");
            for key in keys {
                explain(&key).unwrap_or_else(|e| panic!("{e}"));
            }
        }
    }

    #[test]
    fn every_choice_of_the_registry_is_found_under_its_key() {
        let keys = all();
        for entry in registry::entries() {
            let mut found = keys.iter().filter_map(|key| entry_of(key));
            assert!(found.any(|e| std::ptr::eq(e, entry)), "{}.{} has no key", entry.axis, entry.name);
        }
    }

    #[test]
    fn a_key_has_type_default_range_and_words() {
        let lr = explain("train.lr").unwrap();
        assert_eq!((lr.kind.as_str(), lr.default.clone()), ("a number", Some(Value::from(1e-6))));
        assert_eq!(lr.range, ["must be a finite number of at least 0"]);
        let temperature = explain("rollout.temperature").unwrap();
        assert_eq!(temperature.range, ["must be a finite number above 0"]);
        let size = explain("rollout.group_size").unwrap();
        assert_eq!(size.default, Some(Value::from(8)));
        assert!(size.kind.contains("whole number") && !size.range.is_empty(), "{size:?}");
        let gate = explain("objective.surrogate.policy_gradient.gate").unwrap();
        assert!(gate.choices.iter().any(|c| c.name == "clip" && !c.about.is_empty()), "{gate:?}");
        let clip = explain("objective.surrogate.policy_gradient.gate.clip").unwrap();
        assert!(clip.source.is_some() && clip.page().contains("formula"), "{}", clip.page());
        let low = explain("objective.surrogate.policy_gradient.gate.clip.low").unwrap();
        assert!(!low.range.is_empty(), "{low:?}");
        let train = explain("train").unwrap();
        assert!(train.keys.iter().any(|k| k.name == "clip_norm" && !k.about.is_empty()));
        assert!(
            explain("reward.terms.anything.verifier.answer.compare")
                .unwrap()
                .choices
                .iter()
                .any(|c| c.name == "number")
        );
        assert!(explain("policy.new.width").unwrap().range.contains(&"must be at least 1".to_owned()));
        assert!(explain("").unwrap().keys.iter().any(|k| k.name == "objective"));
    }

    #[test]
    fn a_slip_is_answered_with_what_was_meant() {
        for (slip, meant) in [
            ("lr", "train.lr"),
            ("train.lrr", "train.lr"),
            ("rollout.temprature", "rollout.temperature"),
            ("group_size", "rollout.group_size"),
            ("objective.surrogate.policy_gradient.gat", "objective.surrogate.policy_gradient.gate"),
        ] {
            let near = explain(slip).unwrap_err().near;
            assert!(near.contains(&meant.to_owned()), "{slip}: {near:?}");
        }
        assert_eq!(edits("abc", "abc"), 0);
        assert_eq!(edits("kitten", "sitting"), 3);
    }
}
