//! Where a text says its answer.
//!
//! The last of: a box, words such as "final answer is", an answer tag, `####`. Else "answer is" or a line `A:`. Else the
//! last formula, or a number behind it. Else the whole text. Boxes and formulas that only commas and "and" part are one answer.

use std::borrow::Cow;

use super::{
    formulas::{Formula, formulas},
    lex::closing,
    plain,
};

/// Boxes and formulas that may make one answer.
const MAX_JOINED: usize = 50;

/// The part of `text` that is the answer; empty where the text is.
pub fn extract(text: &str) -> Cow<'_, str> {
    let text = finished(text);
    if let Some(marked) = marked(text) {
        return marked;
    }
    if plain::is_mathematics(text) {
        return plain::decimal_comma(text.trim());
    }
    for mark in ["nswer is", "nswer:", "nswer**", "NSWER:"] {
        if let Some(at) = text.rfind(mark)
            && let Some(found) = sentence(&text[at + mark.len()..])
        {
            return found;
        }
    }
    if let Some(at) = text.rfind("\nA:").map(|at| at + 3).or_else(|| text.starts_with("A:").then_some(2))
        && let Some(found) = sentence(&text[at..])
    {
        return found;
    }
    last(text).unwrap_or_else(|| plain::words(text).into())
}

/// What was said after thinking, without the markers of a chat.
fn finished(text: &str) -> &str {
    let text = match text.rsplit_once("</think>") {
        Some((_, after)) if !after.trim().is_empty() => after,
        _ => text,
    };
    let end = ["<|im_start|>", "<|im_end|>", "<|endoftext|>", "<|eot_id|>"].iter().filter_map(|m| text.find(m)).min();
    match end {
        Some(end) if !text[..end].trim().is_empty() => text[..end].trim(),
        _ => text.trim(),
    }
}

/// The answer behind the last mark that a text makes on purpose.
fn marked(text: &str) -> Option<Cow<'_, str>> {
    let boxed = text.rfind("\\boxed").max(text.rfind("\\fbox"));
    let hashes = text.rfind("####");
    let tag = text.rfind("<answer>");
    let words = text.rfind("inal answer is").max(text.rfind("inal Answer is")).max(text.rfind("inal answer:"));
    let words = words.max(text.rfind("inal Answer:"));
    let mut marks = [boxed, hashes, tag, words];
    marks.sort_unstable();
    for at in marks.into_iter().rev().flatten() {
        let found = if Some(at) == boxed {
            Some(boxes(text, at))
        } else if Some(at) == hashes {
            text[at + 4..].trim_start().lines().next().map(|line| inside(line))
        } else if Some(at) == tag {
            let content = &text[at + "<answer>".len()..];
            Some(inside(content.split("</answer>").next().unwrap_or(content)))
        } else {
            let after = &text[at + "inal answer".len()..];
            sentence(after.strip_prefix(" is").or_else(|| after.strip_prefix(':')).unwrap_or(after)).filter(|found| {
                found.contains(|c: char| c.is_ascii_digit() || matches!(c, '\\' | '=')) || boxed.is_none()
            })
        };
        if let Some(found) = found.filter(|found| !found.trim().is_empty()) {
            return Some(found);
        }
    }
    None
}

/// A part that holds nothing but the answer.
fn inside(part: &str) -> Cow<'_, str> {
    let part = part.trim().trim_end_matches('.');
    if plain::is_mathematics(part) {
        return plain::decimal_comma(part);
    }
    if let Some(at) = part.rfind("\\boxed") {
        return boxes(part, at);
    }
    last(part).unwrap_or_else(|| plain::words(part).into())
}

/// The box at `at`, and those before it that belong to it.
fn boxes(text: &str, at: usize) -> Cow<'_, str> {
    let (content, end) = content(text, at);
    let mut found = vec![with_percent(content, &text[end..])];
    let mut first = at;
    while found.len() < MAX_JOINED
        && let Some(before) = text[..first].rfind("\\boxed")
    {
        let (content, end) = self::content(text, before);
        if end > first || !joins(&text[end..first]) {
            break;
        }
        found.push(content.into());
        first = before;
    }
    found.reverse();
    if found.len() == 1 { found.swap_remove(0) } else { found.join(", ").into() }
}

/// What the box at `at` holds, and where it ends. One that is never closed holds the rest.
fn content(text: &str, at: usize) -> (&str, usize) {
    let word = if text[at..].starts_with("\\fbox") { "\\fbox" } else { "\\boxed" };
    let rest = text[at + word.len()..].trim_start();
    let start = text.len() - rest.len();
    let Some(inside) = rest.strip_prefix('{') else {
        let end = rest.find(|c: char| c.is_whitespace() || c == '$').unwrap_or(rest.len());
        return (&rest[..end], start + end);
    };
    match closing(inside) {
        Some(end) => (&inside[..end], start + 1 + end + 1),
        None => {
            let end = inside.find('$').unwrap_or(inside.len());
            (&inside[..end], start + 1 + end)
        }
    }
}

/// `28` before a sign or a word for percent.
fn with_percent<'a>(content: &'a str, after: &str) -> Cow<'a, str> {
    let after = after.trim_start_matches(|c: char| c == '$' || c.is_whitespace());
    let after = after.strip_prefix("\\)").unwrap_or(after).trim_start();
    let percent = ["%", "\\%", "percent", "pct"].iter().any(|word| after.starts_with(word));
    if percent { format!("{content}\\%").into() } else { content.into() }
}

/// Only separators, delimiters and a name before `=` stand between two parts of one answer.
fn joins(gap: &str) -> bool {
    if gap.len() > 80 {
        return false;
    }
    let mut rest = gap.to_owned();
    for word in ["\\quad", "\\qquad", "\\text", "\\ ", "\\,", "\\(", "\\)", "\\[", "\\]", "$", "{", "}", ",", ";", "&"]
    {
        rest = rest.replace(word, " ");
    }
    if let Some((name, after)) = rest.split_once('=')
        && after.trim().is_empty()
    {
        let name = name.trim();
        let name = name.strip_prefix("and ").or_else(|| name.strip_prefix("or ")).unwrap_or(name).trim();
        return !name.is_empty() && name.len() <= 8 && !name.contains(char::is_whitespace);
    }
    rest.split_whitespace().all(|word| matches!(word, "and" | "or" | "And"))
}

/// The answer in the first sentence of `after`.
fn sentence(after: &str) -> Option<Cow<'_, str>> {
    let after = after.trim_start_matches(|c: char| c.is_whitespace() || matches!(c, ':' | '*' | '='));
    let found = formulas(after);
    // A period inside of a formula ends no sentence.
    let outside = |at: usize| {
        let next = found.partition_point(|f| f.end <= at);
        found.get(next).is_none_or(|f| at < f.start)
    };
    let end = after.match_indices(['.', '\n']).find(|&(at, mark)| {
        outside(at)
            && (mark == "\n" && !after[..at].trim().is_empty()
                || after[at + 1..].starts_with(char::is_whitespace)
                || at + 1 == after.len())
    });
    let line = &after[..end.map_or(after.len(), |(at, _)| at)];
    let line = line.trim_end_matches(|c: char| c.is_whitespace() || matches!(c, '*' | '_' | '`'));
    if line.is_empty() {
        return None;
    }
    let shown: Vec<Formula> = found.into_iter().filter(|f| f.end <= line.len()).collect();
    if !shown.is_empty() {
        return Some(joined(line, &shown));
    }
    if plain::is_mathematics(line) {
        return Some(plain::decimal_comma(line.trim()));
    }
    let part = line.rsplit_once('=').map_or(line, |(_, last)| last);
    Some(plain::first_number(part).unwrap_or_else(|| plain::words(line).into()))
}

/// The last formula, or a number behind it.
fn last(text: &str) -> Option<Cow<'_, str>> {
    let found = formulas(text);
    let end = found.last().map_or(0, |f| f.end);
    if let Some(number) = plain::last_number(&text[end..]) {
        return Some(number);
    }
    (!found.is_empty()).then(|| joined(text, &found))
}

/// The last formula with those before it that belong to it.
fn joined<'a>(text: &'a str, found: &[Formula]) -> Cow<'a, str> {
    let Some(last) = found.last() else { return text.into() };
    let inside = |f: &Formula| &text[f.inner.clone()];
    let mut first = found.len() - 1;
    while first > 0 && found.len() - first < MAX_JOINED && joins(&text[found[first - 1].end..found[first].start]) {
        first -= 1;
    }
    let tail = with_percent(inside(last), &text[last.end..]);
    if first == found.len() - 1 {
        return tail;
    }
    let mut parts: Vec<&str> = found[first..found.len() - 1].iter().map(inside).collect();
    parts.push(&tail);
    parts.join(", ").into()
}
