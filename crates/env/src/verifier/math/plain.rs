//! Answers in prose: bare mathematics without delimiters, and numbers among words.

use std::borrow::Cow;

use super::units::{is_percent, unit};

/// Longer texts are prose.
const SHORT: usize = 300;

/// Whether a text has nothing but mathematics in it: its words are commands, functions, units, separators.
pub fn is_mathematics(text: &str) -> bool {
    let text = text.trim();
    if text.is_empty()
        || text.len() > SHORT
        || text.contains(['$', '\n'])
        || text.contains("\\(")
        || text.contains("\\[")
    {
        return false;
    }
    let bytes = text.as_bytes();
    let mut at = 0;
    let mut has_value = false;
    while at < bytes.len() {
        if bytes[at] == b'\\' {
            let count = letters_at(bytes, at + 1);
            let word = &text[at + 1..at + 1 + count];
            at += 1 + count;
            has_value = true;
            if matches!(word, "text" | "mbox" | "textbf" | "mathrm" | "begin" | "end" | "operatorname" | "textit") {
                at += text[at..].find('}').unwrap_or(text.len() - at);
            }
            continue;
        }
        let count = letters_at(bytes, at);
        if count > 0 {
            let word = &text[at..at + count];
            let after_digit = at > 0 && (bytes[at - 1].is_ascii_digit() || bytes[at - 1] == b')');
            let joined = after_digit && (word.starts_with("or") || word.starts_with("and")) && count <= 4;
            let spaced = at > 0 && bytes[at - 1] == b' ' && at + count < bytes.len() && bytes[at + count] == b' ';
            if count == 1 && word != "a" && word != "A" && word != "I" || count == 1 && !spaced {
                has_value = true;
            } else if !(count <= 2 && !spaced && !is_short_word(word)
                || joined
                || is_word(word)
                || after_number(text, at) && (unit(word).is_some() || is_percent(word)))
            {
                return false;
            }
            at += count;
            continue;
        }
        has_value |= bytes[at].is_ascii_digit();
        at += 1;
    }
    has_value && !text.ends_with(['?', '"']) && !glued(text)
}

/// A digit amid letters, as in `AZYUK2A`, is part of a name.
fn glued(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.windows(3).any(|w| w[0].is_ascii_uppercase() && w[1].is_ascii_digit() && w[2].is_ascii_uppercase())
}

fn is_short_word(word: &str) -> bool {
    matches!(
        word,
        "is" | "it" | "at" | "to" | "no" | "No" | "of" | "if" | "so" | "by" | "we" | "be" | "as" | "It" | "So"
    )
}

fn is_word(word: &str) -> bool {
    matches!(
        word,
        "sin"
            | "cos"
            | "tan"
            | "cot"
            | "sec"
            | "csc"
            | "ln"
            | "log"
            | "exp"
            | "sqrt"
            | "pi"
            | "inf"
            | "infinity"
            | "infty"
            | "oo"
            | "and"
            | "or"
            | "arcsin"
            | "arccos"
            | "arctan"
            | "sinh"
            | "cosh"
            | "tanh"
            | "abs"
            | "frac"
            | "in"
    )
}

fn after_number(text: &str, at: usize) -> bool {
    text[..at].trim_end().ends_with(|c: char| c.is_ascii_digit() || matches!(c, ')' | '}' | '/' | '%'))
}

fn letters_at(bytes: &[u8], at: usize) -> usize {
    bytes[at..].iter().take_while(|b| b.is_ascii_alphabetic()).count()
}

/// `1000,99` with a comma for the point: digits, a comma, and digits that are no group of thousands.
pub fn decimal_comma(text: &str) -> Cow<'_, str> {
    let unsigned = text.trim_start_matches('-');
    if let Some((whole, fraction)) = unsigned.split_once(',') {
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        let thousands = fraction.len() == 3 && (1..=3).contains(&whole.len()) && !whole.starts_with('0');
        if digits(whole) && digits(fraction) && !thousands {
            return text.replace(',', ".").into();
        }
    }
    text.into()
}

/// The text without quotes, emphasis and a period at its ends.
pub fn words(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || matches!(c, '.' | '"' | '\'' | '*' | '`' | '$' | '!' | ':'))
}

/// The first number that stands for itself.
pub fn first_number(text: &str) -> Option<Cow<'_, str>> {
    let mut at = 0;
    while let Some(skipped) = text[at..].find(|c: char| c.is_ascii_digit()) {
        let (found, end) = number_around(text, at + skipped);
        if found.is_some() {
            return found;
        }
        at = end.max(at + skipped + 1);
    }
    None
}

/// The last number that stands for itself.
pub fn last_number(text: &str) -> Option<Cow<'_, str>> {
    let mut end = text.len();
    // Numbers that are parts of names are passed over, but not for ever.
    for _ in 0..64 {
        let digit = text[..end].rfind(|c: char| c.is_ascii_digit())?;
        if let (Some(found), _) = number_around(text, digit) {
            return Some(found);
        }
        end = start_of_run(text.as_bytes(), digit);
    }
    None
}

fn is_run(byte: u8) -> bool {
    byte.is_ascii_digit() || matches!(byte, b',' | b'.')
}

fn start_of_run(bytes: &[u8], digit: usize) -> usize {
    digit - bytes[..digit].iter().rev().take_while(|&&b| is_run(b)).count()
}

/// The number whose digit is at `digit`, with its sign, its fraction and its percent sign, and where it ends.
fn number_around(text: &str, digit: usize) -> (Option<Cow<'_, str>>, usize) {
    let bytes = text.as_bytes();
    let run_end = |at: usize| at + bytes[at..].iter().take_while(|&&b| is_run(b)).count();
    let mut start = start_of_run(bytes, digit);
    let mut end = run_end(digit);
    // "2/3", either side of the bar.
    if start >= 2 && bytes[start - 1] == b'/' && bytes[start - 2].is_ascii_digit() {
        start = start_of_run(bytes, start - 2);
    } else if bytes.get(end) == Some(&b'/') && bytes.get(end + 1).is_some_and(u8::is_ascii_digit) {
        end = run_end(end + 1);
    }
    let past = end;
    while matches!(bytes[start], b',') || bytes[start] == b'.' && !bytes.get(start + 1).is_some_and(u8::is_ascii_digit)
    {
        start += 1;
    }
    while matches!(bytes[end - 1], b',' | b'.') {
        end -= 1;
    }
    let before = text[..start].chars().next_back();
    let after = text[end..].chars().next();
    // LaTeX without delimiters is read as a whole.
    if matches!(before, Some('{' | '}' | '^' | '_' | '\\')) || matches!(after, Some('}' | '{' | '^' | '\\')) {
        let word_start = text[..start].trim_end_matches(|c: char| !c.is_whitespace()).len();
        let word_end = end + text[end..].find(char::is_whitespace).unwrap_or(text.len() - end);
        let word = text[word_start..word_end].trim_end_matches(['.', ',']);
        let is_percent = text[end..].starts_with("\\%");
        if word.contains('\\') && !is_percent {
            let word = word.trim_matches('$');
            return (Some(word.into()), word_end);
        }
    }
    if before.is_some_and(|c| c.is_alphabetic() || c == '_') {
        return (None, past);
    }
    if after.is_some_and(char::is_alphabetic) {
        let count = text[end..].chars().take_while(|c| c.is_alphabetic()).map(char::len_utf8).sum::<usize>();
        let word = &text[end..end + count];
        if !(unit(word).is_some() || is_percent(word)) {
            return (None, past);
        }
    }
    let mut sign = start;
    if let Some(stripped) = text[..sign].strip_suffix('$') {
        sign = stripped.len();
    }
    // `x-3` and `5 -3` are no signs, `costs -3` is.
    let unsigned = text[..sign].trim_end_matches(['-', '−']);
    let negative = unsigned.len() < sign
        && !unsigned.ends_with(char::is_alphanumeric)
        && !unsigned.trim_end().ends_with(|c: char| c.is_numeric() || c == ')');
    let number = decimal_comma(&text[start..end]);
    let after = text[end..].trim_start();
    let percent =
        after.starts_with('%') || after.starts_with("\\%") || after.starts_with("percent") || after.starts_with("pct");
    if !negative && !percent {
        return (Some(number), past);
    }
    let (sign, mark) = (if negative { "-" } else { "" }, if percent { "%" } else { "" });
    (Some(format!("{sign}{number}{mark}").into()), past)
}
