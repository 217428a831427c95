//! The files that stand beside a model's weights, kept byte for byte.

use std::path::Path;

use cohort_core::policy::Asset;

use crate::error::ConfigError;

/// The files that are carried from a model's directory into the directories of its checkpoints.
pub const CARRIED: [&str; 9] = [
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.jinja",
    "vocab.json",
    "merges.txt",
];

/// Reads those of [`CARRIED`] that are there, in that order.
pub(crate) fn read_assets(directory: &Path) -> Result<Vec<Asset>, ConfigError> {
    let mut assets = Vec::new();
    for name in CARRIED {
        let path = directory.join(name);
        if path.is_file() {
            let bytes = std::fs::read(&path).map_err(|source| ConfigError::Unreadable { path, source })?;
            assets.push(Asset { name: name.to_owned(), bytes });
        }
    }
    Ok(assets)
}

/// The tokenizer of the arithmetic tasks: 64 ids, one a character, `<think>`, `</think>`, `<answer>` and
/// `</answer>` being one id each; `<pad>` is 0, `<eos>` 1, `<unk>` 2.
pub fn arithmetic_tokenizer() -> Vec<Asset> {
    [
        ("tokenizer.json", include_bytes!("../assets/arithmetic/tokenizer.json").as_slice()),
        ("tokenizer_config.json", include_bytes!("../assets/arithmetic/tokenizer_config.json").as_slice()),
    ]
    .map(|(name, bytes)| Asset { name: name.to_owned(), bytes: bytes.to_vec() })
    .into()
}
