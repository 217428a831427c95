//! Decimal numbers as people write them, compared digit by digit.

use std::fmt;

/// A decimal number in its one normal form: no needless zeros, no sign on 0. Any length, exact.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Number {
    negative: bool,
    /// Without leading zeros; empty for numbers below 1.
    whole: String,
    /// Without trailing zeros.
    fraction: String,
}

impl Number {
    /// The number that `text` is, and nothing else: `-1,234.50`, `$5`, `50%`, `7.`. Thousands
    /// commas must part groups of three. The marks `$`, `%` and the period carry no meaning.
    pub fn parse(text: &str) -> Option<Number> {
        let text = text.trim();
        let (number, start, end) = scan(text, 0)?;
        let tail = &text[end..];
        let clean = start == 0 && matches!(tail.trim_start(), "" | "." | "%" | "%.");
        clean.then_some(number)
    }

    /// The only number in `text`, among any other words; `None` where there is none, or a second one.
    pub fn only(text: &str) -> Option<Number> {
        let mut found = all(text);
        let number = found.next()?;
        found.next().is_none().then_some(number)
    }

    /// The last number in `text`.
    pub fn last(text: &str) -> Option<Number> {
        all(text).last()
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.negative { "-" } else { "" };
        let whole = if self.whole.is_empty() { "0" } else { &self.whole };
        let point = if self.fraction.is_empty() { "" } else { "." };
        write!(f, "{sign}{whole}{point}{}", self.fraction)
    }
}

/// Every number in `text`, from left to right.
fn all(text: &str) -> impl Iterator<Item = Number> + '_ {
    let mut at = 0;
    std::iter::from_fn(move || {
        let (number, _, end) = scan(text, at)?;
        at = end;
        Some(number)
    })
}

/// The first number from byte `from` on, with where it starts (its sign and `$` included) and ends.
fn scan(text: &str, from: usize) -> Option<(Number, usize, usize)> {
    let bytes = text.as_bytes();
    let digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let digits = from + bytes[from..].iter().position(u8::is_ascii_digit)?;
    // `.5`: the point belongs to the number unless more of a word or a number ends before it.
    let before_point = digits.checked_sub(1).filter(|&p| p >= from && bytes[p] == b'.');
    let bare_point = before_point.filter(|&p| p == 0 || !bytes[p - 1].is_ascii_alphanumeric() && bytes[p - 1] != b'.');

    let whole_end = if bare_point.is_some() { digits } else { whole_end(bytes, digits) };
    let whole: String = text[digits..whole_end].chars().filter(char::is_ascii_digit).collect();
    let point = bare_point.or_else(|| (bytes.get(whole_end) == Some(&b'.')).then_some(whole_end));
    let (fraction, end) = match point {
        Some(point) if digit(point + 1) => {
            let end = run_end(bytes, point + 1);
            (&text[point + 1..end], end)
        }
        _ => ("", whole_end),
    };

    let (negative, start) = sign(text, from, bare_point.unwrap_or(digits));
    let whole = whole.trim_start_matches('0').to_owned();
    let fraction = fraction.trim_end_matches('0').to_owned();
    let zero = whole.is_empty() && fraction.is_empty();
    Some((Number { negative: negative && !zero, whole, fraction }, start, end))
}

/// The end of the run of digits that starts at `at`.
fn run_end(bytes: &[u8], at: usize) -> usize {
    at + bytes[at..].iter().take_while(|b| b.is_ascii_digit()).count()
}

/// The end of a whole part with its thousands commas: 1 to 3 digits, then groups of exactly three.
fn whole_end(bytes: &[u8], at: usize) -> usize {
    let mut end = run_end(bytes, at);
    if end - at <= 3 {
        while bytes.get(end) == Some(&b',') && run_end(bytes, end + 1) == end + 4 {
            end += 4;
        }
    }
    end
}

/// The sign before byte `at`, and where the number starts with it. A dollar stands on either
/// side of the sign. Right after a letter, a digit or a closing bracket a `-` or `+` is an operator.
fn sign(text: &str, from: usize, at: usize) -> (bool, usize) {
    let strip = |start: usize, mark: &str| text[from..start].strip_suffix(mark).map(|rest| from + rest.len());
    let start = strip(at, "$").unwrap_or(at);
    for (mark, negative) in [("-", true), ("\u{2212}", true), ("+", false)] {
        let Some(before) = strip(start, mark) else { continue };
        let operand = text[..before].chars().next_back();
        if operand.is_some_and(|c| c.is_alphanumeric() || matches!(c, ')' | ']' | '}' | '%')) {
            break;
        }
        return (negative, if start == at { strip(before, "$").unwrap_or(before) } else { before });
    }
    (false, start)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parsed(text: &str) -> Option<String> {
        Number::parse(text).map(|n| n.to_string())
    }

    #[test]
    fn one_number_has_many_spellings() {
        for (text, normal) in [
            ("1,234.50", "1234.5"),
            ("1234.5", "1234.5"),
            ("007", "7"),
            ("-0.00", "0"),
            ("+5", "5"),
            ("$5", "5"),
            ("-$5", "-5"),
            ("$-5.10", "-5.1"),
            ("\u{2212}3", "-3"),
            ("50%", "50"),
            ("50 %.", "50"),
            (" 7. ", "7"),
            (".5", "0.5"),
            ("-.50", "-0.5"),
            ("1,000,000", "1000000"),
            ("123456789012345678901234567890", "123456789012345678901234567890"),
            ("0.1000000000000000000000000001", "0.1000000000000000000000000001"),
        ] {
            assert_eq!(parsed(text).as_deref(), Some(normal), "{text}");
        }
    }

    #[test]
    fn what_is_not_one_number_is_none() {
        for text in [
            "", "x", "-", "$", ".", "5 apples", "x5", "1,23", "1,2345", "1234,567", "3/4", "1e5", "5-3", "1.2.3",
            "5%%", "--5", "5,",
        ] {
            assert_eq!(parsed(text), None, "{text}");
        }
    }

    #[test]
    fn neighbours_beyond_f64_are_told_apart() {
        assert_ne!(Number::parse("9007199254740993"), Number::parse("9007199254740992"));
        assert_ne!(Number::parse("0.1"), Number::parse("0.10000000000000000001"));
        assert_ne!(Number::parse("5"), Number::parse("-5"));
    }

    #[test]
    fn numbers_are_found_among_words() {
        for (text, found) in [
            ("She has 48/2 = 24 clips.", vec!["48", "2", "24"]),
            ("5-3=2", vec!["5", "3", "2"]),
            ("5 - 3 makes -2", vec!["5", "3", "-2"]),
            ("(1)-2%-3", vec!["1", "2", "3"]),
            ("x = -$1,234.50, y=(-.5)", vec!["-1234.5", "-0.5"]),
            ("1, 2,3 and 1,234,56", vec!["1", "2", "3", "1234", "56"]),
            ("3.14.15", vec!["3.14", "15"]),
            ("\\boxed{132}.", vec!["132"]),
            ("−7°, v1.5", vec!["-7", "1.5"]),
        ] {
            assert_eq!(all(text).map(|n| n.to_string()).collect::<Vec<_>>(), found, "{text}");
        }
        assert_eq!(Number::only("12 km/h"), Number::parse("12"));
        assert_eq!(Number::only("72 or 73"), None);
        assert_eq!(Number::only("none"), None);
        assert_eq!(Number::last("48/2 = 24 clips."), Number::parse("24"));
    }

    proptest! {
        #[test]
        fn finding_is_total(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let text = String::from_utf8_lossy(&bytes);
            let found: Vec<Number> = all(&text).collect();
            prop_assert_eq!(found.is_empty(), !text.bytes().any(|b| b.is_ascii_digit()));
            prop_assert_eq!(Number::last(&text), found.last().cloned());
            if let Some(number) = Number::parse(&text) {
                prop_assert_eq!(found, vec![number]);
            }
        }

        #[test]
        fn number_like_text_is_total_too(text in "[-+$%.,0-9 \u{2212}ea/]{0,30}") {
            for number in all(&text) {
                prop_assert_eq!(Number::parse(&number.to_string()), Some(number));
            }
        }

        #[test]
        fn spelling_does_not_change_a_number(n in any::<i64>(), zeros in 0usize..4) {
            let sign = if n < 0 { "-" } else { "" };
            let digits = n.unsigned_abs().to_string();
            let grouped = digits.as_bytes().rchunks(3).rev().map(|c| std::str::from_utf8(c).unwrap()).collect::<Vec<_>>().join(",");
            let spelled = format!("{sign}${grouped}.{}%", "0".repeat(zeros));
            prop_assert_eq!(Number::parse(&spelled).map(|n| n.to_string()), (zeros > 0).then(|| n.to_string()));
            prop_assert_eq!(Number::parse(&format!("{sign}{grouped}")).map(|n| n.to_string()), Some(n.to_string()));
        }
    }
}
