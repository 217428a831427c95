//! The registry whole: every entry in words, under the word that serde takes, and as it was last looked at.

use std::{collections::BTreeSet, fmt::Write, path::Path};

use cohort_core::registry::{Axis, entries, find};

/// What each entry promises beside its formula, a line an entry. A change of the registry changes
/// `tests/golden/registry.txt`: look at the difference, and put the text that the failure prints there.
fn snapshot() -> String {
    let mut text = String::new();
    for entry in entries() {
        let parameters: Vec<String> = entry.parameters.iter().map(|p| format!("{}={}", p.name, p.default)).collect();
        let equals: Vec<&str> = entry.equals.iter().map(|(name, _)| *name).collect();
        writeln!(
            text,
            "{}.{} ({}) reads [{}] equals [{}]{}",
            entry.axis,
            entry.name,
            parameters.join(", "),
            entry.reads.join("; "),
            equals.join(", "),
            if entry.unverified.is_empty() { "" } else { " unverified" },
        )
        .expect("a String takes everything");
    }
    text
}

#[test]
fn the_registry_is_as_it_was_last_looked_at() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/registry.txt");
    let frozen = std::fs::read_to_string(path).expect("it is there");
    let now = snapshot();
    assert!(frozen == now, "the registry changed; it is now:\n{now}");
}

#[test]
fn every_entry_is_whole() {
    let mut seen = BTreeSet::new();
    for entry in entries() {
        let name = format!("{}.{}", entry.axis, entry.name);
        assert!(entry.name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'), "{name}");
        assert!(!entry.summary.is_empty() && !entry.summary.ends_with('.'), "{name}: a line without a full stop");
        assert!(!entry.formula.is_empty(), "{name}");
        assert!(!entry.source.is_empty(), "{name}");
        for parameter in entry.parameters {
            let whole = [parameter.name, parameter.default, parameter.range, parameter.meaning];
            assert!(whole.iter().all(|text| !text.is_empty()), "{name}: {}", parameter.name);
        }
        assert_eq!(find(&name).len(), 1, "{name}");
        assert!(seen.insert(name));
    }
    for axis in Axis::ALL {
        assert!(entries().any(|e| e.axis == axis), "{axis} has no choice");
        assert!(axis.key().contains(axis.word()) || axis == Axis::Divergence, "{axis}: {}", axis.key());
    }
    assert!(find("none").len() > 3 && find("no such thing").is_empty());
}
