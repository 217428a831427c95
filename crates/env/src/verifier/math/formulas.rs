//! The formulas of a text: what stands between `$`, `$$`, `\(` and `\[`.

use std::ops::Range;

/// A formula with its delimiters, and what stands between them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Formula {
    pub start: usize,
    pub end: usize,
    pub inner: Range<usize>,
}

/// From left to right. A `$` that is a currency opens none.
pub fn formulas(text: &str) -> Vec<Formula> {
    let bytes = text.as_bytes();
    let mut found = Vec::new();
    let mut at = 0;
    // A delimiter that has no end once has none later.
    let mut unclosed: [bool; 4] = [false; 4];
    while let Some(skipped) = bytes[at..].iter().position(|&b| b == b'$' || b == b'\\') {
        at += skipped;
        let rest = &text[at..];
        let (kind, open, close) = if rest.starts_with("\\(") {
            (0, 2, "\\)")
        } else if rest.starts_with("\\[") {
            (1, 2, "\\]")
        } else if rest.starts_with("$$") {
            (2, 2, "$$")
        } else if rest.starts_with('$') {
            (3, 1, "$")
        } else {
            // An escaped character is one of a text.
            at += 1 + bytes.get(at + 1).map_or(0, |&b| usize::from(b.is_ascii()));
            continue;
        };
        let inside = &rest[open..];
        let end = if unclosed[kind] { None } else { find_close(inside, close) };
        match end {
            Some(length) if kind != 3 || !is_money(&inside[..length]) => {
                let inner = at + open..at + open + length;
                let end = inner.end + close.len();
                if !inside[..length].trim().is_empty() {
                    found.push(Formula { start: at, end, inner });
                }
                at = end;
            }
            Some(_) => at += open,
            None => {
                unclosed[kind] = true;
                at += open;
            }
        }
    }
    found
}

fn find_close(inside: &str, close: &str) -> Option<usize> {
    let mut from = 0;
    loop {
        let at = from + inside[from..].find(close)?;
        let escaped = close.starts_with('$') && inside[..at].ends_with('\\') && !inside[..at].ends_with("\\\\");
        if !escaped {
            return Some(at);
        }
        from = at + 1;
    }
}

/// "5 and she has ": prose between two prices.
fn is_money(inside: &str) -> bool {
    let starts = inside.starts_with(|c: char| c.is_ascii_digit());
    starts
        && (inside.contains('\n') || inside.ends_with(' ') && inside.contains(char::is_alphabetic) || has_prose(inside))
}

fn has_prose(text: &str) -> bool {
    let mut depth = 0_i32;
    let mut letters = 0;
    let mut command = false;
    for c in text.chars() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            '\\' => command = true,
            _ => {}
        }
        if c.is_ascii_alphabetic() && !command && depth == 0 {
            letters += 1;
            if letters >= 3 {
                return true;
            }
        } else if !c.is_ascii_alphabetic() {
            command = c == '\\';
            letters = 0;
        }
    }
    false
}
