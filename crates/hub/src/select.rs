//! Which files of a repository make a model.

use std::{collections::BTreeSet, path::Path};

use serde_json::Value;

pub const CONFIG: &str = "config.json";
pub const TOKENIZER: &str = "tokenizer.json";
pub const WEIGHTS: &str = "model.safetensors";
pub const INDEX: &str = "model.safetensors.index.json";
/// What stands behind the transformer of a sentence encoder.
pub const MODULES: &str = "modules.json";
pub const ADAPTER_CONFIG: &str = "adapter_config.json";
pub const ADAPTER: &str = "adapter_model.safetensors";

/// What goes with the weights where the repository has it.
pub const BESIDE: [&str; 16] = [
    CONFIG,
    "generation_config.json",
    TOKENIZER,
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "tokenizer.model",
    "vocab.json",
    "merges.txt",
    "chat_template.jinja",
    "chat_template.json",
    ADAPTER_CONFIG,
    ADAPTER,
    MODULES,
    "sentence_bert_config.json",
    "config_sentence_transformers.json",
];

/// Whether a file is one of a sentence encoder's module, such as `1_Pooling/config.json`.
pub fn is_of_a_module(file: &str) -> bool {
    let Some((folder, name)) = file.split_once('/') else { return false };
    let is_numbered = folder.split_once('_').is_some_and(|(number, word)| {
        let digits = number.chars().all(|c| c.is_ascii_digit()) && !number.is_empty();
        digits && !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric())
    });
    is_numbered && (BESIDE.contains(&name) || name == WEIGHTS)
}

/// The shards that an index names. `None` where it is no index, or names a file of another folder.
pub fn shards(index: &Path) -> Option<BTreeSet<String>> {
    let index: Value = serde_json::from_slice(&std::fs::read(index).ok()?).ok()?;
    let shards = index.get("weight_map")?.as_object()?.values();
    let plain = |name: &str| name.ends_with(".safetensors") && !name.contains(['/', '\\']);
    shards.map(|shard| shard.as_str().filter(|s| plain(s)).map(str::to_owned)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_have_numbered_folders() {
        for file in ["1_Pooling/config.json", "2_Dense/model.safetensors", "0_Transformer/tokenizer.json"] {
            assert!(is_of_a_module(file), "{file}");
        }
        for file in
            ["config.json", "onnx/config.json", "1_Pooling/x/config.json", "2_Dense/pytorch_model.bin", "_/config.json"]
        {
            assert!(!is_of_a_module(file), "{file}");
        }
    }
}
