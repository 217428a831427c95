//! The `[system]` section of a recipe: what its page says of the published system.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The published system that a recipe is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct System {
    /// Its number among the 69.
    pub number: u32,
    /// Its name.
    pub title: String,
    /// Where it was published, with the section that is followed.
    pub source: String,
    /// The system in two sentences.
    pub what: String,
    /// The paper's claim, and its number.
    pub paper: String,
    /// Its equations, and where each is computed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub equations: Vec<Equation>,
    /// Where the recipe departs from the paper, and why; the page numbers them in this order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deviations: Vec<String>,
    /// What no source confirmed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unverified: Vec<String>,
    /// What was tried on dev, where the verdict is not `reproduced`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tried: Vec<String>,
    /// What was measured besides, by which script, with its numbers; each a paragraph or a table of the page, in Markdown.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub measured: Vec<String>,
}

/// An equation beside the code that computes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Equation {
    /// The equation, in plain text.
    pub formula: String,
    /// `FILE: IDENTIFIER`, the file from the repository's root.
    pub symbol: String,
}

impl Equation {
    /// The file and the identifier; `None` where the text has another form.
    pub fn place(&self) -> Option<(&str, &str)> {
        let (file, identifier) = self.symbol.split_once(": ")?;
        let word = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
        let is_name = !identifier.is_empty() && identifier.chars().all(word);
        (file.ends_with(".rs") && !file.starts_with('/') && !file.contains("..") && is_name)
            .then_some((file, identifier))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_of_an_equation_is_a_file_and_a_name() {
        let place = |symbol: &str| {
            let equation = Equation { formula: "a = b".to_owned(), symbol: symbol.to_owned() };
            equation.place().map(|(file, name)| format!("{file}|{name}"))
        };
        assert_eq!(place("crates/core/src/a.rs: mad").as_deref(), Some("crates/core/src/a.rs|mad"));
        assert_eq!(place("crates/core/src/a.rs: Scale::mad").as_deref(), Some("crates/core/src/a.rs|Scale::mad"));
        for wrong in ["crates/core/src/a.rs", "a.md: mad", "/a.rs: mad", "../a.rs: mad", "a.rs: two words", "a.rs: "] {
            assert_eq!(place(wrong), None, "{wrong}");
        }
    }
}
