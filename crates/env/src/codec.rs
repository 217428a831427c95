//! Text to ids and back, as tasks and rewards need it.

/// A tokenizer. Adapted from a model's by whoever loads both.
pub trait Codec: Send + Sync {
    /// The ids of `text`, with nothing added: no beginning, no end.
    /// What stands in the text as a special token (a chat template writes them) becomes its id.
    fn encode(&self, text: &str) -> Result<Vec<u32>, CodecError>;

    /// The text of `tokens`. Special tokens are left out, and so is what is not in the vocabulary.
    fn decode(&self, tokens: &[u32]) -> String;

    /// The id that ends a completion, where the vocabulary has one.
    fn end_of_sequence(&self) -> Option<u32>;
}

/// A text that the tokenizer does not take.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the tokenizer cannot encode it: {reason}")]
pub struct CodecError {
    /// In the tokenizer's words.
    pub reason: String,
}
