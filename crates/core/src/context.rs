//! What a policy has before it when it acts.

use serde::{Deserialize, Serialize};

use crate::action::PayloadKey;

/// A piece of a context.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Span {
    Tokens(Vec<u32>),
    /// Media, a soft embedding or a latent, by its key in the policy's arena.
    Payload(PayloadKey),
}

/// A list of spans. Later turns append or drop spans; text is never rendered again,
/// so an id that is trained on is an id that was sampled or given (token in, token out).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Context {
    spans: Vec<Span>,
}

impl Context {
    /// A context of token ids alone.
    pub fn of_tokens(tokens: impl Into<Vec<u32>>) -> Self {
        let mut context = Self::default();
        context.push_tokens(&tokens.into());
        context
    }

    pub fn spans(&self) -> &[Span] {
        &self.spans
    }

    /// Appends ids, growing the last span when that is one of tokens: equal contents are equal contexts.
    pub fn push_tokens(&mut self, tokens: &[u32]) {
        if tokens.is_empty() {
            return;
        }
        match self.spans.last_mut() {
            Some(Span::Tokens(last)) => last.extend_from_slice(tokens),
            Some(Span::Payload(_)) | None => self.spans.push(Span::Tokens(tokens.to_vec())),
        }
    }

    pub fn push_payload(&mut self, key: PayloadKey) {
        self.spans.push(Span::Payload(key));
    }

    /// The ids, where the context is nothing but ids.
    pub fn as_tokens(&self) -> Option<&[u32]> {
        match self.spans.as_slice() {
            [] => Some(&[]),
            [Span::Tokens(tokens)] => Some(tokens),
            _ => None,
        }
    }

    /// Number of ids in all token spans.
    pub fn token_count(&self) -> usize {
        self.spans
            .iter()
            .map(|span| match span {
                Span::Tokens(tokens) => tokens.len(),
                Span::Payload(_) => 0,
            })
            .sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_contents_are_equal_contexts() {
        let mut grown = Context::of_tokens([1, 2]);
        grown.push_tokens(&[]);
        grown.push_tokens(&[3]);
        assert_eq!(grown, Context::of_tokens([1, 2, 3]));
        assert_eq!(grown.as_tokens(), Some(&[1, 2, 3][..]));
    }

    #[test]
    fn a_payload_ends_the_run_of_ids() {
        let mut mixed = Context::of_tokens([1]);
        mixed.push_payload(PayloadKey(7));
        mixed.push_tokens(&[2, 3]);
        assert_eq!(mixed.as_tokens(), None);
        assert_eq!(mixed.token_count(), 3);
        assert_eq!(mixed.spans(), [Span::Tokens(vec![1]), Span::Payload(PayloadKey(7)), Span::Tokens(vec![2, 3])]);
    }
}
