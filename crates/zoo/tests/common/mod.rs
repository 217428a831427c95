//! What the laws of several generators share.

use cohort_env::{Codec, CodecError};

/// One id a byte, 256 ends; nothing has an id that is not ASCII.
pub struct Bytes;

impl Codec for Bytes {
    fn encode(&self, text: &str) -> Result<Vec<u32>, CodecError> {
        Ok(text.bytes().map(u32::from).collect())
    }

    fn decode(&self, tokens: &[u32]) -> String {
        tokens.iter().filter_map(|&id| u8::try_from(id).ok()).map(char::from).collect()
    }

    fn end_of_sequence(&self) -> Option<u32> {
        Some(256)
    }
}
