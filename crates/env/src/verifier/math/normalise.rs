//! One form for what is written in several ways: names, chains of equations, inequalities, plus-minus; and its text.

use super::{
    expression::{Constant, Edge, Expression, Relation, Upper},
    rational::Rational,
};

/// Longer lists keep their nested parts as they are.
const MAX_ITEMS: usize = 200;

/// - `x = 5 + 6 = 11 \approx 11.0` is the assignment of the last exact side;
/// - `x \in S` is `S`, and a name or a ratio of names before `=` is the name of an answer;
/// - an inequality, linear in one name, says where the name lies;
/// - `a \pm b` are two numbers; a list of one is its item; inequalities side by side are a union.
pub fn normalise(expression: Expression) -> Expression {
    use Expression::*;
    match expression {
        List(items) => list(items),
        Set(items) => Set(items.into_iter().map(normalise).flat_map(spread).collect()),
        Bracket(left, items, right) => Bracket(left, items.into_iter().map(normalise).collect(), right),
        Union(items) => Union(items.into_iter().map(normalise).collect()),
        Matrix(rows) => Matrix(rows.into_iter().map(|row| row.into_iter().map(normalise).collect()).collect()),
        Chain(terms, relations) => chain(terms, relations),
        scalar => match has_plus_minus(&scalar) {
            true => {
                let both = [Upper::Plus, Upper::Minus].map(|upper| choose(&scalar, upper));
                List(both.into())
            }
            false => scalar,
        },
    }
}

fn list(items: Vec<Expression>) -> Expression {
    if items.len() > MAX_ITEMS {
        return Expression::List(items);
    }
    let mut items: Vec<Expression> = items.into_iter().map(inner).flat_map(spread).collect();
    if items.len() == 1
        && let Some(only) = items.pop()
    {
        return only;
    }
    let solved: Option<Vec<&str>> =
        items.iter().map(|x| if let Expression::Solved(name, _) = x { Some(name.as_str()) } else { None }).collect();
    if let Some(names) = solved
        && names.windows(2).all(|pair| pair[0] == pair[1])
        && let Some(name) = names.first().map(|name| (*name).to_owned())
    {
        let parts = items.into_iter().map(|x| if let Expression::Solved(_, at) = x { *at } else { x }).collect();
        return Expression::Solved(name, Box::new(Expression::Union(parts)));
    }
    Expression::List(items)
}

/// A list in a list is a point: `p=5,q=2; p=7,q=2`.
fn inner(item: Expression) -> Expression {
    match item {
        Expression::List(items) => {
            let values = items.into_iter().map(normalise).map(|x| match x {
                Expression::Assignment(_, value) => *value,
                x => x,
            });
            Expression::Bracket(Edge::Open, values.collect(), Edge::Open)
        }
        item => normalise(item),
    }
}

/// Two values of a plus-minus stand beside the other items.
fn spread(item: Expression) -> Vec<Expression> {
    match item {
        Expression::List(items) => items,
        Expression::Assignment(name, value) => match *value {
            Expression::List(items) => {
                items.into_iter().map(|x| Expression::Assignment(name.clone(), Box::new(x))).collect()
            }
            value => vec![Expression::Assignment(name, Box::new(value))],
        },
        item => vec![item],
    }
}

fn has_plus_minus(x: &Expression) -> bool {
    x.any(&|part| matches!(part, Expression::PlusMinus(..)))
}

/// The expression with all its upper or all its lower signs.
fn choose(x: &Expression, reading: Upper) -> Expression {
    use Expression::*;
    let go = |x: &Expression| Box::new(choose(x, reading));
    let all = |xs: &[Expression]| xs.iter().map(|x| choose(x, reading)).collect();
    match x {
        PlusMinus(a, upper, b) => {
            let second = if *upper == reading { *go(b) } else { go(b).negative() };
            match **a {
                Literal(ref zero) if zero.digits == "0" => second,
                _ => Sum(vec![*go(a), second]),
            }
        }
        Sum(xs) => Sum(all(xs)),
        Product(xs) => Product(all(xs)),
        Negative(x) => Negative(go(x)),
        Quotient(a, b) => Quotient(go(a), go(b)),
        Power(a, b) => Power(go(a), go(b)),
        Root(a, b) => Root(go(a), go(b)),
        Logarithm(a, b) => Logarithm(go(a), go(b)),
        Apply(f, x) => Apply(*f, go(x)),
        Unit(x, unit) => Unit(go(x), unit.clone()),
        Percent(x) => Percent(go(x)),
        Degrees(x) => Degrees(go(x)),
        other => other.clone(),
    }
}

fn chain(mut terms: Vec<Expression>, mut relations: Vec<Relation>) -> Expression {
    use Relation::*;
    // What follows "about" is a rounding of what stands before it.
    if let Some(about) = relations.iter().position(|&r| r == Approximately) {
        if about > 0 || !is_name(&terms[0]) {
            relations.truncate(about);
            terms.truncate(about + 1);
        } else {
            relations[0] = Equal;
        }
    }
    match relations.as_slice() {
        [] => return terms.pop().map_or_else(|| Expression::List(Vec::new()), normalise),
        [In] if is_name(&terms[0]) => return terms.pop().map_or_else(|| Expression::List(Vec::new()), normalise),
        [Equal, ..] if relations.iter().all(|&r| r == Equal) => {
            // The sides between are steps; where none has a name, all but the last are.
            let last = terms.pop();
            if terms.iter().chain(&last).all(nameless) {
                return last.map_or_else(|| Expression::List(Vec::new()), normalise);
            }
            let named = terms.iter().position(is_name).unwrap_or(0);
            terms.swap(0, named);
            terms.truncate(1);
            terms.extend(last);
            relations.truncate(1);
        }
        _ => {}
    }
    if let ([Equal], [left, right]) = (relations.as_slice(), terms.as_slice()) {
        let value = |x: &Expression| Box::new(normalise(x.clone()));
        if is_name(left) {
            return Expression::Assignment(Box::new(left.clone()), value(right));
        }
        if is_name(right) && left.parts().iter().all(|part| !part.any(&|x| matches!(x, Expression::Symbol(_)))) {
            return Expression::Assignment(Box::new(right.clone()), value(left));
        }
    }
    match (relations.as_slice(), terms.as_slice()) {
        ([relation], [left, right]) if relation.is_order() => {
            if let Some(solved) = solve(left, *relation, right) {
                return solved;
            }
        }
        ([first, second], [low, name @ Expression::Symbol(_), high]) if first.is_order() && second.is_order() => {
            if let (Some(Expression::Solved(of, a)), Some(Expression::Solved(_, b))) =
                (solve(low, *first, name), solve(name, *second, high))
                && let (Expression::Bracket(al, mut a, ar), Expression::Bracket(bl, mut b, br)) = (*a, *b)
                && a.len() == 2
                && b.len() == 2
            {
                // One of the two says from where, and the other up to where.
                let interval = match (a[1].is_infinite(), b[0].is_infinite()) {
                    (true, true) => Some((al, a.swap_remove(0), b.swap_remove(1), br)),
                    (false, false) => Some((bl, b.swap_remove(0), a.swap_remove(1), ar)),
                    _ => None,
                };
                if let Some((left, from, to, right)) = interval {
                    return Expression::Solved(of, Box::new(Expression::Bracket(left, vec![from, to], right)));
                }
            }
        }
        _ => {}
    }
    Expression::Chain(terms, relations)
}

fn nameless(x: &Expression) -> bool {
    !x.any(&|part| matches!(part, Expression::Symbol(_) | Expression::Text(_)))
}

/// Where the one name of `left relation right` lies, if it is linear in it with rational coefficients.
fn solve(left: &Expression, relation: Relation, right: &Expression) -> Option<Expression> {
    let infinity = || Expression::Constant(Constant::Infinity);
    let edge = |relation| match relation {
        Relation::Less | Relation::Greater => Edge::Open,
        _ => Edge::Closed,
    };
    let ray = |name: &str, relation: Relation, bound: Expression| {
        let interval = match relation {
            Relation::Less | Relation::LessOrEqual => {
                Expression::Bracket(Edge::Open, vec![infinity().negative(), bound], edge(relation))
            }
            _ => Expression::Bracket(edge(relation), vec![bound, infinity()], Edge::Open),
        };
        Some(Expression::Solved(name.to_owned(), Box::new(interval)))
    };
    match (left, right) {
        (Expression::Symbol(name), bound) if nameless(bound) => return ray(name, relation, bound.clone()),
        (bound, Expression::Symbol(name)) if nameless(bound) => return ray(name, relation.flipped(), bound.clone()),
        _ => {}
    }
    let mut names = Vec::new();
    left.symbols(&mut names);
    right.symbols(&mut names);
    let [name] = names.as_slice() else { return None };
    // (slope, offset) of left - right.
    let (left, right) = (linear(left)?, linear(right)?);
    let minus = Rational::new(-1, 1)?;
    let slope = left.0.plus(right.0.times(minus)?)?;
    let offset = left.1.plus(right.1.times(minus)?)?;
    let bound = offset.times(minus)?.times(slope.inverse()?)?;
    ray(name, if slope.numerator < 0 { relation.flipped() } else { relation }, number(bound))
}

/// Slope and offset in the only name.
fn linear(x: &Expression) -> Option<(Rational, Rational)> {
    use Expression::*;
    let zero = Rational::new(0, 1)?;
    match x {
        Symbol(_) => Some((Rational::ONE, zero)),
        Negative(x) => {
            let (a, b) = linear(x)?;
            let minus = Rational::new(-1, 1)?;
            Some((a.times(minus)?, b.times(minus)?))
        }
        Sum(xs) => xs.iter().try_fold((zero, zero), |(a, b), x| {
            let (c, d) = linear(x)?;
            Some((a.plus(c)?, b.plus(d)?))
        }),
        Product(xs) => xs.iter().try_fold((zero, Rational::ONE), |(a, b), x| {
            let (c, d) = linear(x)?;
            if a.numerator != 0 && c.numerator != 0 {
                return None;
            }
            Some((a.times(d)?.plus(c.times(b)?)?, b.times(d)?))
        }),
        Quotient(x, y) => {
            let ((a, b), (c, d)) = (linear(x)?, linear(y)?);
            if c.numerator != 0 {
                return None;
            }
            let inverse = d.inverse()?;
            Some((a.times(inverse)?, b.times(inverse)?))
        }
        x => Some((zero, Rational::value(x)?)),
    }
}

/// A rational as an expression.
pub fn number(value: Rational) -> Expression {
    let whole = |n: i128| {
        let digits = super::expression::Literal { digits: n.unsigned_abs().to_string(), decimals: 0 };
        let literal = Expression::Literal(digits);
        if n < 0 { literal.negative() } else { literal }
    };
    match value.denominator {
        1 => whole(value.numerator),
        below => Expression::Quotient(Box::new(whole(value.numerator)), Box::new(whole(below))),
    }
}

/// What may stand before `=` as the name of an answer: `x`, `f(x)`, `A:B`, `(p, q)`, `AB`, `\overline{AB}`, words.
pub fn is_name(x: &Expression) -> bool {
    use Expression::*;
    match x {
        Symbol(_) | Text(_) => true,
        Constant(constant) => *constant != self::Constant::Infinity && *constant != self::Constant::Pi,
        Other(_, parts) | Bracket(_, parts, _) | Ratio(parts) => parts.iter().all(is_name),
        Product(factors) => match factors.as_slice() {
            [Symbol(_), Bracket(..)] => true,
            factors => factors.len() <= 4 && factors.iter().all(is_name),
        },
        List(items) => items.iter().all(is_name),
        Quotient(a, b) => is_name(a) && is_name(b),
        Unit(x, _) => is_name(x),
        _ => false,
    }
}

/// The text of an expression: sums and products sorted, rational numbers in lowest terms.
pub fn print(x: &Expression) -> String {
    use Expression::*;
    if let Some(value) = Rational::value(x) {
        return value.to_string();
    }
    let join = |xs: &[Expression], by: &str| xs.iter().map(print).collect::<Vec<_>>().join(by);
    let sorted = |xs: &[Expression], by: &str| {
        let mut texts: Vec<String> = xs.iter().map(print).collect();
        texts.sort();
        texts.join(by)
    };
    match x {
        Literal(literal) => format!("{}e{}", literal.digits.trim_start_matches('0'), -literal.decimals),
        Symbol(name) => name.clone(),
        Constant(constant) => match constant {
            self::Constant::Pi => "pi",
            self::Constant::E => "e",
            self::Constant::I => "i",
            self::Constant::Infinity => "infinity",
        }
        .to_owned(),
        Text(text) => text.clone(),
        Sum(xs) => format!("({})", sorted(xs, "+")),
        Product(xs) => sorted(xs, "*"),
        Negative(x) => format!("-{}", print(x)),
        Quotient(a, b) => format!("({})/({})", print(a), print(b)),
        Power(a, b) => format!("({})^({})", print(a), print(b)),
        Root(n, of) => match Rational::value(n).and_then(Rational::integer) {
            Some(2) => format!("sqrt({})", print(of)),
            _ => format!("root({},{})", print(n), print(of)),
        },
        Logarithm(base, of) => format!("log({},{})", print(base), print(of)),
        Apply(function, x) => format!("{function:?}({})", print(x)).to_lowercase(),
        Binomial(n, k) => format!("binomial({},{})", print(n), print(k)),
        Based(digits, base) => format!("{digits}_{base}"),
        Percent(x) | Degrees(x) | Unit(x, _) => print(x),
        PlusMinus(a, _, b) => format!("{}±{}", print(a), print(b)),
        Bracket(left, xs, right) => {
            let left = if *left == Edge::Open { "(" } else { "[" };
            let right = if *right == Edge::Open { ")" } else { "]" };
            format!("{left}{}{right}", join(xs, ","))
        }
        List(xs) => sorted(xs, ","),
        Set(xs) => sorted(xs, ","),
        Union(xs) => sorted(xs, "∪"),
        Ratio(xs) => join(xs, ":"),
        Matrix(rows) | Determinant(rows) => {
            let mark = if matches!(x, Matrix(_)) { "matrix" } else { "det" };
            format!("{mark}[{}]", rows.iter().map(|row| join(row, ",")).collect::<Vec<_>>().join(";"))
        }
        Chain(terms, relations) => {
            let mut text = terms.first().map_or_else(String::new, print);
            for (relation, term) in relations.iter().zip(&terms[1..]) {
                text += relation.sign();
                text += &print(term);
            }
            text
        }
        Assignment(_, value) => print(value),
        Solved(_, at) => print(at),
        Other(name, xs) => format!("{name}({})", join(xs, ",")),
    }
}
