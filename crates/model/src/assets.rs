//! The files that stand beside a model's weights, kept byte for byte.

use std::path::Path;

use cohort_core::{NumberType, policy::Asset};

use crate::{config::StoredDtype, error::ConfigError};

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

/// Named chat templates beside `chat_template.jinja`, one a file; carried too.
const MORE_TEMPLATES: &str = "additional_chat_templates";

/// Reads those of [`CARRIED`] that are there, in that order, and named chat templates by name.
pub(crate) fn read_assets(directory: &Path) -> Result<Vec<Asset>, ConfigError> {
    let mut assets = Vec::new();
    for name in CARRIED {
        let path = directory.join(name);
        if path.is_file() {
            let bytes = std::fs::read(&path).map_err(|source| ConfigError::Unreadable { path, source })?;
            let bytes = if name == "config.json" { with_dtype(bytes, NumberType::F32) } else { bytes };
            assets.push(Asset { name: name.to_owned(), bytes });
        }
    }
    assets.extend(more_templates(directory)?);
    Ok(assets)
}

fn more_templates(directory: &Path) -> Result<Vec<Asset>, ConfigError> {
    let folder = directory.join(MORE_TEMPLATES);
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let unreadable = |path: &Path| {
        let path = path.to_owned();
        move |source| ConfigError::Unreadable { path, source }
    };
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(&folder).map_err(unreadable(&folder))? {
        paths.push(entry.map_err(unreadable(&folder))?.path());
    }
    paths.retain(|path| path.extension().is_some_and(|e| e == "jinja") && path.is_file());
    paths.sort();
    let asset = |path: &std::path::PathBuf| {
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        let name = format!("{MORE_TEMPLATES}/{file}");
        Ok(Asset { name, bytes: std::fs::read(path).map_err(unreadable(path))? })
    };
    paths.iter().map(asset).collect()
}

/// A `config.json` for weights that are written in `numbers`: one that named another type would make its readers convert
/// them. Left byte for byte where it says so already, or nothing, which is f32.
pub(crate) fn with_dtype(bytes: Vec<u8>, numbers: NumberType) -> Vec<u8> {
    let name = match numbers {
        NumberType::F32 => StoredDtype::F32.name(),
        NumberType::Bf16 => StoredDtype::Bf16.name(),
    };
    let Ok(mut config) = serde_json::from_slice::<serde_json::Value>(&bytes) else { return bytes };
    let fields =
        ["dtype", "torch_dtype"].map(|field| config.get(field).map(|dtype| (field, dtype.as_str() == Some(name))));
    let mut wrong: Vec<&str> = fields.iter().flatten().filter(|(_, is_so)| !is_so).map(|(field, _)| *field).collect();
    if fields.iter().all(Option::is_none) && numbers != NumberType::F32 {
        wrong.push("dtype");
    }
    if wrong.is_empty() {
        return bytes;
    }
    wrong.into_iter().for_each(|field| config[field] = name.into());
    serde_json::to_vec_pretty(&config).unwrap_or(bytes)
}

/// The tokenizer of the arithmetic tasks: 64 ids, one a character, `<think>`, `</think>`, `<answer>` and
/// `</answer>` being one id each; `<pad>` is 0, `<eos>` 1, `<unk>` 2.
pub fn arithmetic_tokenizer() -> Vec<Asset> {
    tokenizer(
        include_bytes!("../assets/arithmetic/tokenizer.json"),
        include_bytes!("../assets/arithmetic/tokenizer_config.json"),
    )
}

/// The tokenizer of all that is written in ASCII: 104 ids, one a printable character or newline, and the tags and marks of
/// [`arithmetic_tokenizer`] under the same ids; the last id is not used.
pub fn characters_tokenizer() -> Vec<Asset> {
    tokenizer(
        include_bytes!("../assets/characters/tokenizer.json"),
        include_bytes!("../assets/characters/tokenizer_config.json"),
    )
}

fn tokenizer(tokenizer: &[u8], config: &[u8]) -> Vec<Asset> {
    [("tokenizer.json", tokenizer), ("tokenizer_config.json", config)]
        .map(|(name, bytes)| Asset { name: name.to_owned(), bytes: bytes.to_vec() })
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn named_chat_templates_are_carried() {
        let folder = tempfile::tempdir().unwrap();
        let more = folder.path().join(MORE_TEMPLATES);
        std::fs::create_dir(&more).unwrap();
        for (name, text) in [("rag.jinja", "R"), ("a.jinja", "A"), ("notes.txt", "N")] {
            std::fs::write(more.join(name), text).unwrap();
        }
        std::fs::write(folder.path().join("chat_template.jinja"), "T").unwrap();
        let assets = read_assets(folder.path()).unwrap();
        let names: Vec<&str> = assets.iter().map(|a| a.name.as_str()).collect();
        let expected =
            ["chat_template.jinja", "additional_chat_templates/a.jinja", "additional_chat_templates/rag.jinja"];
        assert_eq!((names, assets[2].bytes.as_slice()), (expected.to_vec(), b"R".as_slice()));
    }

    #[test]
    fn a_configuration_names_the_type_that_weights_are_written_in() {
        let f32 = br#"{"dtype":"float32",  "x": 1}"#.to_vec();
        assert_eq!(with_dtype(f32.clone(), NumberType::F32), f32);
        assert_eq!(with_dtype(b"{}".to_vec(), NumberType::F32), b"{}");
        let config = |text: &str, numbers: NumberType| -> serde_json::Value {
            serde_json::from_slice(&with_dtype(text.as_bytes().to_vec(), numbers)).unwrap()
        };
        let found = config(r#"{"torch_dtype":"bfloat16","x":1}"#, NumberType::F32);
        assert_eq!(found, serde_json::json!({ "torch_dtype": "float32", "x": 1 }));
        assert_eq!(config(r#"{"dtype":"float32"}"#, NumberType::Bf16), serde_json::json!({ "dtype": "bfloat16" }));
        assert_eq!(config("{}", NumberType::Bf16), serde_json::json!({ "dtype": "bfloat16" }));
    }
}
