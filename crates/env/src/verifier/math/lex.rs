//! LaTeX and plain mathematics as tokens.

use super::{
    expression::{Constant, Function, Literal, Relation},
    units::{is_percent, unit},
};

/// Longer answers are compared as texts.
pub const MAX_TOKENS: usize = 1000;
/// Digits of one number.
const MAX_DIGITS: usize = 2000;

#[derive(Clone, Debug, PartialEq)]
pub enum Token {
    Number(Literal),
    /// `12.` before `\overline{34}`: the digits of the period follow.
    Periodic(Literal, String),
    Symbol(String),
    Constant(Constant),
    Function(Function),
    Text(String),
    Frac,
    Sqrt,
    Binom,
    LogBase,
    /// `\overline` and others that are a part of a name.
    Accent(String),
    BraceOpen,
    BraceClose,
    Open,
    Close,
    SquareOpen,
    SquareClose,
    SetOpen,
    SetClose,
    FloorOpen,
    FloorClose,
    CeilingOpen,
    CeilingClose,
    Bar,
    Plus,
    Minus,
    PlusMinus,
    MinusPlus,
    Times,
    Over,
    Caret,
    Underscore,
    Bang,
    Percent,
    Degree,
    Prime,
    Comma,
    Semicolon,
    And,
    Or,
    Colon,
    Relation(Relation),
    Cup,
    Cap,
    Without,
    Ampersand,
    Row,
    Begin(String),
    End(String),
}

/// The tokens; `None` where there are too many, or something that is no mathematics.
pub fn lex(text: &str) -> Option<Vec<Token>> {
    // A text that escaped its backslashes twice; rows need theirs.
    let unescaped = (text.contains("\\\\") && !text.contains("\\begin")).then(|| once_escaped(text));
    let text = unescaped.as_deref().unwrap_or(text);
    let mut lexer = Lexer { text, bytes: text.as_bytes(), at: 0, tokens: Vec::with_capacity(32), nesting: 0 };
    while lexer.at < lexer.bytes.len() {
        lexer.step()?;
        if lexer.tokens.len() > MAX_TOKENS {
            return None;
        }
    }
    Some(lexer.tokens)
}

/// `\\frac` is `\frac`, `\\n` between two lines is a space.
fn once_escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("\\\\") {
        out.push_str(&rest[..at]);
        rest = &rest[at + 2..];
        if rest.starts_with(|c: char| {
            c.is_ascii_alphabetic() || matches!(c, '(' | ')' | '{' | '}' | '[' | ']' | '%' | '$')
        }) {
            out.push('\\');
        } else {
            out.push_str("\\\\");
        }
    }
    out.push_str(rest);
    out
}

struct Lexer<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    tokens: Vec<Token>,
    /// Open brackets, in which a comma parts items and never thousands.
    nesting: usize,
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn push(&mut self, token: Token, length: usize) {
        match token {
            Token::Open | Token::SquareOpen | Token::SetOpen => self.nesting += 1,
            Token::Close | Token::SquareClose | Token::SetClose => self.nesting = self.nesting.saturating_sub(1),
            _ => {}
        }
        self.tokens.push(token);
        self.at += length;
    }

    fn step(&mut self) -> Option<()> {
        let byte = self.bytes[self.at];
        let next = self.bytes.get(self.at + 1).copied();
        match byte {
            b'\\' => return self.command(),
            b'0'..=b'9' => return self.number(),
            b'.' if next.is_some_and(|b| b.is_ascii_digit()) => return self.number(),
            b'a'..=b'z' | b'A'..=b'Z' => return self.letters(),
            b' ' | b'\t' | b'\n' | b'\r' | b'$' | b'~' => self.at += 1,
            b'.' => {
                // An ellipsis says nothing that can be compared; a period ends a sentence.
                if next == Some(b'.') {
                    return None;
                }
                self.at += 1;
            }
            b'{' => self.push(Token::BraceOpen, 1),
            b'}' => self.push(Token::BraceClose, 1),
            b'(' => self.push(Token::Open, 1),
            b')' => self.push(Token::Close, 1),
            b'[' => self.push(Token::SquareOpen, 1),
            b']' => self.push(Token::SquareClose, 1),
            b'|' => self.push(Token::Bar, 1),
            b'+' if next == Some(b'-') => self.push(Token::PlusMinus, 2),
            b'+' => self.push(Token::Plus, 1),
            b'-' => self.push(Token::Minus, 1),
            b'*' if next == Some(b'*') => self.push(Token::Caret, 2),
            b'*' => self.push(Token::Times, 1),
            b'/' => self.push(Token::Over, 1),
            b'^' => self.push(Token::Caret, 1),
            b'_' => self.push(Token::Underscore, 1),
            b'!' if next == Some(b'=') => self.push(Token::Relation(Relation::NotEqual), 2),
            b'!' => self.push(Token::Bang, 1),
            b'%' => self.push(Token::Percent, 1),
            b'\'' => self.push(Token::Prime, 1),
            b',' => self.push(Token::Comma, 1),
            b';' => self.push(Token::Semicolon, 1),
            b':' => self.push(Token::Colon, 1),
            b'&' => self.push(Token::Ampersand, 1),
            b'<' if next == Some(b'=') => self.push(Token::Relation(Relation::LessOrEqual), 2),
            b'<' => self.push(Token::Relation(Relation::Less), 1),
            b'>' if next == Some(b'=') => self.push(Token::Relation(Relation::GreaterOrEqual), 2),
            b'>' => self.push(Token::Relation(Relation::Greater), 1),
            b'=' if next == Some(b'=') => self.push(Token::Relation(Relation::Equal), 2),
            b'=' => self.push(Token::Relation(Relation::Equal), 1),
            _ if byte >= 0x80 => return self.unicode(),
            _ => return None,
        }
        Some(())
    }

    fn unicode(&mut self) -> Option<()> {
        let c = self.rest().chars().next()?;
        let length = c.len_utf8();
        let token = match c {
            '−' | '–' | '—' => Token::Minus,
            '×' | '·' | '⋅' | '∗' => Token::Times,
            '÷' => Token::Over,
            '±' => Token::PlusMinus,
            '≤' | '⩽' => Token::Relation(Relation::LessOrEqual),
            '≥' | '⩾' => Token::Relation(Relation::GreaterOrEqual),
            '≠' => Token::Relation(Relation::NotEqual),
            '≈' => Token::Relation(Relation::Approximately),
            '∈' => Token::Relation(Relation::In),
            '∪' => Token::Cup,
            '∩' => Token::Cap,
            '°' => Token::Degree,
            '∞' => Token::Constant(Constant::Infinity),
            'π' => Token::Constant(Constant::Pi),
            '√' => Token::Sqrt,
            '²' | '³' => {
                let power = if c == '²' { "2" } else { "3" };
                self.tokens.push(Token::Caret);
                Token::Number(Literal { digits: power.into(), decimals: 0 })
            }
            '½' | '¼' | '¾' => {
                let (above, below) = match c {
                    '½' => ("1", "2"),
                    '¼' => ("1", "4"),
                    _ => ("3", "4"),
                };
                for token in [Token::Frac, whole(above), whole(below)] {
                    self.tokens.push(token);
                }
                self.at += length;
                return Some(());
            }
            '€' | '£' | '¥' | '₹' | '\u{a0}' | '\u{200b}' | '\u{202f}' | '\u{2009}' => {
                self.at += length;
                return Some(());
            }
            c if c.is_alphabetic() => Token::Symbol(c.to_string()),
            _ => return None,
        };
        self.push(token, length);
        Some(())
    }

    fn digits_from(&self, from: usize) -> usize {
        self.bytes[from..].iter().take_while(|b| b.is_ascii_digit()).count()
    }

    fn number(&mut self) -> Option<()> {
        let count = self.digits_from(self.at);
        let mut digits = self.text[self.at..self.at + count].to_owned();
        let mut at = self.at + count;
        let mut decimals = 0;
        if (1..=3).contains(&count) {
            let mut group_at = at;
            while let Some(end) = self.group(group_at) {
                digits.push_str(&self.text[end - 3..end]);
                group_at = end;
            }
            let broken = self.bytes.get(group_at) == Some(&b',')
                && self.bytes.get(at) == Some(&b',')
                && self.bytes.get(group_at + 1).is_some_and(u8::is_ascii_digit);
            if broken || digits.len() > count && digits.starts_with('0') {
                digits.truncate(count);
            } else {
                at = group_at;
            }
        }
        let point = match &self.text[at..] {
            rest if rest.starts_with('.') => 1,
            rest if rest.starts_with("{,}") => 3,
            _ => 0,
        };
        if point > 0 && self.bytes.get(at + point).is_some_and(u8::is_ascii_digit) {
            let count = self.digits_from(at + point);
            digits.push_str(&self.text[at + point..at + point + count]);
            decimals = i32::try_from(count).ok()?;
            at += point + count;
        }
        if digits.len() > MAX_DIGITS {
            return None;
        }
        if let Some((exponent, end)) = self.exponent(at) {
            decimals -= exponent;
            at = end;
        }
        self.at = at;
        if let Some((period, length)) = self.period(point == 1, decimals) {
            let skipped = usize::from(decimals == 0);
            self.tokens.push(Token::Periodic(Literal { digits, decimals }, period));
            self.at += length + skipped;
            return Some(());
        }
        self.tokens.push(Token::Number(Literal { digits, decimals }));
        Some(())
    }

    /// The end of three digits of one group of thousands after a separator at `at`.
    fn group(&self, at: usize) -> Option<usize> {
        let rest = &self.text[at..];
        let mut end = at;
        if let Some(after) = rest.strip_prefix(',') {
            end += 1;
            if let Some(after) = after.strip_prefix("\\!") {
                end += 2 + (after.len() - after.trim_start_matches(' ').len());
            } else if self.nesting > 0 {
                return None;
            }
        } else if let Some(separator) = ["\\,", "\\!", "\\ ", "\\;", " ", "~", "\u{202f}", "\u{a0}", "\u{2009}"]
            .into_iter()
            .find(|s| rest.starts_with(s))
        {
            end += separator.len();
        } else {
            // `{,}`, also with spaces.
            let inside = rest.trim_start_matches(' ').strip_prefix('{')?.trim_start().strip_prefix(',')?;
            let after = inside.trim_start().strip_prefix('}')?;
            end += rest.len() - after.len();
        }
        (self.digits_from(end) == 3).then_some(end + 3)
    }

    /// `e-5`: the exponent and its end.
    fn exponent(&self, at: usize) -> Option<(i32, usize)> {
        let rest = self.text[at..].strip_prefix(['e', 'E'])?;
        let sign = usize::from(rest.starts_with(['+', '-']));
        let count = self.digits_from(at + 1 + sign);
        let end = at + 1 + sign + count;
        let letter_follows = self.bytes.get(end).is_some_and(u8::is_ascii_alphabetic);
        if count == 0 || count > 3 || letter_follows {
            return None;
        }
        Some((self.text[at + 1..end].parse().ok()?, end))
    }

    /// The digits in `\overline{..}` after a point, and how long that was.
    fn period(&self, has_point: bool, decimals: i32) -> Option<(String, usize)> {
        let rest = if has_point && decimals > 0 { self.rest() } else { self.rest().strip_prefix('.')? };
        let inside = rest.strip_prefix("\\overline{").or_else(|| rest.strip_prefix("\\bar{"))?;
        let count = inside.bytes().take_while(u8::is_ascii_digit).count();
        let good = (1..=15).contains(&count) && inside[count..].starts_with('}') && (0..=15).contains(&decimals);
        good.then(|| (inside[..count].to_owned(), rest.len() - inside.len() + count + 1))
    }

    fn letters(&mut self) -> Option<()> {
        let count = self.rest().bytes().take_while(u8::is_ascii_alphabetic).count();
        let word = &self.rest()[..count];
        let after_number =
            matches!(self.tokens.last(), Some(Token::Number(_) | Token::Close | Token::BraceClose | Token::Percent));
        if let Some(token) = known_word(word) {
            self.push(token, count);
            return Some(());
        }
        if is_percent(word) {
            self.push(Token::Percent, count);
            return Some(());
        }
        if count >= 2 && after_number && unit(word).is_some() {
            self.push(Token::Text(word.into()), count);
            return Some(());
        }
        for (prefix, token) in [("or", Token::Or), ("and", Token::And)] {
            if after_number && word.starts_with(prefix) {
                self.push(token, prefix.len());
                return Some(());
            }
        }
        // A word of prose is one name; a run of letters in a formula is a product.
        for letter in word.chars() {
            self.tokens.push(match letter {
                'e' => Token::Constant(Constant::E),
                'i' => Token::Constant(Constant::I),
                letter => Token::Symbol(letter.into()),
            });
        }
        self.at += count;
        Some(())
    }

    fn command(&mut self) -> Option<()> {
        let rest = &self.rest()[1..];
        let count = rest.bytes().take_while(u8::is_ascii_alphabetic).count();
        if count == 0 {
            let c = rest.chars().next()?;
            let length = 1 + c.len_utf8();
            match c {
                '{' => self.push(Token::SetOpen, length),
                '}' => self.push(Token::SetClose, length),
                '%' => self.push(Token::Percent, length),
                '|' => self.push(Token::Bar, length),
                '\\' => self.push(Token::Row, length),
                '$' | '!' | ',' | ';' | ':' | ' ' | '\n' | '(' | ')' | '[' | ']' | '>' => self.at += length,
                _ => return None,
            }
            return Some(());
        }
        let word = &rest[..count];
        let length = 1 + count;
        match word {
            "text" | "textbf" | "textit" | "textrm" | "mbox" | "mathrm" | "operatorname" | "hbox" | "texttt" | "rm" => {
                return self.words(length);
            }
            "begin" | "end" => {
                let name = rest[count..].trim_start().strip_prefix('{')?;
                let close = name.find('}').filter(|&at| at < 24)?;
                let skipped = rest.len() - count - name.len();
                let environment = name[..close].to_owned();
                self.at += length + skipped + close + 1;
                if word == "begin" && matches!(environment.as_str(), "array" | "tabular") {
                    let columns = self.rest().trim_start();
                    if let Some(columns) = columns.strip_prefix('{') {
                        let close = columns.find('}')?;
                        self.at = self.text.len() - columns.len() + close + 1;
                    }
                }
                self.tokens.push(if word == "begin" { Token::Begin(environment) } else { Token::End(environment) });
                return Some(());
            }
            _ => {}
        }
        if let Some(token) = command(word) {
            self.push(token, length);
            return Some(());
        }
        if is_layout(word) {
            self.at += length;
            return Some(());
        }
        if let Some(after) = word.strip_prefix("qquad").or_else(|| word.strip_prefix("quad")) {
            self.at += length - after.len();
            return Some(());
        }
        let token = match known_word(word) {
            Some(token) => token,
            None => Token::Symbol(format!("\\{}", word.strip_prefix("var").unwrap_or(word))),
        };
        self.push(token, length);
        Some(())
    }

    /// `\text{..}`: a percentage, a separator, or words.
    fn words(&mut self, length: usize) -> Option<()> {
        let inside = self.rest()[length..].trim_start();
        let start = self.text.len() - inside.len();
        let Some(inside) = inside.strip_prefix('{') else {
            self.at = start;
            return Some(());
        };
        let end = closing(inside)?;
        let words = inside[..end].trim();
        self.at = start + 1 + end + 1;
        let token = match words {
            "" => return Some(()),
            "and" | "," | "And" => Token::And,
            "or" | "Or" => Token::Or,
            word if is_percent(word) => Token::Percent,
            word => known_word(word).unwrap_or_else(|| Token::Text(word.into())),
        };
        self.tokens.push(token);
        Some(())
    }
}

/// Where the brace that is open at the start of `text` closes.
pub fn closing(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'{' => depth += 1,
            b'}' if depth == 0 => return Some(at),
            b'}' => depth -= 1,
            _ => {}
        }
    }
    None
}

fn whole(digits: &str) -> Token {
    Token::Number(Literal { digits: digits.into(), decimals: 0 })
}

fn is_layout(word: &str) -> bool {
    matches!(
        word,
        "left"
            | "right"
            | "big"
            | "Big"
            | "bigg"
            | "Bigg"
            | "bigl"
            | "bigr"
            | "Bigl"
            | "Bigr"
            | "biggl"
            | "biggr"
            | "displaystyle"
            | "textstyle"
            | "limits"
            | "bf"
            | "it"
            | "mathbf"
            | "mathit"
            | "boldsymbol"
            | "bm"
            | "vec"
            | "boxed"
            | "fbox"
            | "hfill"
            | "nonumber"
            | "phantom"
            | "pounds"
            | "euro"
            | "mathbb"
            | "mathcal"
            | "hline"
            | "middle"
            | "textdollar"
            | "mathsf"
            | "cal"
            | "large"
            | "Large"
    )
}

/// Words that mean the same with and without a backslash.
fn known_word(word: &str) -> Option<Token> {
    use Function::*;
    Some(match word {
        "sin" => Token::Function(Sin),
        "cos" => Token::Function(Cos),
        "tan" | "tg" => Token::Function(Tan),
        "cot" | "ctg" => Token::Function(Cot),
        "sec" => Token::Function(Sec),
        "csc" => Token::Function(Csc),
        "arcsin" | "asin" => Token::Function(Arcsin),
        "arccos" | "acos" => Token::Function(Arccos),
        "arctan" | "atan" | "arctg" => Token::Function(Arctan),
        "sinh" => Token::Function(Sinh),
        "cosh" => Token::Function(Cosh),
        "tanh" => Token::Function(Tanh),
        "ln" => Token::Function(Ln),
        "log" | "lg" => Token::LogBase,
        "exp" => Token::Function(Exp),
        "abs" => Token::Function(Abs),
        "floor" => Token::Function(Floor),
        "ceil" => Token::Function(Ceiling),
        "sqrt" => Token::Sqrt,
        "frac" => Token::Frac,
        "pi" => Token::Constant(Constant::Pi),
        "infty" | "infinity" | "inf" | "oo" => Token::Constant(Constant::Infinity),
        "and" => Token::And,
        "or" => Token::Or,
        _ => return None,
    })
}

fn command(word: &str) -> Option<Token> {
    Some(match word {
        "dfrac" | "tfrac" | "cfrac" => Token::Frac,
        "binom" | "dbinom" | "tbinom" => Token::Binom,
        "cdot" | "times" | "ast" => Token::Times,
        "div" => Token::Over,
        "pm" => Token::PlusMinus,
        "mp" => Token::MinusPlus,
        "le" | "leq" | "leqslant" => Token::Relation(Relation::LessOrEqual),
        "ge" | "geq" | "geqslant" => Token::Relation(Relation::GreaterOrEqual),
        "lt" => Token::Relation(Relation::Less),
        "gt" => Token::Relation(Relation::Greater),
        "ne" | "neq" => Token::Relation(Relation::NotEqual),
        "approx" | "simeq" | "thickapprox" => Token::Relation(Relation::Approximately),
        "in" => Token::Relation(Relation::In),
        "cup" | "bigcup" => Token::Cup,
        "cap" | "bigcap" => Token::Cap,
        "setminus" | "backslash" => Token::Without,
        "circ" | "degree" => Token::Degree,
        "prime" => Token::Prime,
        "lbrace" => Token::SetOpen,
        "rbrace" => Token::SetClose,
        "langle" | "lparen" => Token::Open,
        "rangle" | "rparen" => Token::Close,
        "lbrack" => Token::SquareOpen,
        "rbrack" => Token::SquareClose,
        "lfloor" => Token::FloorOpen,
        "rfloor" => Token::FloorClose,
        "lceil" => Token::CeilingOpen,
        "rceil" => Token::CeilingClose,
        "vert" | "lvert" | "rvert" | "mid" => Token::Bar,
        "colon" => Token::Colon,
        "wedge" | "land" => Token::And,
        "vee" | "lor" => Token::Or,
        "overline" | "bar" | "overrightarrow" | "hat" | "widehat" | "tilde" | "underline" => Token::Accent(word.into()),
        "emptyset" | "varnothing" => Token::Symbol("\\emptyset".into()),
        _ => return None,
    })
}
