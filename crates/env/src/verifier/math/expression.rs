//! What an answer says, as a tree.

/// A bracket of a pair: round is open, square is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edge {
    Open,
    Closed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    Equal,
    Approximately,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    In,
}

impl Relation {
    /// The relation with its sides exchanged.
    pub fn flipped(self) -> Relation {
        match self {
            Relation::Less => Relation::Greater,
            Relation::LessOrEqual => Relation::GreaterOrEqual,
            Relation::Greater => Relation::Less,
            Relation::GreaterOrEqual => Relation::LessOrEqual,
            same => same,
        }
    }

    pub fn is_order(self) -> bool {
        matches!(self, Relation::Less | Relation::LessOrEqual | Relation::Greater | Relation::GreaterOrEqual)
    }

    pub fn sign(self) -> &'static str {
        match self {
            Relation::Equal => "=",
            Relation::Approximately => "~",
            Relation::NotEqual => "!=",
            Relation::Less => "<",
            Relation::LessOrEqual => "<=",
            Relation::Greater => ">",
            Relation::GreaterOrEqual => ">=",
            Relation::In => "in",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Constant {
    Pi,
    E,
    I,
    Infinity,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Function {
    Sin,
    Cos,
    Tan,
    Cot,
    Sec,
    Csc,
    Arcsin,
    Arccos,
    Arctan,
    Sinh,
    Cosh,
    Tanh,
    Ln,
    /// To base 10, as school books write it.
    Log,
    Exp,
    Abs,
    Floor,
    Ceiling,
    Factorial,
}

/// `digits * 10^-decimals`, as it was written: how many decimals there are is part of what a number says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Literal {
    /// ASCII digits, at least one.
    pub digits: String,
    pub decimals: i32,
}

/// The upper sign of a plus-minus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Upper {
    Plus,
    Minus,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Expression {
    Literal(Literal),
    Symbol(String),
    Constant(Constant),
    Text(String),
    Sum(Vec<Expression>),
    Product(Vec<Expression>),
    Negative(Box<Expression>),
    Quotient(Box<Expression>, Box<Expression>),
    Power(Box<Expression>, Box<Expression>),
    /// The index, and what is under the root.
    Root(Box<Expression>, Box<Expression>),
    Logarithm(Box<Expression>, Box<Expression>),
    Apply(Function, Box<Expression>),
    Binomial(Box<Expression>, Box<Expression>),
    /// Digits in a base other than ten: `204_5`.
    Based(String, String),
    Percent(Box<Expression>),
    Degrees(Box<Expression>),
    Unit(Box<Expression>, String),
    /// The second with both signs, after the first; the sign is that of the upper reading.
    PlusMinus(Box<Expression>, Upper, Box<Expression>),
    /// Pairs are points or intervals: which, only their partner can tell.
    Bracket(Edge, Vec<Expression>, Edge),
    /// Items side by side, in no bracket.
    List(Vec<Expression>),
    Set(Vec<Expression>),
    Union(Vec<Expression>),
    Ratio(Vec<Expression>),
    Matrix(Vec<Vec<Expression>>),
    Determinant(Vec<Vec<Expression>>),
    /// One more term than relations.
    Chain(Vec<Expression>, Vec<Relation>),
    /// A name and its value.
    Assignment(Box<Expression>, Box<Expression>),
    /// An inequality in one name that was solved: the name, and where it lies.
    Solved(String, Box<Expression>),
    /// Anything else under a name: `\overline{AB}`, `A \setminus B`.
    Other(String, Vec<Expression>),
}

impl Expression {
    pub fn integer(value: u64) -> Expression {
        Expression::Literal(Literal { digits: value.to_string(), decimals: 0 })
    }

    pub fn negative(self) -> Expression {
        Expression::Negative(Box::new(self))
    }

    pub fn is_infinite(&self) -> bool {
        match self {
            Expression::Constant(Constant::Infinity) => true,
            Expression::Negative(x) => x.is_infinite(),
            _ => false,
        }
    }

    /// The parts, for walks over the whole tree.
    pub fn parts(&self) -> Vec<&Expression> {
        use Expression::*;
        match self {
            Literal(_) | Symbol(_) | Constant(_) | Text(_) | Based(..) => Vec::new(),
            Sum(xs)
            | Product(xs)
            | List(xs)
            | Set(xs)
            | Union(xs)
            | Ratio(xs)
            | Bracket(_, xs, _)
            | Chain(xs, _)
            | Other(_, xs) => xs.iter().collect(),
            Negative(x) | Apply(_, x) | Percent(x) | Degrees(x) | Unit(x, _) | Solved(_, x) => vec![x],
            Quotient(a, b)
            | Power(a, b)
            | Root(a, b)
            | Logarithm(a, b)
            | Binomial(a, b)
            | PlusMinus(a, _, b)
            | Assignment(a, b) => vec![a, b],
            Matrix(rows) | Determinant(rows) => rows.iter().flatten().collect(),
        }
    }

    pub fn any(&self, is: &dyn Fn(&Expression) -> bool) -> bool {
        is(self) || self.parts().into_iter().any(|part| part.any(is))
    }

    /// The names in it, each once.
    pub fn symbols<'a>(&'a self, into: &mut Vec<&'a str>) {
        if let Expression::Symbol(name) = self
            && !into.contains(&name.as_str())
        {
            into.push(name);
        }
        for part in self.parts() {
            part.symbols(into);
        }
    }
}
