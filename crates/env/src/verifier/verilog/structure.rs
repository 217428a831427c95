//! How alike two designs are in their statements, as VeriReason measures it.

use std::{collections::HashSet, sync::LazyLock};

use regex::Regex;

use super::super::{text::difflib, words::Numbered};

/// What counts as a statement, in the order of the published script.
static STATEMENTS: LazyLock<Vec<(&str, Regex)>> = LazyLock::new(|| {
    [
        ("module", r"\bmodule\s+(\w+)"),
        ("ports", r"\bmodule\s+\w+\s*(?:#\s*\([^;]*?\))?\s*\(([^;]*?)\)\s*;"),
        ("port", r"\b((?:input|output|inout)\b[^;,)]*)"),
        ("net", r"\b((?:wire|reg|logic)\b[^;=,)]*)"),
        ("assign", r"\bassign\s+([^;=]+=[^;]*);"),
        ("always", r"\balways(?:_ff|_comb|_latch)?\b\s*(@\s*(?:\([^)]*\)|\*))?"),
        ("if", r"\bif\s*\(([^;{}]*?)\)\s"),
        ("else", r"\b(else)\b"),
        ("case", r"\bcase[xz]?\s*\(([^;]*?)\)\s"),
        ("item", r"(?m)^\s*([\w']+|default)\s*:[^:]"),
        ("instance", r"(?m)^\s*(\w+)\s+(?:#\s*\([^;]*?\)\s*)?\w+\s*\("),
    ]
    .into_iter()
    .map(|(name, pattern)| (name, Regex::new(pattern).expect("a constant pattern")))
    .collect()
});

/// Statements of a design that are looked at; a bound on work.
const MOST: usize = 20_000;

/// Its statements: ports, declarations, assignments, conditions, cases, instances, with blanks as one space.
fn statements(design: &str) -> Vec<String> {
    let bare = without_comments(design);
    let mut found = Vec::new();
    for (name, pattern) in STATEMENTS.iter() {
        for captures in pattern.captures_iter(&bare).take(MOST) {
            let said = captures.get(1).map_or("", |m| m.as_str());
            let said: Vec<&str> = said.split_whitespace().collect();
            found.push(format!("{name} {}", said.join(" ")));
        }
    }
    found.truncate(MOST);
    found
}

/// Every comment as a space, line ends kept.
fn without_comments(design: &str) -> String {
    let mut out = String::with_capacity(design.len());
    let mut rest = design;
    while let Some(at) = rest.find('/') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let end = match rest.as_bytes() {
            [b'/', b'/', ..] => rest.find('\n').unwrap_or(rest.len()),
            [b'/', b'*', ..] => rest[2..].find("*/").map_or(rest.len(), |end| end + 4),
            _ => {
                out.push('/');
                rest = &rest[1..];
                continue;
            }
        };
        out.push(' ');
        rest = &rest[end..];
    }
    out + rest
}

/// `S = clip(0.7 sim + 0.3 cov - 0.2 red, 0, 1)` of the lists of statements `x` of the design and `g` of the reference: `sim` their
/// Ratcliff-Obershelp ratio, `cov = |x ∩ g| / |g|`, `red = |x - g| / |x|` as sets; `red` is 1 of a design without statements.
pub fn similarity(design: &str, reference: &str) -> f64 {
    let (x, g) = (statements(design), statements(reference));
    let mut numbered = Numbered::default();
    let (in_g, in_x) =
        (numbered.ids::<str>(g.iter().map(String::as_str)), numbered.ids::<str>(x.iter().map(String::as_str)));
    let ratio = difflib::ratio(&in_g, &in_x);
    let (x, g): (HashSet<u32>, HashSet<u32>) = (in_x.into_iter().collect(), in_g.into_iter().collect());
    let both = x.intersection(&g).count() as f64;
    let covered = if g.is_empty() { 0.0 } else { both / g.len() as f64 };
    let redundant = if x.is_empty() { 1.0 } else { 1.0 - both / x.len() as f64 };
    (0.7 * ratio + 0.3 * covered - 0.2 * redundant).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MUX: &str =
        "module TopModule (\n  input a, input b, input sel,\n  output y);\n  assign y = sel ? b : a; // mux\nendmodule";

    #[test]
    fn statements_are_found_in_order() {
        let found = statements(MUX);
        assert_eq!(found[0], "module TopModule");
        for part in ["port input a", "port input sel", "port output y", "assign y = sel ? b : a"] {
            assert!(found.iter().any(|s| s == part), "{part}: {found:?}");
        }
    }

    #[test]
    fn likeness_falls_with_what_differs() {
        assert!((similarity(MUX, MUX) - 1.0).abs() < 1e-12);
        let comment = MUX.replace("// mux", "/* of two */");
        assert!((similarity(&comment, MUX) - 1.0).abs() < 1e-12);
        let swapped = similarity(&MUX.replace("b : a", "a : b"), MUX);
        let other = similarity("module TopModule (input x, output z); assign z = ~x; endmodule", MUX);
        assert!(1.0 > swapped && swapped > other && other > 0.0, "{swapped} {other}");
        assert_eq!(similarity("", MUX), 0.0);
        // Of g = {p, q, r, s} and x = {p, q, t}: sim 4/7, cov 2/4, red 1/3.
        let (g, x) = ("assign a=1;assign b=1;assign c=1;assign d=1;", "assign a=1;assign b=1;assign e=1;");
        let expected = 0.7 * 4.0 / 7.0 + 0.3 * 0.5 - 0.2 / 3.0;
        assert!((similarity(x, g) - expected).abs() < 1e-12, "{}", similarity(x, g));
    }

    #[test]
    fn long_and_odd_texts_are_bounded() {
        for text in ["module (".repeat(20_000), "if (".repeat(40_000), "a b (".repeat(30_000), "/*".repeat(9)] {
            assert!(similarity(&text, MUX) <= 1.0);
        }
    }
}
