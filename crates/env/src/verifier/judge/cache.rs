//! Answers that were paid for once: under which name they are kept, and what of them.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::verifier::cache::hex;

/// The folder of a cache that holds them.
pub(super) const FOLDER: &str = "judge";

/// What a judge said, and what that took.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Said {
    pub content: String,
    #[serde(default)]
    pub prompt_tokens: u64,
    #[serde(default)]
    pub completion_tokens: u64,
}

/// The name of a question: of the address that it goes to and all of its body, and of no key. What was paid for under an older name
/// would be paid for again, so it does not change.
pub(super) fn name(url: &str, body: &Value) -> String {
    hex(&Sha256::new()
        .chain_update("1\n")
        .chain_update(url)
        .chain_update("\n")
        .chain_update(body.to_string())
        .finalize())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_name_is_of_the_address_and_the_body() {
        let of = |url, model| name(url, &json!({"model": model}));
        assert_ne!(of("http://a", "m"), of("http://a", "n"));
        assert_ne!(of("http://a", "m"), of("http://b", "m"));
        assert_eq!(of("http://a", "m"), hex(&Sha256::digest("1\nhttp://a\n{\"model\":\"m\"}")));
    }
}
