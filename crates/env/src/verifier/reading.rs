//! What terms read in a completion: the text of a tag, numbers, JSON.

use serde_json::Value;

use super::{VerifierError, fenced};

/// The text between the last `<tag>` that is closed and its `</tag>`, without blanks around; the whole
/// completion where no tag is asked for, and `None` where the tag is missing.
pub(super) fn part<'a>(tag: Option<&str>, completion: &'a str) -> Option<&'a str> {
    let Some(tag) = tag else { return Some(completion.trim()) };
    let end = completion.rfind(&format!("</{tag}>"))?;
    let open = format!("<{tag}>");
    let start = completion[..end].rfind(&open)? + open.len();
    Some(completion[start..end].trim())
}

/// # Errors
/// A name that cannot stand in a tag.
pub(super) fn check_tag(parameter: &'static str, tag: Option<&str>) -> Result<(), VerifierError> {
    match tag {
        Some(tag) if tag.is_empty() || tag.contains(|c: char| matches!(c, '<' | '>' | '/') || c.is_whitespace()) => {
            Err(VerifierError::BadText {
                parameter,
                got: tag.into(),
                expected: "a tag's name without brackets, such as answer",
            })
        }
        _ => Ok(()),
    }
}

/// The JSON value that the last fenced block holds, or all of the text where there is no fence. NaN and infinities are not JSON.
pub(super) fn json(text: &str) -> Option<Value> {
    serde_json::from_str(fenced::block_or_all(text).trim()).ok()
}

/// The decimal numbers in a text, from left to right: `-1.5e3`, `.5`, `7`. A digit that follows a letter or `_` starts none, a
/// minus that follows a digit or a letter is an operator, and a number beyond `f64` is left out.
pub(super) fn numbers(text: &str) -> Vec<f64> {
    let bytes = text.as_bytes();
    let digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let digits = |mut at: usize| {
        while digit(at) {
            at += 1;
        }
        at
    };
    let (mut found, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        if !(digit(at) || bytes[at] == b'.' && digit(at + 1)) {
            at += 1;
            continue;
        }
        let mut end = digits(at);
        if bytes.get(end) == Some(&b'.') && digit(end + 1) {
            end = digits(end + 1);
        }
        if matches!(bytes.get(end), Some(b'e' | b'E')) {
            let sign = usize::from(matches!(bytes.get(end + 1), Some(b'-' | b'+')));
            if digit(end + 1 + sign) {
                end = digits(end + 1 + sign);
            }
        }
        let glued = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80;
        let minus = at > 0 && bytes[at - 1] == b'-' && !(at > 1 && (glued(bytes[at - 2]) || bytes[at - 2] == b')'));
        let in_a_word = at > 0 && (bytes[at - 1].is_ascii_alphabetic() || bytes[at - 1] == b'_');
        if !in_a_word
            && let Ok(value) = text[at..end].parse::<f64>()
            && value.is_finite()
        {
            found.push(if minus { -value } else { value });
        }
        at = end;
    }
    found
}

/// Lower case, runs of blanks as one space, no blanks or full stops around.
pub(super) fn normal(text: &str) -> String {
    let lower = text.to_lowercase();
    let words: Vec<&str> = lower.split_whitespace().collect();
    words.join(" ").trim_matches(|c: char| c == '.' || c.is_whitespace()).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_closed_tag_is_read() {
        for (completion, found) in [
            ("<a>1</a> <a> 2 </a>", Some("2")),
            ("<a>1</a><a>2", Some("1")),
            ("<a><a>1</a>", Some("1")),
            ("</a>1<a>", None),
            ("1", None),
            ("<a></a>", Some("")),
        ] {
            assert_eq!(part(Some("a"), completion), found, "{completion}");
        }
        assert_eq!(part(None, " x "), Some("x"));
        assert!(check_tag("tag", Some("a b")).is_err() && check_tag("tag", Some("a")).is_ok());
    }

    #[test]
    fn numbers_stand_apart_from_words() {
        for (text, found) in [
            ("[1, -2.5, .5]", vec![1.0, -2.5, 0.5]),
            ("x1 a_2 3e2 4e 1e999", vec![300.0, 4.0]),
            ("5-3 (1)-2 -7", vec![5.0, 3.0, 1.0, 2.0, -7.0]),
            ("é-1 NaN inf", vec![1.0]),
            ("1.2.3", vec![1.2, 0.3]),
            ("", vec![]),
        ] {
            assert_eq!(numbers(text), found, "{text}");
        }
    }

    #[test]
    fn json_is_read_in_the_last_fence_or_everywhere() {
        assert_eq!(json("so\n```json\n[1]\n```"), Some(serde_json::json!([1])));
        assert_eq!(json(" [1] "), Some(serde_json::json!([1])));
        assert_eq!(json("[NaN]"), None);
        assert_eq!(json(&"[".repeat(100_000)), None);
    }
}
