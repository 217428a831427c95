//! Whether two answers say the same.
//!
//! Exact where it can be: rational expressions modulo a prime, at random points for names. Else by values in floating
//! point, at several points for names. Decimals are close where they agree to the asked number of significant digits.

use std::cell::Cell;

use super::{
    evaluate::{Complex, Point, evaluate},
    expression::{Edge, Expression, Function, Relation},
    normalise::print,
    rational::Rational,
    residue::{Field, residue},
};

/// Comparisons of two parts, before two answers count as different.
const FUEL: u32 = 5_000;
/// For values that are written exactly, and differ by rounding alone.
const EXACT: f64 = 1e-10;

/// Compares with a budget.
pub struct Comparison {
    digits: u32,
    fuel: Cell<u32>,
}

impl Comparison {
    pub fn to_digits(digits: u32) -> Comparison {
        Comparison { digits, fuel: Cell::new(FUEL) }
    }

    /// `gold` and `answer` are normalised.
    pub fn equal(&self, gold: &Expression, answer: &Expression) -> bool {
        use Expression::*;
        let left = self.fuel.get();
        if left == 0 {
            return false;
        }
        self.fuel.set(left - 1);
        match (gold, answer) {
            (Assignment(a, x), Assignment(b, y)) => {
                if same_name(a, b) {
                    self.equal(x, y)
                } else {
                    self.same_equation([a, x], [b, y])
                }
            }
            (Assignment(name, x), Chain(terms, relations)) | (Chain(terms, relations), Assignment(name, x)) => {
                match (relations.as_slice(), terms.as_slice()) {
                    ([Relation::Equal], [a, b]) => self.same_equation([name, x], [a, b]),
                    _ => false,
                }
            }
            (Assignment(_, x), y) => self.equal(x, y),
            (x, Assignment(_, y)) => self.equal(x, y),
            (Solved(a, x), Solved(b, y)) => a == b && self.equal(x, y),
            (Solved(_, x), y) => self.equal(x, y),
            (x, Solved(_, y)) => self.equal(x, y),
            (Chain(a, r), Chain(b, s)) => self.same_relation(a, r, b, s),
            (Chain(..), _) | (_, Chain(..)) => false,
            (Unit(x, a), Unit(y, b)) => same_unit(a, b) && self.equal(x, y),
            (Unit(x, a), Degrees(y)) | (Degrees(y), Unit(x, a)) => a == "degree" && self.equal(x, y),
            (Unit(x, _), y) => self.equal(x, y),
            (x, Unit(y, _)) => self.equal(x, y),
            (Percent(x), Percent(y)) => self.equal(x, y),
            (Percent(x), y) | (y, Percent(x)) => {
                // Whoever leaves the sign out means 28 or 0.28.
                let hundredth = Quotient(x.clone(), Box::new(Expression::integer(100)));
                self.equal(x, y) || self.equal(&hundredth, y)
            }
            (Degrees(x), Degrees(y)) => self.equal(x, y),
            (Degrees(x), y) | (y, Degrees(x)) => self.equal(x, y) || self.scalars(gold, answer),
            (List(a), List(b)) => self.lists(a, b),
            (Set(a) | List(a), Set(b) | List(b)) => self.same_items(a, b),
            (Union(a), Union(b)) => self.same_items(a, b),
            (Matrix(a), Matrix(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| self.in_order(a, b)),
            (Matrix(rows), Bracket(Edge::Open, items, Edge::Open))
            | (Bracket(Edge::Open, items, Edge::Open), Matrix(rows)) => {
                // A column is a point.
                rows.len() == items.len()
                    && rows.iter().zip(items).all(|(row, x)| row.len() == 1 && self.equal(&row[0], x))
            }
            (Bracket(al, a, ar), Bracket(bl, b, br)) => {
                self.in_order(a, b) && self.same_edges(a, (*al, *ar), (*bl, *br))
            }
            // A bare list in no bracket may be the point; a set is none.
            (Bracket(Edge::Open, a, Edge::Open), List(b)) => self.in_order(a, b),
            (List(a), Bracket(Edge::Open, b, Edge::Open)) => self.in_order(a, b),
            (Set(a), x) | (x, Set(a)) => matches!(a.as_slice(), [only] if self.equal(only, x)),
            (Ratio(a), Ratio(b)) if a.len() == b.len() => {
                // 2:4 is 1:2.
                a.len() == 2 && self.scalars(gold, answer) || self.in_order(a, b)
            }
            (Text(a), Text(b)) => same_words(a, b),
            (Text(text), x) | (x, Text(text)) => same_words(text, &letters(x)),
            (Based(a, p), Based(b, q)) => a == b && p == q,
            (List(_) | Bracket(..) | Union(_) | Matrix(_) | Based(..), _)
            | (_, List(_) | Bracket(..) | Union(_) | Matrix(_) | Based(..)) => false,
            (Other(a, xs), Other(b, ys)) => a == b && self.in_order(xs, ys),
            (x, y) if x.is_infinite() || y.is_infinite() => print(x) == print(y),
            (x, y) => self.scalars(x, y),
        }
    }

    fn in_order(&self, a: &[Expression], b: &[Expression]) -> bool {
        a.len() == b.len() && a.iter().zip(b).all(|(x, y)| self.equal(x, y))
    }

    fn same_edges(&self, items: &[Expression], a: (Edge, Edge), b: (Edge, Edge)) -> bool {
        match items {
            // Nothing tells whether infinity is included.
            [from, to] => (from.is_infinite() || a.0 == b.0) && (to.is_infinite() || a.1 == b.1),
            _ => a == b,
        }
    }

    /// Values side by side: by names where both have them, in order where the names of one tell them apart, else as a set.
    fn lists(&self, a: &[Expression], b: &[Expression]) -> bool {
        match (names(a), names(b)) {
            (Some(_), None) | (None, Some(_)) => self.in_order(a, b),
            _ => self.same_items(a, b),
        }
    }

    /// As sets: each item has its partner on the other side.
    fn same_items(&self, a: &[Expression], b: &[Expression]) -> bool {
        let found_in = |xs: &[Expression], ys: &[Expression], gold_first: bool| {
            xs.iter().all(|x| ys.iter().any(|y| if gold_first { self.equal(x, y) } else { self.equal(y, x) }))
        };
        a.is_empty() == b.is_empty() && found_in(a, b, true) && found_in(b, a, false)
    }

    /// Left minus right of the one is a constant multiple of that of the other.
    fn same_equation(&self, a: [&Expression; 2], b: [&Expression; 2]) -> bool {
        self.factor(a, b).is_some()
    }

    fn factor(&self, a: [&Expression; 2], b: [&Expression; 2]) -> Option<f64> {
        let difference = |[x, y]: [&Expression; 2]| Expression::Sum(vec![x.clone(), y.clone().negative()]);
        let (a, b) = (difference(a), difference(b));
        let (mut names_a, mut names_b) = (Vec::new(), Vec::new());
        a.symbols(&mut names_a);
        b.symbols(&mut names_b);
        names_a.sort_unstable();
        names_b.sort_unstable();
        if names_a.is_empty() || names_a != names_b {
            return None;
        }
        let mut factor: Option<f64> = None;
        for seed in 3..7 {
            let (x, y) = (evaluate(&a, Point::Positive(seed))?, evaluate(&b, Point::Positive(seed))?);
            let ratio = x.over(y);
            if !ratio.re.is_finite() || ratio.im.abs() > EXACT || ratio.re == 0.0 {
                return None;
            }
            match factor {
                Some(before) if (before - ratio.re).abs() > 1e-9 * before.abs() => return None,
                _ => factor = Some(ratio.re),
            }
        }
        factor
    }

    fn same_relation(&self, a: &[Expression], r: &[Relation], b: &[Expression], s: &[Relation]) -> bool {
        match (a, r, b, s) {
            ([aa, ab], [r], [ba, bb], [s]) => match self.factor([aa, ab], [ba, bb]) {
                Some(factor) if r.is_order() => *s == if factor > 0.0 { *r } else { r.flipped() },
                Some(_) => r == s,
                None => r == s && self.equal(aa, ba) && self.equal(ab, bb),
            },
            _ => r == s && self.in_order(a, b),
        }
    }

    fn scalars(&self, gold: &Expression, answer: &Expression) -> bool {
        let (mut names_a, mut names_b) = (Vec::new(), Vec::new());
        gold.symbols(&mut names_a);
        answer.symbols(&mut names_b);
        let has_decimals = |x: &Expression| x.any(&|part| matches!(part, Expression::Literal(l) if l.decimals > 0));
        let (decimals_a, decimals_b) = (has_decimals(gold), has_decimals(answer));
        let residues = |field| Some((residue(gold, field)?, residue(answer, field)?));
        match [Field::First, Field::Second].map(residues) {
            [Some((a, b)), Some((c, d))] if a == b && c == d => return true,
            // Both are exact, and different.
            [Some(_), Some(_)] if !decimals_a && !decimals_b => return false,
            _ => {}
        }
        if names_a.is_empty() && names_b.is_empty() {
            let (Some(a), Some(b)) = (evaluate(gold, Point::Positive(1)), evaluate(answer, Point::Positive(1))) else {
                return print(gold) == print(answer);
            };
            return match decimals_a || decimals_b {
                true => self.close(a, b) && !differ_to_the_cent(gold, answer, self.digits),
                false => near(a, b, EXACT),
            };
        }
        let tolerance = if decimals_a || decimals_b { 0.5 * 10_f64.powi(1 - self.digits as i32) } else { EXACT };
        let absolute = |x: &Expression| x.any(&|part| matches!(part, Expression::Apply(Function::Abs, _)));
        let mut points: Vec<Point> = (3..7).map(Point::Positive).collect();
        if absolute(gold) || absolute(answer) {
            points.extend((3..5).map(Point::Negative));
        }
        let mut compared = 0;
        for point in points {
            match (evaluate(gold, point), evaluate(answer, point)) {
                (Some(a), Some(b)) if near(a, b, tolerance) => compared += 1,
                (None, None) => {}
                _ => return false,
            }
        }
        compared >= 2 || compared == 0 && print(gold) == print(answer)
    }

    /// To `digits` significant digits of the gold.
    fn close(&self, gold: Complex, answer: Complex) -> bool {
        let digits = self.digits as i32;
        let size = gold.size();
        // The place of the first digit; of 0, the place before the point.
        let place = if size == 0.0 { -1 } else { size.log10().floor() as i32 };
        let half_a_unit = 0.5 * 10_f64.powi(place - digits + 1);
        gold.minus(answer).size() <= half_a_unit * (1.0 + 1e-9)
    }
}

/// Amounts with at most two decimals are exact to the cent however long they are, unless fewer digits are asked for.
fn differ_to_the_cent(gold: &Expression, answer: &Expression, digits: u32) -> bool {
    fn decimals(x: &Expression) -> Option<i32> {
        match x {
            Expression::Literal(literal) => Some(literal.decimals),
            Expression::Negative(x) => decimals(x),
            _ => None,
        }
    }
    let short = |x| decimals(x).is_some_and(|d| d <= 2);
    digits >= 6 && short(gold) && short(answer) && Rational::value(gold) != Rational::value(answer)
}

fn near(a: Complex, b: Complex, tolerance: f64) -> bool {
    a.minus(b).size() <= tolerance * a.size().max(b.size()).max(1e-300)
        || tolerance == EXACT && a.minus(b).size() < 1e-14 && a.size() < 1e-12 && b.size() < 1e-12
}

/// The names of values, where all of them have one and no two the same.
fn names(items: &[Expression]) -> Option<Vec<String>> {
    let mut names = Vec::new();
    for item in items {
        let Expression::Assignment(name, _) = item else { return None };
        let name = print(name);
        if names.contains(&name) {
            return None;
        }
        names.push(name);
    }
    // `x_1 = 2, x_2 = 3` only counts them.
    let base = |name: &str| name.split('_').next().map(str::to_owned);
    let counted = names.iter().all(|name| name.contains('_') && base(name) == base(&names[0]));
    (!counted).then_some(names)
}

/// Functions are the same whatever they call their argument.
fn same_name(a: &Expression, b: &Expression) -> bool {
    match (a, b) {
        (Expression::Product(x), Expression::Product(y)) => match (x.as_slice(), y.as_slice()) {
            ([f @ Expression::Symbol(_), _], [g @ Expression::Symbol(_), _]) => f == g,
            _ => x == y,
        },
        _ => a == b,
    }
}

/// Two units that are known are the same; words that are none do not count.
fn same_unit(a: &str, b: &str) -> bool {
    let known = |unit: &str| super::units::unit(unit.trim_end_matches(|c: char| c.is_ascii_digit())).is_some();
    a == b || !known(a) || !known(b)
}

fn same_words(a: &str, b: &str) -> bool {
    let plain = |text: &str| -> String { text.chars().filter(|c| c.is_alphanumeric()).collect() };
    let (a, b) = (plain(a), plain(b));
    !a.is_empty() && (a == b || a.len() > 1 && a.to_lowercase() == b.to_lowercase())
}

/// The letters of a product, as the word that they may be.
fn letters(x: &Expression) -> String {
    match x {
        Expression::Product(factors) => factors.iter().map(letters).collect(),
        Expression::Symbol(_) | Expression::Constant(_) => print(x),
        Expression::Literal(literal) => literal.digits.clone(),
        _ => String::new(),
    }
}
