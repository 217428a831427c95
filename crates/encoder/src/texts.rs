//! Texts to ids: the tokenizer with its special tokens, and where a long text is cut.

use std::path::Path;

use serde_json::{Value, json};
use tokenizers::{
    NormalizerWrapper, PostProcessor, Tokenizer, TruncationParams,
    normalizers::{Lowercase, Sequence},
};

use crate::{EncodeError, EncoderError, fields::Fields};

/// Characters beyond this many are not looked at: a bound on time for texts that no encoder reads to their end.
const LONGEST: usize = 200_000;

/// A tokenizer whose own padding and truncation do not count.
pub(crate) struct Texts {
    tokenizer: Tokenizer,
    longest: usize,
}

/// A text as ids, with those that the model puts around it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ids {
    pub ids: Vec<u32>,
    /// Whether the text is longer than the model reads.
    pub is_cut: bool,
}

impl Texts {
    /// The tokenizer of a directory, for a model of so many words and positions. A text is cut to `max_seq_length` of
    /// `sentence_bert_config.json`, else to `model_max_length` of `tokenizer_config.json`, but never beyond the positions; the ids put around
    /// it count, and are kept.
    pub(crate) fn read(directory: &Path, vocabulary: usize, positions: usize) -> Result<Self, EncoderError> {
        let path = directory.join("tokenizer.json");
        let broken = |e: tokenizers::Error| EncoderError::Tokenizer { path: path.clone(), reason: e.to_string() };
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                return Err(EncoderError::MissingFile { path, expected: "the tokenizer.json of a fast tokenizer" });
            }
            Err(e) => return Err(EncoderError::Unreadable { path, reason: e.to_string() }),
        };
        let mut tokenizer = Tokenizer::from_bytes(&bytes).map_err(broken)?;
        let largest = tokenizer.get_vocab(true).values().max().map_or(0, |&id| id as usize + 1);
        if largest > vocabulary {
            let reason = format!("it has {largest} ids, and config.json a `vocab_size` of {vocabulary}");
            return Err(EncoderError::Tokenizer { path, reason });
        }

        let told = Fields::read_if_any(directory.join("sentence_bert_config.json"))?;
        let mut limit = None;
        if let Some(told) = &told {
            told.only("transformer_task", json!("feature-extraction"))?;
            told.only("module_output_name", json!("token_embeddings"))?;
            for field in ["query_length", "document_length", "query_expansion"] {
                told.only(field, Value::Null)?;
            }
            limit = told.count_if_any("max_seq_length")?;
            if told.flag("do_lower_case", false)? {
                let lower = NormalizerWrapper::Lowercase(Lowercase);
                let all = [lower].into_iter().chain(tokenizer.get_normalizer().cloned()).collect();
                tokenizer.with_normalizer(Some(NormalizerWrapper::Sequence(Sequence::new(all)))).map_err(broken)?;
            }
        }
        if limit.is_none()
            && let Some(fields) = Fields::read_if_any(directory.join("tokenizer_config.json"))?
        {
            // A tokenizer without a limit has 1e30.
            limit = fields.get("model_max_length").and_then(Value::as_f64).map(|most| most as usize);
        }
        let longest = limit.unwrap_or(positions).min(positions);
        let around = tokenizer.get_post_processor().map_or(0, |p| p.added_tokens(false));
        if longest <= around {
            let reason = format!("it puts {around} ids around a text, and the model reads {longest}");
            return Err(EncoderError::Tokenizer { path, reason });
        }
        tokenizer.with_padding(None);
        let cut = TruncationParams { max_length: longest, ..TruncationParams::default() };
        tokenizer.with_truncation(Some(cut)).map_err(broken)?;
        Ok(Self { tokenizer, longest })
    }

    /// The most ids of a text.
    pub(crate) fn longest(&self) -> usize {
        self.longest
    }

    /// # Errors
    /// The text has a piece that the tokenizer has no id for, not even an unknown one.
    pub(crate) fn ids(&self, text: &str) -> Result<Ids, EncodeError> {
        let end = text.char_indices().nth(LONGEST).map_or(text.len(), |(end, _)| end);
        let encoding = self
            .tokenizer
            .encode_fast(&text[..end], true)
            .map_err(|e| EncodeError { text: text.chars().take(60).collect(), reason: e.to_string() })?;
        let is_cut = end < text.len() || !encoding.get_overflowing().is_empty();
        Ok(Ids { ids: encoding.get_ids().to_vec(), is_cut })
    }
}
