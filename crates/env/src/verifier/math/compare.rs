//! Two texts, compared.

use super::{equal::Comparison, expression::Expression, extract::extract, normalise, parse};

/// Whether two texts give the same answer, to `digits` significant digits of decimals.
pub fn same_answer(gold: &str, completion: &str, digits: u32) -> bool {
    same_extracted(&extract(gold), &extract(completion), digits)
}

/// The same for what [`extract`] found.
pub fn same_extracted(gold: &str, answer: &str, digits: u32) -> bool {
    let (gold_text, answer_text) = (bare(gold), bare(answer));
    if gold_text.is_empty() || answer_text.is_empty() {
        return false;
    }
    if gold_text == answer_text || is_word(&gold_text) && gold_text.to_lowercase() == answer_text.to_lowercase() {
        return true;
    }
    match (read(gold), read(answer)) {
        (Some(gold), Some(answer)) => Comparison::to_digits(digits).equal(&gold, &answer),
        _ => false,
    }
}

/// Three letters and more are a word, the same in capitals.
fn is_word(text: &str) -> bool {
    text.chars().all(char::is_alphabetic) && text.chars().count() >= 3
}

fn read(text: &str) -> Option<Expression> {
    parse::parse(text).map(normalise::normalise)
}

/// A text without what LaTeX adds to its looks.
fn bare(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text.trim().trim_end_matches('.');
    const LOOKS: [&str; 14] = [
        "\\text{",
        "\\textbf{",
        "\\mathrm{",
        "\\mbox{",
        "\\left",
        "\\right",
        "\\!",
        "\\,",
        "\\;",
        "\\ ",
        "\\quad",
        "\\$",
        "\\displaystyle",
        "\\textit{",
    ];
    let mut opened = 0;
    while let Some(c) = rest.chars().next() {
        if c == '\\'
            && let Some(look) = LOOKS.iter().find(|look| rest.starts_with(**look))
            && !(rest.starts_with("\\left") && rest[5..].starts_with(|c: char| c.is_ascii_alphabetic()))
            && !(rest.starts_with("\\right") && rest[6..].starts_with(|c: char| c.is_ascii_alphabetic()))
        {
            opened += usize::from(look.ends_with('{'));
            rest = &rest[look.len()..];
            continue;
        }
        rest = &rest[c.len_utf8()..];
        match c {
            '}' if opened > 0 && !out.contains('{') => opened -= 1,
            c if c.is_whitespace() || c == '$' => {}
            c => out.push(c),
        }
    }
    out
}

/// The answer of a text in one form for all its spellings: `0.50` and `\frac{2}{4}` are `1/2`; `None` where it has none.
pub fn normal_form(text: &str) -> Option<String> {
    let answer = extract(text);
    let bare = bare(&answer);
    let form = match read(&answer) {
        _ if is_word(&bare) => bare.to_lowercase(),
        Some(expression) => normalise::print(&expression),
        None => bare,
    };
    (!form.is_empty()).then_some(form)
}
