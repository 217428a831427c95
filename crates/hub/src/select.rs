//! Which files of a repository make a model.

use std::{collections::BTreeSet, path::Path};

use serde_json::Value;

pub const CONFIG: &str = "config.json";
pub const TOKENIZER: &str = "tokenizer.json";
pub const WEIGHTS: &str = "model.safetensors";
pub const INDEX: &str = "model.safetensors.index.json";
pub const ADAPTER_CONFIG: &str = "adapter_config.json";
pub const ADAPTER: &str = "adapter_model.safetensors";

/// What goes with the weights where the repository has it.
pub const BESIDE: [&str; 13] = [
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
];

/// The shards that an index names. `None` where it is no index, or names a file of another folder.
pub fn shards(index: &Path) -> Option<BTreeSet<String>> {
    let index: Value = serde_json::from_slice(&std::fs::read(index).ok()?).ok()?;
    let shards = index.get("weight_map")?.as_object()?.values();
    let plain = |name: &str| name.ends_with(".safetensors") && !name.contains(['/', '\\']);
    shards.map(|shard| shard.as_str().filter(|s| plain(s)).map(str::to_owned)).collect()
}
