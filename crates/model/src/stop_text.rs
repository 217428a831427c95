//! Whether the text of a growing sample contains a stop string.
//!
//! A token's text depends on the tokens before it (a character of several bytes may be cut in two, a decoder may drop
//! a leading space), so a short window of tokens is decoded at a time, once with the new token and once without, and what
//! the new one adds is searched with the end of the text before it. A token costs the same wherever it stands.

use crate::tokenizer::{SpecialTokens, TextTokenizer};

/// What a tokenizer writes for bytes that are no character, or not yet one.
const NO_CHARACTER: char = '\u{fffd}';

/// Most tokens that a character can be cut into, less the one that completes it.
const PENDING: usize = 3;

/// The text of one sample, as far as stop strings need it.
#[derive(Debug)]
pub(crate) struct StopText {
    /// Tokens from here are decoded, for what the text of the later ones depends on.
    from: usize,
    /// The text of the tokens before is in `tail`.
    read: usize,
    /// Whether a character ends at `read`; else what follows the last whole one is not in `tail`.
    is_whole: bool,
    /// The end of the text, as long as a stop string may need.
    tail: String,
}

impl Default for StopText {
    fn default() -> Self {
        Self { from: 0, read: 0, is_whole: true, tail: String::new() }
    }
}

impl StopText {
    /// Looks at `ids` after one more of them was drawn: the place in `stops` of the string that the text now contains, of
    /// several the one that begins first, and of these the first in the list.
    pub(crate) fn push(&mut self, tokenizer: &TextTokenizer, stops: &[String], ids: &[u32]) -> Option<u32> {
        let decode = |range: std::ops::Range<usize>| tokenizer.decode_with(&ids[range], SpecialTokens::Keep);
        let (before, with) = (decode(self.from..self.read), decode(self.from..ids.len()));
        let before = if self.is_whole { before.as_str() } else { before.trim_end_matches(NO_CHARACTER) };
        let known = self.tail.len();
        self.tail.push_str(&with[common_prefix(before, &with)..]);
        let is_whole = !with.ends_with(NO_CHARACTER);
        let whole = self.tail.trim_end_matches(NO_CHARACTER).len();
        let found = earliest(if is_whole { &self.tail } else { &self.tail[..whole] }, stops);
        if !is_whole && ids.len() - self.read <= PENDING {
            // The bytes at its end may wait for the rest of a character.
            self.tail.truncate(known);
            return found;
        }
        if !is_whole {
            // More of them than a character has: most are none, but the last ones may be the beginning of one.
            self.tail.truncate(whole);
        }
        let is_in_run = self.read > 0 && ids[self.read - 1..=self.read].iter().all(|&id| tokenizer.is_byte_of_run(id));
        if (self.is_whole || !is_whole) && !is_in_run {
            self.from = self.read;
        }
        (self.read, self.is_whole) = (ids.len(), is_whole);
        let longest = stops.iter().map(String::len).max().unwrap_or(0);
        let mut cut = self.tail.len().saturating_sub(longest);
        while !self.tail.is_char_boundary(cut) {
            cut -= 1;
        }
        self.tail.drain(..cut);
        found
    }
}

/// The length in bytes of what two texts begin with, in whole characters.
fn common_prefix(a: &str, b: &str) -> usize {
    a.chars().zip(b.chars()).take_while(|(x, y)| x == y).map(|(x, _)| x.len_utf8()).sum()
}

/// The stop string that begins first in `text`.
pub(crate) fn earliest(text: &str, stops: &[String]) -> Option<u32> {
    let places = stops.iter().enumerate().filter_map(|(i, stop)| Some((text.find(stop.as_str())?, i as u32)));
    places.min().map(|(_, i)| i)
}

#[cfg(test)]
#[path = "stop_text_tests.rs"]
mod tests;
