//! The chat templates of a model directory and the marks that they may write.

use std::collections::BTreeMap;

use cohort_core::policy::Asset;
use cohort_env::{ChatTemplates, SpecialTokens};
use serde_json::Value;

/// What a tokenizer may call its own, by the names that templates read.
const MARKS: [&str; 7] = ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];

/// The templates among a policy's files. As in transformers, template files (`chat_template.jinja`,
/// `additional_chat_templates/NAME.jinja`) go before the field `chat_template` of `tokenizer_config.json`, which is a
/// template or a list of named ones; a mark is a string, or an object with its content.
pub(crate) fn chat_templates(assets: &[Asset]) -> ChatTemplates {
    let bytes = |name: &str| assets.iter().find(|a| a.name == name).map(|a| a.bytes.as_slice());
    let json = |name: &str| -> Value { bytes(name).and_then(|b| serde_json::from_slice(b).ok()).unwrap_or_default() };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let config = json("tokenizer_config.json");

    let mut named: BTreeMap<String, String> = assets
        .iter()
        .filter_map(|a| {
            let file = a.name.strip_prefix("additional_chat_templates/")?.strip_suffix(".jinja")?;
            Some((file.to_owned(), text(&a.bytes)))
        })
        .collect();
    if let Some(default) = bytes("chat_template.jinja") {
        named.insert("default".into(), text(default));
    }
    if named.is_empty() {
        match &config["chat_template"] {
            Value::String(template) => {
                named.insert("default".into(), template.clone());
            }
            Value::Array(list) => named.extend(list.iter().filter_map(|entry| {
                Some((entry["name"].as_str()?.to_owned(), entry["template"].as_str()?.to_owned()))
            })),
            _ => {}
        }
    }

    let map = json("special_tokens_map.json");
    let mark =
        |name: &str| [&config[name], &map[name]].into_iter().find_map(|m| m.as_str().or_else(|| m["content"].as_str()));
    let special = MARKS.iter().filter_map(|&name| Some((name.to_owned(), mark(name)?.to_owned()))).collect();
    ChatTemplates { named, special: SpecialTokens(special) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(files: &[(&str, &str)]) -> ChatTemplates {
        let assets =
            files.iter().map(|(name, text)| Asset { name: (*name).to_owned(), bytes: text.as_bytes().to_vec() });
        chat_templates(&assets.collect::<Vec<_>>())
    }

    fn pairs(map: &BTreeMap<String, String>) -> Vec<(&str, &str)> {
        map.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect()
    }

    #[test]
    fn one_template_or_a_list_of_named_ones() {
        let one = found(&[("tokenizer_config.json", r#"{"chat_template": "T"}"#)]);
        assert_eq!(pairs(&one.named), [("default", "T")]);
        let list =
            r#"{"chat_template": [{"name": "default", "template": "T"}, {"name": "tool_use", "template": "U"}]}"#;
        let list = found(&[("tokenizer_config.json", list)]);
        assert_eq!((list.chosen(false), list.chosen(true)), (Some("T"), Some("U")));
        assert_eq!((one.chosen(true), found(&[]).chosen(false)), (Some("T"), None));
    }

    #[test]
    fn template_files_go_before_the_configuration() {
        let found = found(&[
            ("tokenizer_config.json", r#"{"chat_template": "old"}"#),
            ("chat_template.jinja", "new"),
            ("additional_chat_templates/rag.jinja", "rag"),
        ]);
        assert_eq!(pairs(&found.named), [("default", "new"), ("rag", "rag")]);
    }

    #[test]
    fn a_mark_is_a_string_or_an_object() {
        let found = found(&[
            (
                "tokenizer_config.json",
                r#"{"bos_token": {"content": "<s>", "lstrip": false}, "eos_token": "</s>", "unk_token": null}"#,
            ),
            ("special_tokens_map.json", r#"{"eos_token": "other", "pad_token": {"content": "<pad>"}}"#),
        ]);
        assert_eq!(pairs(&found.special.0), [("bos_token", "<s>"), ("eos_token", "</s>"), ("pad_token", "<pad>")]);
    }
}
