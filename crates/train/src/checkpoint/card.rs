//! The model card of a directory: where its weights come from.

use serde::Serialize;

use cohort_core::StoredAs;
use cohort_env::Sandbox;

/// What a card says of the weights beside it: no time and no path, so that equal runs have equal cards.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Provenance {
    /// The recipe's name.
    pub recipe: String,
    /// SHA-256 of the resolved recipe.
    pub recipe_hash: String,
    /// The model that training began from, without its folders; `None` for random weights.
    pub base: Option<String>,
    pub stage: String,
    pub step: u64,
    /// What programs of the policy ran in, where rewards ran them.
    pub sandbox: Sandbox,
}

/// The last part of what names a model in a recipe: `org/name` for a hub's, else its folder.
pub fn base_name(model: &str) -> String {
    match model.strip_prefix("hf:") {
        Some(name) => name.to_owned(),
        None => {
            let plain = model.strip_prefix("data:").unwrap_or(model).trim_end_matches('/');
            plain.rsplit('/').next().unwrap_or(plain).to_owned()
        }
    }
}

impl Provenance {
    /// `README.md`, with the front matter that hubs read.
    pub(super) fn render(&self, stored: StoredAs) -> String {
        let Self { recipe, recipe_hash, base, stage, step, sandbox } = self;
        let version = env!("CARGO_PKG_VERSION");
        let (library, kind) = match stored {
            StoredAs::Model => ("transformers", "Weights"),
            StoredAs::Adapter => ("peft", "A LoRA adapter"),
        };
        let quoted = |text: &str| Serialized(text).to_string();
        let title = if recipe.is_empty() { "A policy" } else { recipe };
        let front = base.as_ref().map_or(String::new(), |base| format!("base_model: {}\n", quoted(base)));
        let base = base.as_deref().unwrap_or("random weights, no model");
        let sandbox = match sandbox {
            Sandbox::Jail => "",
            Sandbox::None => "| sandbox | none: generated programs ran with the user's rights |\n",
        };
        format!(
            "---\nlibrary_name: {library}\npipeline_tag: text-generation\n{front}tags:\n- cohort\n- \
             reinforcement-learning\n---\n\n# {title}\n\n{kind} trained with Cohort.\n\n| | |\n|---|---|\n| base | {base} |\n| \
             recipe | `{recipe}` |\n| recipe hash (SHA-256) | `{recipe_hash}` |\n| stage | {stage} |\n| step | {step} |\n\
             {sandbox}| Cohort | {version} |\n"
        )
    }
}

/// A text as a string of YAML: JSON's strings are such.
struct Serialized<'a>(&'a str);

impl std::fmt::Display for Serialized<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&serde_json::Value::from(self.0).to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_is_named_without_its_folders() {
        assert_eq!(base_name("hf:org/name"), "org/name");
        assert_eq!(base_name("data:models/tiny"), "tiny");
        assert_eq!(base_name("/some/where/Qwen2.5-0.5B/"), "Qwen2.5-0.5B");
    }

    #[test]
    fn a_card_says_where_weights_come_from() {
        let provenance = Provenance {
            recipe: "gsm8k".to_owned(),
            recipe_hash: "abc".to_owned(),
            base: Some("a \"b\"".to_owned()),
            stage: "rl".to_owned(),
            step: 12,
            sandbox: Sandbox::Jail,
        };
        let card = provenance.render(StoredAs::Adapter);
        for part in
            ["library_name: peft", r#"base_model: "a \"b\"""#, "`abc`", "| step | 12 |", env!("CARGO_PKG_VERSION")]
        {
            assert!(card.contains(part), "{part} in {card}");
        }
        assert!(!card.contains("sandbox"));
        let card = Provenance { sandbox: Sandbox::None, ..provenance }.render(StoredAs::Model);
        assert!(card.contains("| step | 12 |\n| sandbox | none: ") && card.contains("rights |\n| Cohort | "), "{card}");
    }
}
