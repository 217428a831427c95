//! Values in complex floating point, for what is no rational expression.

use super::{
    expression::{Constant, Expression, Function},
    residue::stir,
};

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Complex {
    pub re: f64,
    pub im: f64,
}

/// Where names are evaluated.
#[derive(Clone, Copy, Debug)]
pub enum Point {
    /// In 0.5 .. 2.5: answers mean roots and logarithms of names that are positive.
    Positive(u64),
    /// In -2.5 .. -0.5, where an absolute value shows.
    Negative(u64),
}

impl Point {
    fn of(self, name: &str) -> f64 {
        let unit = |seed| stir(name, seed) as f64 / u64::MAX as f64;
        match self {
            Point::Positive(seed) => 0.5 + 2.0 * unit(seed),
            Point::Negative(seed) => -0.5 - 2.0 * unit(seed),
        }
    }
}

const fn real(re: f64) -> Complex {
    Complex { re, im: 0.0 }
}

impl Complex {
    fn plus(self, o: Complex) -> Complex {
        Complex { re: self.re + o.re, im: self.im + o.im }
    }

    pub fn minus(self, o: Complex) -> Complex {
        Complex { re: self.re - o.re, im: self.im - o.im }
    }

    fn times(self, o: Complex) -> Complex {
        if self.im == 0.0 && o.im == 0.0 {
            return real(self.re * o.re);
        }
        Complex { re: self.re * o.re - self.im * o.im, im: self.re * o.im + self.im * o.re }
    }

    pub fn over(self, o: Complex) -> Complex {
        if self.im == 0.0 && o.im == 0.0 {
            return real(self.re / o.re);
        }
        let square = o.re * o.re + o.im * o.im;
        let product = self.times(Complex { re: o.re, im: -o.im });
        Complex { re: product.re / square, im: product.im / square }
    }

    pub fn size(self) -> f64 {
        self.re.hypot(self.im)
    }

    fn ln(self) -> Complex {
        Complex { re: self.size().ln(), im: self.im.atan2(self.re) }
    }

    fn exp(self) -> Complex {
        if self.im == 0.0 {
            return real(self.re.exp());
        }
        Complex { re: self.re.exp() * self.im.cos(), im: self.re.exp() * self.im.sin() }
    }

    fn power(self, o: Complex) -> Complex {
        if o.im == 0.0 && self.im == 0.0 && (self.re >= 0.0 || o.re.fract() == 0.0) {
            return real(self.re.powf(o.re));
        }
        if self.size() == 0.0 {
            return if o.re > 0.0 { real(0.0) } else { real(f64::NAN) };
        }
        o.times(self.ln()).exp()
    }

    fn real(self) -> Option<f64> {
        (self.im.abs() <= 1e-12 * self.re.abs()).then_some(self.re)
    }

    fn finite(self) -> Option<Complex> {
        (self.re.is_finite() && self.im.is_finite()).then_some(self)
    }
}

/// The value; `None` where there is none: a text, a set, a division by 0, an overflow.
pub fn evaluate(expression: &Expression, at: Point) -> Option<Complex> {
    use Expression::*;
    let value = |x: &Expression| evaluate(x, at);
    let result = match expression {
        Literal(literal) => real(format!("{}e{}", literal.digits, -literal.decimals).parse().ok()?),
        Symbol(name) => real(at.of(name)),
        Constant(constant) => constant_value(*constant)?,
        Negative(x) => real(0.0).minus(value(x)?),
        Sum(xs) => xs.iter().try_fold(real(0.0), |sum, x| Some(sum.plus(value(x)?)))?,
        Product(xs) => xs.iter().try_fold(real(1.0), |product, x| Some(product.times(value(x)?)))?,
        Quotient(a, b) => value(a)?.over(value(b)?),
        Power(a, b) => value(a)?.power(value(b)?),
        Root(index, of) => {
            let (index, of) = (value(index)?.real()?, value(of)?);
            match of.real() {
                Some(x) if x < 0.0 && index % 2.0 == 1.0 => real(-(-x).powf(1.0 / index)),
                Some(x) if x >= 0.0 && index == 2.0 => real(x.sqrt()),
                _ => of.power(real(1.0 / index)),
            }
        }
        Logarithm(base, of) => value(of)?.ln().over(value(base)?.ln()),
        Apply(function, x) => apply(*function, value(x)?)?,
        Binomial(n, k) => {
            let (n, k) = (value(n)?.real()?, value(k)?.real()?);
            if n.fract() != 0.0 || k.fract() != 0.0 || !(0.0..=1000.0).contains(&k) {
                return None;
            }
            real((1..=k as u32).fold(1.0, |c, i| c * (n + 1.0 - f64::from(i)) / f64::from(i)))
        }
        Percent(x) => value(x)?.over(real(100.0)),
        Degrees(x) => value(x)?.times(real(std::f64::consts::PI / 180.0)),
        Ratio(xs) => {
            let [a, b] = xs.as_slice() else { return None };
            value(a)?.over(value(b)?)
        }
        Determinant(rows) => determinant(rows, at)?,
        _ => return None,
    };
    result.finite()
}

fn constant_value(constant: Constant) -> Option<Complex> {
    match constant {
        Constant::Pi => Some(real(std::f64::consts::PI)),
        Constant::E => Some(real(std::f64::consts::E)),
        Constant::I => Some(Complex { re: 0.0, im: 1.0 }),
        Constant::Infinity => None,
    }
}

fn apply(function: Function, x: Complex) -> Option<Complex> {
    match function {
        Function::Exp => return Some(x.exp()),
        Function::Ln => return Some(x.ln()),
        Function::Log => return Some(x.ln().over(real(std::f64::consts::LN_10))),
        Function::Abs => return Some(real(x.size())),
        _ => {}
    }
    let x = x.real()?;
    Some(real(match function {
        Function::Sin => x.sin(),
        Function::Cos => x.cos(),
        Function::Tan => x.tan(),
        Function::Cot => 1.0 / x.tan(),
        Function::Sec => 1.0 / x.cos(),
        Function::Csc => 1.0 / x.sin(),
        Function::Arcsin => x.asin(),
        Function::Arccos => x.acos(),
        Function::Arctan => x.atan(),
        Function::Sinh => x.sinh(),
        Function::Cosh => x.cosh(),
        Function::Tanh => x.tanh(),
        Function::Floor => x.floor(),
        Function::Ceiling => x.ceil(),
        Function::Factorial if x.fract() == 0.0 && (0.0..=170.0).contains(&x) => {
            (1..=x as u32).fold(1.0, |product, i| product * f64::from(i))
        }
        _ => return None,
    }))
}

/// By elimination, up to 8 rows.
fn determinant(rows: &[Vec<Expression>], at: Point) -> Option<Complex> {
    let size = rows.len();
    if size > 8 || rows.iter().any(|row| row.len() != size) {
        return None;
    }
    let mut m: Vec<Vec<Complex>> =
        rows.iter().map(|row| row.iter().map(|x| evaluate(x, at)).collect()).collect::<Option<_>>()?;
    let mut product = real(1.0);
    for column in 0..size {
        let pivot = (column..size).max_by(|&a, &b| m[a][column].size().total_cmp(&m[b][column].size()))?;
        if m[pivot][column].size() == 0.0 {
            return Some(real(0.0));
        }
        if pivot != column {
            m.swap(pivot, column);
            product = real(0.0).minus(product);
        }
        product = product.times(m[column][column]);
        let (above, below) = m.split_at_mut(column + 1);
        let Some(pivot) = above.last() else { break };
        for row in below {
            let factor = row[column].over(pivot[column]);
            for (entry, over) in row.iter_mut().zip(pivot).skip(column) {
                *entry = entry.minus(factor.times(*over));
            }
        }
    }
    Some(product)
}
