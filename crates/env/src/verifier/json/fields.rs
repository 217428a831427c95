//! JSON values as sets of fields.

use std::collections::HashMap;

use serde_json::Value;

/// A field: where it stands and what it holds.
type Leaf = (String, String);

/// The leaves of a value with their paths. Empty lists and objects are leaves; numbers are equal where their values are, texts but for blanks around.
pub(super) fn leaves(value: &Value) -> HashMap<Leaf, usize> {
    let mut found = HashMap::new();
    // Depth is bounded: values come from a parser that refuses deep ones.
    walk(value, &mut String::new(), &mut found);
    found
}

fn walk(value: &Value, path: &mut String, found: &mut HashMap<Leaf, usize>) {
    let length = path.len();
    match value {
        Value::Object(map) if !map.is_empty() => {
            for (key, value) in map {
                path.push('/');
                path.push_str(&key.replace('~', "~0").replace('/', "~1"));
                walk(value, path, found);
                path.truncate(length);
            }
        }
        // Elements have no index: a list that misses its first element keeps the rest.
        Value::Array(list) if !list.is_empty() => {
            path.push_str("/*");
            for value in list {
                walk(value, path, found);
            }
            path.truncate(length);
        }
        Value::String(text) => count(path, format!("\"{}", text.trim()), found),
        Value::Number(n) => count(path, n.as_f64().map_or_else(|| n.to_string(), |n| (n + 0.0).to_string()), found),
        other => count(path, other.to_string(), found),
    }
}

fn count(path: &str, leaf: String, found: &mut HashMap<Leaf, usize>) {
    *found.entry((path.to_owned(), leaf)).or_default() += 1;
}

/// Precision, recall and F1 of one bag against another; of two empty ones all are 1.
pub(super) fn f1<K: Eq + std::hash::Hash>(said: &HashMap<K, usize>, gold: &HashMap<K, usize>) -> (f64, f64, f64) {
    let size = |bag: &HashMap<K, usize>| bag.values().sum::<usize>() as f64;
    let shared: usize = said.iter().map(|(key, n)| gold.get(key).map_or(0, |m| *n.min(m))).sum();
    let share = |of: f64| if of > 0.0 { shared as f64 / of } else { f64::from(size(said) + size(gold) == 0.0) };
    let (precision, recall) = (share(size(said)), share(size(gold)));
    let f1 = if precision + recall > 0.0 { 2.0 * precision * recall / (precision + recall) } else { 0.0 };
    (precision, recall, f1)
}
