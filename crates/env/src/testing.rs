//! What the tests of this crate share.

use std::path::Path;

use cohort_core::{Context, StopReason};

use crate::{
    Item, Origin, View,
    codec::{Codec, CodecError},
};

/// One id a byte, 256 ends, and a NUL has no id.
pub struct Bytes;

impl Codec for Bytes {
    fn encode(&self, text: &str) -> Result<Vec<u32>, CodecError> {
        if text.contains('\0') {
            return Err(CodecError { reason: "a NUL has no id".into() });
        }
        Ok(text.bytes().map(u32::from).collect())
    }

    fn decode(&self, tokens: &[u32]) -> String {
        let bytes: Vec<u8> = tokens.iter().filter_map(|&id| u8::try_from(id).ok()).collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn end_of_sequence(&self) -> Option<u32> {
        Some(256)
    }
}

/// An item whose columns are `row`.
pub fn item(prompt: &str, row: &str) -> Item {
    Item {
        prompt: prompt.into(),
        context: Context::of_tokens(Bytes.encode(prompt).unwrap()),
        columns: serde_json::from_str(row).unwrap(),
        solution: None,
        origin: Origin::File { path: Path::new("rows.jsonl").into(), line: 1 },
    }
}

/// What a verifier sees of a completion that ended by itself.
pub fn view<'a>(item: &'a Item, completion: &'a str) -> View<'a> {
    View { item, completion, tokens: &[], stop: StopReason::End(256), turns: 1, payloads: &[], step: 0 }
}
