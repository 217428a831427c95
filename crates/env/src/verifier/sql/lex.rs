//! The words of an SQL text, as SQLite cuts it; total on any text, in one pass.

use std::borrow::Cow;

/// Words and marks beyond which a text is not read on: its rest counts as no query. Deeper trees would overflow stacks.
pub const MOST_TOKENS: usize = 4096;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A keyword or a bare name.
    Word,
    /// A name in `"`, backquotes or brackets; SQLite reads `"x"` as a text where there is no such name.
    Name,
    /// `'..'`
    Text,
    Number,
    /// An operator or a punctuation mark.
    Mark,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token<'a> {
    pub kind: Kind,
    /// With its quotes.
    pub text: &'a str,
    /// Where it starts, in bytes.
    pub at: usize,
}

impl Token<'_> {
    pub fn is(&self, word: &str) -> bool {
        matches!(self.kind, Kind::Word | Kind::Mark) && self.text.eq_ignore_ascii_case(word)
    }

    /// What stands in the quotes, with doubled ones as one; a text without quotes as it is.
    pub fn inner(&self) -> Cow<'_, str> {
        let Some(quote) = self.text.chars().next().filter(|c| matches!(c, '\'' | '"' | '`' | '[')) else {
            return self.text.into();
        };
        let close = if quote == '[' { ']' } else { quote };
        let inner = &self.text[1..];
        let inner = inner.strip_suffix(close).unwrap_or(inner);
        if quote == '[' { inner.into() } else { inner.replace(&format!("{quote}{quote}"), &quote.to_string()).into() }
    }
}

/// Comments and blanks are dropped; what is left open ends with the text. At most [`MOST_TOKENS`] + 1 of them.
pub fn tokens(text: &str) -> Vec<Token<'_>> {
    let bytes = text.as_bytes();
    let (mut found, mut at) = (Vec::new(), 0);
    while at < bytes.len() && found.len() <= MOST_TOKENS {
        let rest = &bytes[at..];
        let while_in = |in_it: fn(u8) -> bool| rest.iter().position(|&b| !in_it(b)).unwrap_or(rest.len());
        let (kind, length) = match rest {
            [b, ..] if b.is_ascii_whitespace() => (None, 1),
            [b'-', b'-', ..] => (None, rest.iter().position(|&b| b == b'\n').unwrap_or(rest.len())),
            [b'/', b'*', ..] => (None, text[at + 2..].find("*/").map_or(rest.len(), |end| end + 4)),
            [b'\'', ..] => (Some(Kind::Text), quoted(rest, b'\'')),
            [quote @ (b'"' | b'`'), ..] => (Some(Kind::Name), quoted(rest, *quote)),
            [b'[', ..] => (Some(Kind::Name), rest.iter().position(|&b| b == b']').map_or(rest.len(), |end| end + 1)),
            [b, ..] if b.is_ascii_digit() => (Some(Kind::Number), number(rest)),
            [b'.', b, ..] if b.is_ascii_digit() => (Some(Kind::Number), number(rest)),
            [b, ..] if in_word(*b) => (Some(Kind::Word), while_in(in_word)),
            [b'<' | b'>' | b'!' | b'=', b'=', ..]
            | [b'<', b'>', ..]
            | [b'|', b'|', ..]
            | [b'<', b'<', ..]
            | [b'>', b'>', ..] => (Some(Kind::Mark), 2),
            _ => (Some(Kind::Mark), 1),
        };
        if let Some(kind) = kind {
            found.push(Token { kind, text: &text[at..at + length], at });
        }
        at += length;
    }
    found
}

fn in_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$') || byte >= 0x80
}

/// The length of a quoted text at the start of `rest`, its quotes included; a doubled quote stands for itself.
fn quoted(rest: &[u8], quote: u8) -> usize {
    let mut at = 1;
    while at < rest.len() {
        match (rest[at] == quote, rest.get(at + 1) == Some(&quote)) {
            (true, true) => at += 2,
            (true, false) => return at + 1,
            (false, _) => at += 1,
        }
    }
    rest.len()
}

/// `12`, `1.5e-3`, `0x1F`, and what is glued to it.
fn number(rest: &[u8]) -> usize {
    let mut at = 0;
    while let Some(&byte) = rest.get(at) {
        let signed = matches!(byte, b'+' | b'-') && at > 0 && matches!(rest[at - 1], b'e' | b'E') && rest[1] != b'x';
        if !(in_word(byte) || byte == b'.' || signed) {
            break;
        }
        at += 1;
    }
    at
}

/// The one query of a text, without the semicolon at its end.
///
/// # Errors
/// Why it is none: empty, more than one statement, no query, too long.
pub fn one_query(text: &str) -> Result<String, String> {
    let tokens = tokens(text);
    if tokens.len() > MOST_TOKENS {
        return Err(format!("more than {MOST_TOKENS} words"));
    }
    if text.contains('\0') {
        return Err("a NUL".into());
    }
    let end = tokens.iter().rposition(|token| !token.is(";")).map_or(0, |last| last + 1);
    let statement = &tokens[..end];
    let Some(first) = statement.first() else { return Err("no statement".into()) };
    if statement.iter().any(|token| token.is(";")) {
        return Err("more than one statement".into());
    }
    if !["select", "with", "values"].iter().any(|word| first.is(word)) {
        return Err("no query: it starts with neither SELECT nor WITH nor VALUES".into());
    }
    let last = &statement[end - 1];
    Ok(joined(text, statement, last.at + last.text.len()))
}

/// The text from the first token to `end`, with `! =`, `> =` and `< =` closed up, as Spider's files write them.
fn joined(text: &str, tokens: &[Token], end: usize) -> String {
    let mut out = String::with_capacity(text.len());
    let mut from = tokens.first().map_or(0, |token| token.at);
    for pair in tokens.windows(2) {
        let close = pair[0].at + pair[0].text.len();
        let apart = &text[close..pair[1].at];
        let operator = ["!", "<", ">"].iter().any(|mark| pair[0].is(mark)) && pair[1].is("=");
        if operator && !apart.is_empty() && apart.trim().is_empty() {
            out.push_str(&text[from..close]);
            from = pair[1].at;
        }
    }
    out.push_str(&text[from..end]);
    out
}

/// Whether rows come in an order that the query asks for: ORDER BY outside of any parentheses.
pub fn is_ordered(query: &str) -> bool {
    let tokens = tokens(query);
    let mut depth = 0_i64;
    tokens.iter().zip(tokens.iter().skip(1)).any(|(token, next)| {
        depth += i64::from(token.is("(")) - i64::from(token.is(")"));
        depth == 0 && token.is("order") && next.is("by")
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn texts(text: &str) -> Vec<&str> {
        tokens(text).iter().map(|t| t.text).collect()
    }

    #[test]
    fn words_are_cut_as_sqlite_cuts_them() {
        let text = "SELECT T1.a,'it''s' FROM \"my t\"\"x\" -- no\n WHERE [b c]>=1.5e-3/* x */AND `d`<>0x1F||.5";
        let cut = [
            "SELECT",
            "T1",
            ".",
            "a",
            ",",
            "'it''s'",
            "FROM",
            "\"my t\"\"x\"",
            "WHERE",
            "[b c]",
            ">=",
            "1.5e-3",
            "AND",
            "`d`",
            "<>",
            "0x1F",
            "||",
            ".5",
        ];
        assert_eq!(texts(text), cut);
        let inner: Vec<String> =
            tokens("'it''s' \"a\"\"b\" [c d] `e` f").iter().map(|t| t.inner().into_owned()).collect();
        assert_eq!(inner, ["it's", "a\"b", "c d", "e", "f"]);
        assert_eq!(texts("'open"), ["'open"]);
        assert_eq!(texts("/* open"), Vec::<&str>::new());
    }

    #[test]
    fn one_statement_is_a_query() {
        for (text, query) in [
            ("SELECT 1;", Ok("SELECT 1")),
            (" -- why\n select 1 ;; -- end", Ok("select 1")),
            ("SELECT ';'", Ok("SELECT ';'")),
            ("WITH a AS (SELECT 1) SELECT * FROM a", Ok("WITH a AS (SELECT 1) SELECT * FROM a")),
            ("SELECT a FROM t WHERE a ! =  1 AND b > = '! ='", Ok("SELECT a FROM t WHERE a !=  1 AND b >= '! ='")),
            ("SELECT 1; DROP TABLE t", Err("more than one")),
            ("SELECT 1;/**/;SELECT 2", Err("more than one")),
            ("PRAGMA user_version = 1", Err("no query")),
            ("EXPLAIN SELECT 1", Err("no query")),
            ("", Err("no statement")),
            (";;", Err("no statement")),
            ("SELECT '\0'", Err("NUL")),
        ] {
            match (one_query(text), query) {
                (Ok(got), Ok(expected)) => assert_eq!(got, expected),
                (Err(got), Err(part)) => assert!(got.contains(part), "{text}: {got}"),
                (got, _) => panic!("{text}: {got:?}"),
            }
        }
        assert!(one_query(&format!("SELECT {}1", "1+".repeat(MOST_TOKENS))).is_err());
    }

    #[test]
    fn the_order_of_the_whole_counts_alone() {
        for (query, ordered) in [
            ("SELECT a FROM t ORDER BY a", true),
            ("SELECT a FROM t order  by a LIMIT 1", true),
            ("SELECT a FROM (SELECT a FROM t ORDER BY a)", false),
            ("SELECT row_number() OVER (ORDER BY a) FROM t", false),
            ("SELECT 'ORDER BY' FROM t", false),
            ("WITH x AS (SELECT a FROM t ORDER BY a) SELECT a FROM x ORDER BY 1", true),
            ("SELECT \"order\", by FROM t", false),
        ] {
            assert_eq!(is_ordered(query), ordered, "{query}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_cut_in_order(text in "([a-z0-9'\"`\\[\\]();!=<>./*-]|--|/\\*|\n| |é|\0){0,60}") {
            let mut at = 0;
            for token in tokens(&text) {
                prop_assert!(token.at >= at && !token.text.is_empty() && text[token.at..].starts_with(token.text));
                at = token.at + token.text.len();
                let _ = token.inner();
            }
            if let Ok(query) = one_query(&text) {
                prop_assert_eq!(one_query(&query), Ok(query.clone()));
                is_ordered(&query);
            }
        }
    }
}
