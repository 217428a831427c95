//! Verilog as a sequence of words: what a design may not say, and what it must not know.

use std::collections::BTreeSet;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A keyword or a name.
    Word,
    /// `\name `, up to a blank.
    Escaped,
    /// `$name`
    System,
    /// A directive or a macro: `` `name ``.
    Directive,
    /// `"..."`
    Text,
    Number,
    Mark,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token<'a> {
    pub kind: Kind,
    pub text: &'a str,
    /// Where it starts, in bytes.
    pub at: usize,
}

/// Without comments and blanks; total on any text, in one pass.
pub fn tokens(text: &str) -> Vec<Token<'_>> {
    let bytes = text.as_bytes();
    let (mut found, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        let rest = &bytes[at..];
        let in_word = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'$') || b >= 0x80;
        let run = |from: usize| from + rest[from..].iter().position(|&b| !in_word(b)).unwrap_or(rest.len() - from);
        let (kind, length) = match rest {
            [b, ..] if b.is_ascii_whitespace() => (None, 1),
            [b'/', b'/', ..] => (None, rest.iter().position(|&b| b == b'\n').unwrap_or(rest.len())),
            [b'/', b'*', ..] => (None, text[at + 2..].find("*/").map_or(rest.len(), |end| end + 4)),
            [b'"', ..] => (Some(Kind::Text), quoted(rest)),
            [b'\\', ..] => {
                let end = rest.iter().position(u8::is_ascii_whitespace).unwrap_or(rest.len());
                (Some(Kind::Escaped), end)
            }
            [b'$', ..] => (Some(Kind::System), run(1)),
            [b'`', ..] => (Some(Kind::Directive), run(1)),
            [b'\'', ..] => (Some(Kind::Number), based(rest)),
            [b, ..] if b.is_ascii_digit() => (Some(Kind::Number), digits(rest, 0, |b| b.is_ascii_digit() || b == b'_')),
            [b, ..] if in_word(*b) => (Some(Kind::Word), run(0)),
            _ => (Some(Kind::Mark), 1),
        };
        if let Some(kind) = kind {
            found.push(Token { kind, text: &text[at..at + length], at });
        }
        at += length;
    }
    found
}

/// The length of a string at the start of `rest`, its quotes included.
fn quoted(rest: &[u8]) -> usize {
    let mut at = 1;
    while at < rest.len() {
        match rest[at] {
            b'\\' => at += 2,
            // Not over the end of a line: an open quote must not hide what follows it.
            b'"' | b'\n' => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

/// Where a run of digits from `from` ends. Numbers end where Icarus ends them: what is glued to one is a word of its own.
fn digits(rest: &[u8], from: usize, is_digit: impl Fn(u8) -> bool) -> usize {
    from + rest[from..].iter().position(|&b| !is_digit(b)).unwrap_or(rest.len() - from)
}

/// The length of `'b01`, `'sh F`, `'dx`, `'0` at the start of `rest`, or of a lone apostrophe.
fn based(rest: &[u8]) -> usize {
    let sign = usize::from(matches!(rest.get(1), Some(b's' | b'S')));
    let Some(base) = rest.get(1 + sign).map(u8::to_ascii_lowercase) else { return 1 };
    let is_unknown = |b: u8| matches!(b, b'x' | b'X' | b'z' | b'Z' | b'?');
    let from = digits(rest, 2 + sign, |b| matches!(b, b' ' | b'\t'));
    match base {
        b'b' => digits(rest, from, |b| matches!(b, b'0' | b'1' | b'_') || is_unknown(b)),
        b'o' => digits(rest, from, |b| matches!(b, b'0'..=b'7' | b'_') || is_unknown(b)),
        b'h' => digits(rest, from, |b| b.is_ascii_hexdigit() || b == b'_' || is_unknown(b)),
        b'd' if rest.get(from).is_some_and(|&b| is_unknown(b)) => digits(rest, from + 1, |b| b == b'_'),
        b'd' => digits(rest, from, |b| b.is_ascii_digit() || b == b'_'),
        b'0' | b'1' | b'x' | b'z' if sign == 0 => 2,
        _ => 1,
    }
}

/// Functions of elaboration and arithmetic alone: nothing is printed, read, ended, timed or drawn.
const HARMLESS: &[&str] = &[
    "$",
    "$abs",
    "$acos",
    "$acosh",
    "$asin",
    "$asinh",
    "$atan",
    "$atan2",
    "$atanh",
    "$bits",
    "$bitstoreal",
    "$bitstoshortreal",
    "$ceil",
    "$clog2",
    "$cos",
    "$cosh",
    "$countbits",
    "$countones",
    "$dimensions",
    "$exp",
    "$floor",
    "$high",
    "$hypot",
    "$increment",
    "$isunknown",
    "$itor",
    "$left",
    "$ln",
    "$log10",
    "$low",
    "$max",
    "$min",
    "$onehot",
    "$onehot0",
    "$pow",
    "$realtobits",
    "$right",
    "$rtoi",
    "$shortrealtobits",
    "$signed",
    "$sin",
    "$sinh",
    "$size",
    "$sqrt",
    "$tan",
    "$tanh",
    "$unpacked_dimensions",
    "$unsigned",
];

/// Directives that the preprocessor leaves, and that change no text.
const LEFT: &[&str] = &[
    "`begin_keywords",
    "`celldefine",
    "`default_nettype",
    "`end_keywords",
    "`endcelldefine",
    "`line",
    "`nounconnected_drive",
    "`resetall",
    "`timescale",
    "`unconnected_drive",
];

/// Whether the preprocessor has anything to do.
pub fn has_directives(text: &str) -> bool {
    text.contains('`')
}

/// Why a preprocessed design is not run: it calls system tasks, forces what it does not drive, reaches into `scopes`, or
/// has directives left. Designs have no use for these.
pub fn refusal(design: &str, scopes: &BTreeSet<String>) -> Option<String> {
    let tokens = tokens(design);
    for (at, token) in tokens.iter().enumerate() {
        let next = tokens.get(at + 1).map(|next| next.text);
        let text = token.text;
        match token.kind {
            Kind::System if !HARMLESS.contains(&text) => return Some(format!("a design may not call {text}")),
            // Icarus takes an escaped name with a dollar for the system task.
            Kind::Escaped if text.starts_with("\\$") => return Some(format!("a design may not call {text}")),
            Kind::Directive if !LEFT.contains(&text) => return Some(format!("a design may not use {text} here")),
            Kind::Word if matches!(text, "force" | "release" | "bind") => {
                return Some(format!("a design may not {text}"));
            }
            Kind::Word | Kind::Escaped if next == Some(".") && scopes.contains(text.trim_start_matches('\\')) => {
                return Some(format!("a design may not reach into the testbench: {text}."));
            }
            _ => {}
        }
    }
    None
}

/// Names of a testbench or a reference that a hierarchical name can start with: modules, instances, tasks, named blocks, and what it looks into
/// itself.
pub fn scopes(text: &str) -> BTreeSet<String> {
    let tokens = tokens(text);
    let is_word = |at: usize| tokens.get(at).is_some_and(|t| matches!(t.kind, Kind::Word | Kind::Escaped));
    let mut found = BTreeSet::new();
    for (at, token) in tokens.iter().enumerate().filter(|(at, _)| is_word(*at)) {
        let text = |at: usize| tokens.get(at).map_or("", |t| t.text);
        let named_by = |words: &[&str], back: usize| at >= back && words.contains(&text(at - back));
        // `module m`, `task automatic t`, `begin : b`, `M i (`, `M #(8) i (`, `s.field`
        let declared = named_by(&["module", "task", "function", "interface", "package", "program"], 1)
            || named_by(&["task", "function"], 2)
            || named_by(&["begin", "fork"], 2) && named_by(&[":"], 1);
        let instance = text(at + 1) == "(" && at > 0 && (is_word(at - 1) || text(at - 1) == ")");
        if declared || instance || text(at + 1) == "." {
            found.insert(token.text.trim_start_matches('\\').to_owned());
        }
    }
    found
}

/// `text` with the name `from` as `to`; not in strings and comments.
pub fn renamed(text: &str, from: &str, to: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut copied = 0;
    for token in tokens(text).iter().filter(|t| t.kind == Kind::Word && t.text == from) {
        out.push_str(&text[copied..token.at]);
        out.push_str(to);
        copied = token.at + token.text.len();
    }
    out.push_str(&text[copied..]);
    out
}

/// The names of the modules that a text declares.
pub fn modules(text: &str) -> BTreeSet<String> {
    let tokens = tokens(text);
    let named = tokens.windows(2).filter(|pair| pair[0].kind == Kind::Word && pair[0].text == "module");
    named.filter(|pair| pair[1].kind == Kind::Word).map(|pair| pair[1].text.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn refused(design: &str) -> Option<String> {
        refusal(
            design,
            &scopes("module tb(); task go; endtask RefModule good1 ( .a ); initial stats1.errors = 0; endmodule"),
        )
    }

    #[test]
    fn designs_do_not_talk_force_or_reach_out() {
        for design in [
            "initial $display(\"Mismatches: 0 in 1 samples\");",
            "initial $finish;",
            "initial $finish(0);",
            "initial \\$finish ;",
            "initial $  display; initial $write(1);",
            "initial begin tb.stats1.errors = 0; end",
            "assign y = good1.y;",
            "assign y = good1 /* x */ . y;",
            "assign y = \\good1 .y;",
            "initial stats1.errors = 0;",
            "initial force a = 1;",
            "initial release a;",
            "assign y = $root.tb.y;",
            "initial #1$finish;",
            "assign y = 8'hF$random;",
            "initial #1tb.y = 0;",
            "initial #1'h Ftb.y = 0;",
            "initial #1'b0good1.y = 0;",
            "initial #1'dxtb.y = 0;",
            "initial #'0tb.y = 0;",
            "`include \"/etc/passwd\"",
            "`define X $finish\ninitial `X;",
            "initial $readmemh(\"/etc/passwd\", m);",
            "assign y = $random;",
            "wire x = \"\n$finish\"; initial $finish;",
        ] {
            assert!(refused(design).is_some(), "{design}");
        }
        for design in [
            "assign y = a[$clog2(8)-1:0] + $signed(b); // $display\n/* $finish */",
            "localparam S = \"$finish\";",
            "`timescale 1ns/1ps\nmodule a$display; endmodule",
            "state_t s; assign y = s.field; sub u (.a(a), .stats1(b)); assign z = u.q;",
            "int q[$];",
            "assign y = 8'hF + 4'sb1x_0 + '1 + 'd 12 + 1_000 + int'(a);",
        ] {
            assert_eq!(refused(design), None, "{design}");
        }
    }

    #[test]
    fn names_change_in_code_alone() {
        let text = "module RefModule(); // RefModule\n RefModule2 x(\"RefModule\", RefModule); endmodule";
        let new = "module R_1(); // RefModule\n RefModule2 x(\"RefModule\", R_1); endmodule";
        assert_eq!(renamed(text, "RefModule", "R_1"), new);
        assert_eq!(modules(text), BTreeSet::from(["RefModule".to_owned()]));
    }

    proptest! {
        #[test]
        fn any_text_is_cut(text in "([a-z0-9$`\\\\\"'./*(){};: \n]|module|é){0,60}") {
            let mut at = 0;
            for token in tokens(&text) {
                prop_assert!(token.at >= at && !token.text.is_empty());
                at = token.at + token.text.len();
            }
            refusal(&text, &scopes(&text));
            prop_assert_eq!(renamed(&text, "zz top", "x"), text);
        }
    }
}
