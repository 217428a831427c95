//! Tokens as an expression: recursive descent, at most [`MAX_DEPTH`] deep, a bounded number of steps a token.

use super::{
    expression::{Edge, Expression, Function, Literal, Relation, Upper},
    lex::{Token, lex},
    units::unit,
};

const MAX_DEPTH: usize = 48;
/// Marks, quotients and units on top of each other.
const MAX_MARKS: usize = 100;

/// The expression that the whole text is; `None` where it is none.
pub fn parse(text: &str) -> Option<Expression> {
    let mut parser = Parser { tokens: lex(text)?, at: 0, depth: 0, bars: 0, marks: 0 };
    while matches!(parser.tokens.last(), Some(Token::Comma | Token::Semicolon | Token::Bang | Token::Colon)) {
        if parser.tokens.last() == Some(&Token::Bang) && parser.tokens.len() > 1 {
            break;
        }
        parser.tokens.pop();
    }
    let expression = parser.list()?;
    (parser.at == parser.tokens.len()).then_some(expression)
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
    depth: usize,
    /// Absolute values that are open: a bar closes the innermost.
    bars: usize,
    marks: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Separator {
    Comma,
    Or,
    Semicolon,
}

fn boxed(x: Expression) -> Box<Expression> {
    Box::new(x)
}

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn take(&mut self, token: &Token) -> bool {
        let is = self.peek() == Some(token);
        self.at += usize::from(is);
        is
    }

    fn expect(&mut self, token: &Token) -> Option<()> {
        self.take(token).then_some(())
    }

    /// One level deeper, or `None` where that is too deep.
    fn deeper<T>(&mut self, inside: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        if self.depth >= MAX_DEPTH {
            return None;
        }
        self.depth += 1;
        let result = inside(self);
        self.depth -= 1;
        result
    }

    fn mark(&mut self) -> Option<()> {
        self.marks += 1;
        (self.marks <= MAX_MARKS).then_some(())
    }

    fn separator(&mut self) -> Option<Separator> {
        let mut found = None;
        loop {
            let next = match self.peek() {
                Some(Token::Comma) => Separator::Comma,
                // "1, 2, and 3"; "a and b" is a list as well.
                Some(Token::And) => Separator::Comma,
                Some(Token::Or) => Separator::Or,
                Some(Token::Semicolon) => Separator::Semicolon,
                _ => return found,
            };
            found = found.max(Some(next));
            self.at += 1;
        }
    }

    /// Items between separators. Where two kinds of them mix, the inner ones make groups: `p=5,q=2;p=7,q=2`.
    fn list(&mut self) -> Option<Expression> {
        self.deeper(Self::items_of_a_list)
    }

    fn items_of_a_list(&mut self) -> Option<Expression> {
        let mut items = vec![self.chain()?];
        let mut separators = Vec::new();
        while let Some(separator) = self.separator() {
            if matches!(
                self.peek(),
                None | Some(Token::BraceClose | Token::Close | Token::SquareClose | Token::SetClose | Token::End(_))
            ) {
                break;
            }
            separators.push(separator);
            items.push(self.chain()?);
        }
        if items.len() == 1 {
            return items.pop();
        }
        let outer = separators.iter().max().copied()?;
        if separators.iter().all(|&s| s == outer) {
            return Some(Expression::List(items));
        }
        let mut groups: Vec<Vec<Expression>> = vec![Vec::new()];
        for (index, item) in items.into_iter().enumerate() {
            if index > 0 && separators[index - 1] == outer {
                groups.push(Vec::new());
            }
            groups.last_mut()?.push(item);
        }
        let size = groups[0].len();
        if groups.iter().any(|group| group.len() != size) {
            return Some(Expression::List(groups.into_iter().flatten().collect()));
        }
        Some(Expression::List(groups.into_iter().map(Expression::List).collect()))
    }

    fn chain(&mut self) -> Option<Expression> {
        let mut relations = Vec::new();
        // "≈ 3.14": a relation to nothing.
        while matches!(self.peek(), Some(Token::Relation(Relation::Equal | Relation::Approximately))) {
            self.at += 1;
        }
        let mut terms = vec![self.union()?];
        while let Some(Token::Relation(relation)) = self.peek() {
            let relation = *relation;
            self.at += 1;
            relations.push(relation);
            terms.push(self.union()?);
        }
        if relations.is_empty() { terms.pop() } else { Some(Expression::Chain(terms, relations)) }
    }

    fn union(&mut self) -> Option<Expression> {
        let first = self.ratio()?;
        match self.peek() {
            Some(Token::Cup) => {
                let mut parts = vec![first];
                while self.take(&Token::Cup) {
                    parts.push(self.ratio()?);
                }
                Some(Expression::Union(parts))
            }
            Some(operator @ (Token::Cap | Token::Without)) => {
                let name = if *operator == Token::Cap { "cap" } else { "without" };
                self.at += 1;
                let second = self.ratio()?;
                Some(Expression::Other(name.into(), vec![first, second]))
            }
            _ => Some(first),
        }
    }

    fn ratio(&mut self) -> Option<Expression> {
        let mut terms = vec![self.sum()?];
        while self.take(&Token::Colon) {
            terms.push(self.sum()?);
        }
        if terms.len() == 1 { terms.pop() } else { Some(Expression::Ratio(terms)) }
    }

    fn sum(&mut self) -> Option<Expression> {
        self.deeper(|parser| {
            let first = match parser.peek() {
                Some(Token::PlusMinus | Token::MinusPlus) => Expression::integer(0),
                _ => parser.term()?,
            };
            let mut terms = vec![first];
            while let Some(sign @ (Token::Plus | Token::Minus | Token::PlusMinus | Token::MinusPlus)) = parser.peek() {
                let sign = sign.clone();
                parser.at += 1;
                let term = parser.term()?;
                match sign {
                    Token::Plus => terms.push(term),
                    Token::Minus => terms.push(term.negative()),
                    _ => {
                        parser.mark()?;
                        let upper = if sign == Token::PlusMinus { Upper::Plus } else { Upper::Minus };
                        let before = if terms.len() == 1 { terms.pop()? } else { Expression::Sum(terms) };
                        terms = vec![Expression::PlusMinus(boxed(before), upper, boxed(term))];
                    }
                }
            }
            if terms.len() == 1 { terms.pop() } else { Some(Expression::Sum(terms)) }
        })
    }

    fn term(&mut self) -> Option<Expression> {
        let mut negative = false;
        while let Some(Token::Plus | Token::Minus) = self.peek() {
            negative ^= self.peek() == Some(&Token::Minus);
            self.at += 1;
        }
        let mut product = self.power()?;
        loop {
            if self.take(&Token::Times) {
                let factor = self.signed_power()?;
                product = times(product, factor);
            } else if self.take(&Token::Over) {
                self.mark()?;
                let below = self.signed_power()?;
                product = Expression::Quotient(boxed(product), boxed(below));
            } else if matches!(self.peek(), Some(Token::Text(_))) {
                self.mark()?;
                product = self.unit_of(product)?;
            } else if matches!(self.peek(), Some(Token::Number(_))) {
                // `2 1/2`, and nothing else, stands beside a number.
                self.mark()?;
                product = self.mixed(product)?;
            } else if self.starts_a_factor() {
                let mixed = is_whole(&product) && self.peek() == Some(&Token::Frac);
                let factor = self.power()?;
                product = match factor {
                    Expression::Quotient(a, b) if mixed && is_whole(&a) && is_whole(&b) => {
                        Expression::Sum(vec![product, Expression::Quotient(a, b)])
                    }
                    factor => times(product, factor),
                };
            } else {
                break;
            }
        }
        Some(if negative { product.negative() } else { product })
    }

    fn mixed(&mut self, product: Expression) -> Option<Expression> {
        let above = self.whole()?;
        self.expect(&Token::Over)?;
        let below = self.whole()?;
        let fraction = Expression::Quotient(boxed(above), boxed(below));
        is_whole(&product).then(|| Expression::Sum(vec![product, fraction]))
    }

    fn whole(&mut self) -> Option<Expression> {
        match self.peek() {
            Some(Token::Number(number)) if number.decimals == 0 => {
                let number = Expression::Literal(number.clone());
                self.at += 1;
                Some(number)
            }
            _ => None,
        }
    }

    fn signed_power(&mut self) -> Option<Expression> {
        match self.peek() {
            Some(Token::Minus) => {
                self.at += 1;
                self.deeper(|parser| Some(parser.signed_power()?.negative()))
            }
            Some(Token::Plus) => {
                self.at += 1;
                self.power()
            }
            _ => self.power(),
        }
    }

    /// The words behind a value: a unit, also squared, or a name for what was counted.
    fn unit_of(&mut self, value: Expression) -> Option<Expression> {
        let mut words = String::new();
        while let Some(token) = self.peek() {
            match token {
                Token::Text(text) => {
                    let text = unit(text).unwrap_or(text);
                    words.push_str(text);
                }
                Token::Over if matches!(self.tokens.get(self.at + 1), Some(Token::Text(_))) => words.push('/'),
                Token::Caret => {
                    self.at += 1;
                    let exponent = self.argument()?;
                    words.push_str(&super::normalise::print(&exponent));
                    continue;
                }
                _ => break,
            }
            self.at += 1;
        }
        Some(Expression::Unit(boxed(value), words))
    }

    fn starts_a_factor(&self) -> bool {
        match self.peek() {
            Some(Token::Bar) => self.bars == 0,
            Some(
                Token::Symbol(_)
                | Token::Constant(_)
                | Token::Function(_)
                | Token::Frac
                | Token::Sqrt
                | Token::Binom
                | Token::LogBase
                | Token::Accent(_)
                | Token::BraceOpen
                | Token::Open
                | Token::FloorOpen
                | Token::CeilingOpen
                | Token::Begin(_)
                | Token::SquareOpen
                | Token::Periodic(..),
            ) => true,
            _ => false,
        }
    }

    /// A primary with its subscripts, exponents and marks.
    fn power(&mut self) -> Option<Expression> {
        let base = self.primary()?;
        self.marks(base)
    }

    fn marks(&mut self, mut base: Expression) -> Option<Expression> {
        loop {
            if matches!(
                self.peek(),
                Some(Token::Bang | Token::Percent | Token::Degree | Token::Prime | Token::Underscore | Token::Caret)
            ) {
                self.mark()?;
            }
            match self.peek() {
                Some(Token::Bang) => {
                    self.at += 1;
                    base = Expression::Apply(Function::Factorial, boxed(base));
                }
                Some(Token::Percent) => {
                    self.at += 1;
                    base = Expression::Percent(boxed(base));
                }
                Some(Token::Degree) => {
                    self.at += 1;
                    base = Expression::Degrees(boxed(base));
                }
                Some(Token::Prime) => {
                    self.at += 1;
                    base = match base {
                        Expression::Symbol(name) => Expression::Symbol(format!("{name}'")),
                        _ => return None,
                    };
                }
                Some(Token::Underscore) => {
                    self.at += 1;
                    let below = super::normalise::print(&self.argument()?);
                    base = match base {
                        Expression::Symbol(name) => Expression::Symbol(format!("{name}_{below}")),
                        Expression::Constant(_) => {
                            Expression::Symbol(format!("{}_{below}", super::normalise::print(&base)))
                        }
                        Expression::Literal(number) if number.decimals == 0 => match below.as_str() {
                            "10" => Expression::Literal(number),
                            _ => Expression::Based(number.digits.trim_start_matches('0').to_owned(), below),
                        },
                        other => Expression::Other("sub".into(), vec![other, Expression::Symbol(below)]),
                    };
                }
                Some(Token::Caret) => {
                    self.at += 1;
                    if self.take(&Token::Degree) {
                        base = Expression::Degrees(boxed(base));
                        continue;
                    }
                    if self.peek() == Some(&Token::BraceOpen)
                        && self.tokens.get(self.at + 1) == Some(&Token::Degree)
                        && self.tokens.get(self.at + 2) == Some(&Token::BraceClose)
                    {
                        self.at += 3;
                        base = Expression::Degrees(boxed(base));
                        continue;
                    }
                    let exponent = self.argument()?;
                    base = Expression::Power(boxed(base), boxed(exponent));
                }
                _ => return Some(base),
            }
        }
    }

    /// What an exponent, a subscript or a root holds: a group, or one signed primary.
    fn argument(&mut self) -> Option<Expression> {
        self.deeper(|parser| {
            if parser.take(&Token::Minus) {
                return Some(parser.argument()?.negative());
            }
            parser.take(&Token::Plus);
            parser.primary()
        })
    }

    /// What `\frac` and `\sqrt` hold: a group, or one digit of a number.
    fn short_argument(&mut self) -> Option<Expression> {
        if let Some(Token::Number(number)) = self.tokens.get_mut(self.at)
            && number.decimals == 0
            && number.digits.len() > 1
        {
            let digit = number.digits.remove(0);
            return Some(Expression::Literal(Literal { digits: digit.into(), decimals: 0 }));
        }
        self.argument()
    }

    fn primary(&mut self) -> Option<Expression> {
        self.deeper(Self::primary_here)
    }

    fn primary_here(&mut self) -> Option<Expression> {
        let token = self.peek()?.clone();
        self.at += 1;
        match token {
            Token::Number(number) => Some(Expression::Literal(number)),
            Token::Periodic(number, period) => periodic(number, &period),
            Token::Symbol(name) => Some(Expression::Symbol(name)),
            Token::Constant(constant) => Some(Expression::Constant(constant)),
            Token::Text(text) => Some(Expression::Text(text)),
            Token::Frac => {
                let above = self.short_argument()?;
                let below = self.short_argument()?;
                Some(Expression::Quotient(boxed(above), boxed(below)))
            }
            Token::Binom => {
                let n = self.short_argument()?;
                let k = self.short_argument()?;
                Some(Expression::Binomial(boxed(n), boxed(k)))
            }
            Token::Sqrt => {
                let index = if self.take(&Token::SquareOpen) {
                    let index = self.sum()?;
                    self.expect(&Token::SquareClose)?;
                    index
                } else {
                    Expression::integer(2)
                };
                let is_tex = self.peek() == Some(&Token::BraceOpen);
                let of = if is_tex || !matches!(self.peek(), Some(Token::Number(_))) {
                    self.argument()?
                } else {
                    self.primary()?
                };
                Some(Expression::Root(boxed(index), boxed(of)))
            }
            Token::LogBase => {
                let base = if self.take(&Token::Underscore) { Some(self.short_argument()?) } else { None };
                let exponent = if self.take(&Token::Caret) { Some(self.argument()?) } else { None };
                let of = self.operand()?;
                let value = match base {
                    Some(base) => Expression::Logarithm(boxed(base), boxed(of)),
                    None => Expression::Apply(Function::Log, boxed(of)),
                };
                Some(match exponent {
                    Some(exponent) => Expression::Power(boxed(value), boxed(exponent)),
                    None => value,
                })
            }
            Token::Function(function) => {
                let exponent = if self.take(&Token::Caret) { Some(self.argument()?) } else { None };
                let value = Expression::Apply(function, boxed(self.operand()?));
                Some(match exponent {
                    Some(exponent) => Expression::Power(boxed(value), boxed(exponent)),
                    None => value,
                })
            }
            Token::Accent(name) => {
                let of = self.argument()?;
                Some(Expression::Other(name, vec![of]))
            }
            Token::BraceOpen => {
                let inside = self.in_fresh_bars(Self::list)?;
                self.expect(&Token::BraceClose)?;
                Some(inside)
            }
            Token::Open => self.bracket(Edge::Open),
            Token::SquareOpen => self.bracket(Edge::Closed),
            // The French open interval, `]0, 1[`.
            Token::SquareClose => {
                let inside = self.in_fresh_bars(Self::list)?;
                let right = if self.take(&Token::SquareOpen) {
                    Edge::Open
                } else {
                    self.expect(&Token::SquareClose).map(|()| Edge::Closed)?
                };
                match inside {
                    Expression::List(items) if items.len() == 2 => Some(Expression::Bracket(Edge::Open, items, right)),
                    _ => None,
                }
            }
            Token::SetOpen => {
                if self.take(&Token::SetClose) {
                    return Some(Expression::Set(Vec::new()));
                }
                let inside = self.in_fresh_bars(Self::list)?;
                self.expect(&Token::SetClose)?;
                Some(Expression::Set(match inside {
                    Expression::List(items) => items,
                    item => vec![item],
                }))
            }
            Token::FloorOpen => {
                let inside = self.in_fresh_bars(Self::sum)?;
                self.expect(&Token::FloorClose)?;
                Some(Expression::Apply(Function::Floor, boxed(inside)))
            }
            Token::CeilingOpen => {
                let inside = self.in_fresh_bars(Self::sum)?;
                self.expect(&Token::CeilingClose)?;
                Some(Expression::Apply(Function::Ceiling, boxed(inside)))
            }
            Token::Bar => {
                self.bars += 1;
                let inside = self.sum();
                self.bars -= 1;
                let inside = inside?;
                self.expect(&Token::Bar)?;
                Some(match inside {
                    Expression::Matrix(rows) => Expression::Determinant(rows),
                    inside => Expression::Apply(Function::Abs, boxed(inside)),
                })
            }
            Token::Begin(name) => self.environment(&name),
            _ => None,
        }
    }

    fn in_fresh_bars<T>(&mut self, inside: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        let bars = std::mem::take(&mut self.bars);
        let result = inside(self);
        self.bars = bars;
        result
    }

    fn bracket(&mut self, left: Edge) -> Option<Expression> {
        let inside = self.in_fresh_bars(Self::list)?;
        let right = match self.peek() {
            Some(Token::Close) => Edge::Open,
            Some(Token::SquareClose) => Edge::Closed,
            // `[0, 1[`
            Some(Token::SquareOpen) if left == Edge::Closed => Edge::Open,
            _ => return None,
        };
        self.at += 1;
        match inside {
            Expression::List(items) => Some(Expression::Bracket(left, items, right)),
            // Brackets around one thing only group.
            item if left == right => Some(item),
            _ => None,
        }
    }

    /// What a function without brackets is of: `\sin 2x`, up to the next sign or function.
    fn operand(&mut self) -> Option<Expression> {
        if matches!(self.peek(), Some(Token::Open | Token::BraceOpen | Token::Bar | Token::SquareOpen)) {
            let inside = self.primary()?;
            return match self.peek() {
                Some(Token::Degree) => self.marks(inside),
                _ => Some(inside),
            };
        }
        let mut product = self.signed_power()?;
        while matches!(
            self.peek(),
            Some(Token::Symbol(_) | Token::Constant(_) | Token::Frac | Token::Sqrt | Token::Periodic(..))
        ) {
            let factor = self.power()?;
            product = times(product, factor);
        }
        Some(product)
    }

    fn environment(&mut self, name: &str) -> Option<Expression> {
        let is_matrix = name.trim_end_matches('*').ends_with("matrix") || matches!(name, "array" | "cases" | "aligned");
        if !is_matrix {
            return None;
        }
        let mut rows: Vec<Vec<Expression>> = vec![Vec::new()];
        loop {
            match self.peek()? {
                Token::End(_) => {
                    self.at += 1;
                    break;
                }
                Token::Row => {
                    self.at += 1;
                    rows.push(Vec::new());
                }
                Token::Ampersand => self.at += 1,
                _ => {
                    let entry = self.in_fresh_bars(Self::chain)?;
                    rows.last_mut()?.push(entry);
                    // A comma after an equation of a system.
                    self.separator();
                }
            }
        }
        rows.retain(|row| !row.is_empty());
        match name {
            "vmatrix" => Some(Expression::Determinant(rows)),
            "cases" | "aligned" => Some(Expression::List(rows.into_iter().flatten().collect())),
            _ => Some(Expression::Matrix(rows)),
        }
    }
}

fn times(a: Expression, b: Expression) -> Expression {
    match a {
        Expression::Product(mut factors) => {
            factors.push(b);
            Expression::Product(factors)
        }
        a => Expression::Product(vec![a, b]),
    }
}

fn is_whole(x: &Expression) -> bool {
    matches!(x, Expression::Literal(number) if number.decimals == 0)
}

/// `0.1\overline{6}` is `(16 - 1) / 90`.
fn periodic(number: Literal, period: &str) -> Option<Expression> {
    let before: u128 = number.digits.parse().ok()?;
    let scale = 10_u128.checked_pow(u32::try_from(period.len()).ok()?)?;
    let after = before.checked_mul(scale)?.checked_add(period.parse().ok()?)?;
    let below = (scale - 1).checked_mul(10_u128.checked_pow(number.decimals.unsigned_abs())?)?;
    let literal = |n: u128| Expression::Literal(Literal { digits: n.to_string(), decimals: 0 });
    Some(Expression::Quotient(boxed(literal(after - before)), boxed(literal(below))))
}
