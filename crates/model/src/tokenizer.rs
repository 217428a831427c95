//! Text to ids and back, for prompts and for reading answers; never for what is trained on.

use std::path::Path;

use crate::error::ConfigError;

/// Whether ids that stand for no text (end, padding) show in decoded text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpecialTokens {
    Skip,
    Keep,
}

/// A text that a tokenizer has no ids for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the text {text:?} (its beginning) cannot be tokenized: {message}")]
pub struct EncodeError {
    pub text: String,
    pub message: String,
}

/// A fast tokenizer, as `tokenizer.json` describes it, without its padding and truncation.
#[derive(Clone, Debug)]
pub struct TextTokenizer {
    inner: tokenizers::Tokenizer,
}

impl TextTokenizer {
    /// A tokenizer from the bytes of a `tokenizer.json`; `path` is what errors name.
    ///
    /// # Errors
    /// The bytes are no tokenizer.
    pub fn from_bytes(path: &Path, bytes: &[u8]) -> Result<Self, ConfigError> {
        let broken =
            |error: tokenizers::Error| ConfigError::Tokenizer { path: path.to_owned(), message: error.to_string() };
        let mut inner = tokenizers::Tokenizer::from_bytes(bytes).map_err(broken)?;
        inner.with_padding(None);
        inner.with_truncation(None).map_err(broken)?;
        Ok(Self { inner })
    }

    /// The ids of a text; nothing is added before or after it. Text that names an added token
    /// (`<think>`, a chat marker) becomes that token.
    ///
    /// # Errors
    /// The text has a piece that the tokenizer has no id for, not even an unknown one.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, EncodeError> {
        let encoding = self
            .inner
            .encode_fast(text, false)
            .map_err(|error| EncodeError { text: text.chars().take(60).collect(), message: error.to_string() })?;
        Ok(encoding.get_ids().to_vec())
    }

    /// The text of `ids`, without special tokens.
    pub fn decode(&self, ids: &[u32]) -> String {
        self.decode_with(ids, SpecialTokens::Skip)
    }

    /// The text of `ids`; ids outside the vocabulary have no text.
    pub fn decode_with(&self, ids: &[u32], special: SpecialTokens) -> String {
        self.inner.decode(ids, special == SpecialTokens::Skip).unwrap_or_default()
    }

    /// The id of a token by its exact text.
    pub fn id_of(&self, token: &str) -> Option<u32> {
        self.inner.token_to_id(token)
    }

    /// The exact text of an id.
    pub fn token_of(&self, id: u32) -> Option<String> {
        self.inner.id_to_token(id)
    }

    /// Whether an id is one byte of a run that is read as a whole, as sentencepiece falls back to (`<0x0A>`): a run with a byte
    /// that is part of no character is none of it.
    pub(crate) fn is_byte_of_run(&self, id: u32) -> bool {
        self.token_of(id).is_some_and(|token| {
            let digits = token.strip_prefix("<0x").and_then(|rest| rest.strip_suffix('>'));
            digits.is_some_and(|digits| digits.len() == 2 && digits.bytes().all(|b| b.is_ascii_hexdigit()))
        })
    }

    /// One more than the largest id.
    pub fn vocabulary(&self) -> usize {
        self.inner.get_vocab(true).values().max().map_or(0, |&largest| largest as usize + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::assets::{arithmetic_tokenizer, characters_tokenizer};

    fn arithmetic() -> TextTokenizer {
        TextTokenizer::from_bytes(Path::new("tokenizer.json"), &arithmetic_tokenizer()[0].bytes).expect("tokenizer")
    }

    #[test]
    fn tags_are_single_tokens_that_stay_in_the_text() {
        let tokenizer = arithmetic();
        assert_eq!(tokenizer.vocabulary(), 64);
        let text = "12+7=<think>19</think><answer>19</answer>";
        let ids = tokenizer.encode(text).unwrap();
        assert_eq!(ids[..6], [8, 9, 17, 14, 21, 3]);
        assert_eq!(ids.len(), 13);
        assert_eq!(tokenizer.decode(&ids), text);
    }

    #[test]
    fn every_character_of_ascii_has_an_id_of_its_own() {
        let bytes = &characters_tokenizer()[0].bytes;
        let tokenizer = TextTokenizer::from_bytes(Path::new("tokenizer.json"), bytes).expect("tokenizer");
        assert_eq!(tokenizer.vocabulary(), 104);
        let all: String = std::iter::once('\n').chain(' '..='~').collect();
        let ids = tokenizer.encode(&all).unwrap();
        assert!(ids.iter().copied().eq(7..103), "{ids:?}");
        assert_eq!(tokenizer.decode(&ids), all);
        let tagged = "<think>a<b</think><answer>7%</answer>";
        let ids = tokenizer.encode(tagged).unwrap();
        assert_eq!((ids[0], ids[4], ids.len()), (3, 4, 9));
        assert_eq!(tokenizer.decode(&ids), tagged);
        assert_eq!(tokenizer.encode("é").unwrap(), [2]);
    }

    #[test]
    fn nothing_is_added_padded_or_cut() {
        let tokenizer = arithmetic();
        assert_eq!(tokenizer.encode("1").unwrap(), [8]);
        assert_eq!(tokenizer.encode(&"1".repeat(500)).unwrap().len(), 500);
        assert!(tokenizer.encode("").unwrap().is_empty());
    }

    /// A tokenizer that begins every text by itself, pads to the left and cuts, as published ones do.
    #[test]
    fn a_begin_mark_stands_once_where_the_text_has_it_and_not_where_it_has_none() {
        let json = br#"{
            "version": "1.0",
            "truncation": {"direction": "Right", "max_length": 3, "strategy": "LongestFirst", "stride": 0},
            "padding": {"strategy": {"Fixed": 6}, "direction": "Left", "pad_to_multiple_of": null, "pad_id": 2,
                "pad_type_id": 0, "pad_token": "<pad>"},
            "added_tokens": [
                {"id": 0, "content": "<s>", "single_word": false, "lstrip": false, "rstrip": false,
                    "normalized": false, "special": true}
            ],
            "normalizer": null, "pre_tokenizer": {"type": "WhitespaceSplit"},
            "post_processor": {"type": "TemplateProcessing",
                "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
                "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
                "special_tokens": {"<s>": {"id": "<s>", "ids": [0], "tokens": ["<s>"]}}},
            "decoder": null,
            "model": {"type": "WordLevel", "vocab": {"<s>": 0, "a": 1, "<pad>": 2}, "unk_token": "a"}
        }"#;
        let tokenizer = TextTokenizer::from_bytes(Path::new("tokenizer.json"), json).unwrap();
        assert_eq!(tokenizer.encode("<s>a a a a").unwrap(), [0, 1, 1, 1, 1]);
        assert_eq!(tokenizer.encode("a a").unwrap(), [1, 1]);
    }

    /// The peer's `tokenizer.json` pads to the left; it holds the same tokenizer as the built-in one.
    #[test]
    fn the_peers_padding_is_ignored() {
        let name = "arith/sft-small/tokenizer.json";
        let Some(path) = cohort_testing::shared_data("the_peers_padding_is_ignored", name) else { return };
        let bytes = std::fs::read(&path).unwrap();
        assert!(String::from_utf8_lossy(&bytes).contains("\"Left\""));
        let peer = TextTokenizer::from_bytes(&path, &bytes).unwrap();
        for text in ["1", "12+7=<think>19</think><answer>19</answer>", ""] {
            assert_eq!(peer.encode(text), arithmetic().encode(text), "{text}");
        }
    }

    #[test]
    fn special_tokens_show_when_asked_for() {
        let tokenizer = arithmetic();
        assert_eq!(tokenizer.decode(&[8, 1, 0]), "1");
        assert_eq!(tokenizer.decode_with(&[8, 1, 0], SpecialTokens::Keep), "1<eos><pad>");
    }

    #[test]
    fn a_broken_file_is_named() {
        let error = TextTokenizer::from_bytes(Path::new("m/tokenizer.json"), b"{\"version\": 1}").unwrap_err();
        assert!(error.to_string().contains("m/tokenizer.json"), "{error}");
    }
}
