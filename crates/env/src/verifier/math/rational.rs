//! Exact fractions of 128-bit integers. What does not fit is `None`, never rounded.

use std::fmt;

use super::expression::{Expression, Literal};

/// In lowest terms, the denominator above 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rational {
    pub numerator: i128,
    pub denominator: i128,
}

impl Rational {
    pub const ONE: Rational = Rational { numerator: 1, denominator: 1 };

    pub fn new(numerator: i128, denominator: i128) -> Option<Rational> {
        let divisor = i128::try_from(gcd(numerator.unsigned_abs(), denominator.unsigned_abs())).ok()?;
        if denominator == 0 {
            return None;
        }
        let sign = if denominator < 0 { -1 } else { 1 };
        let numerator = (numerator / divisor).checked_mul(sign)?;
        Some(Rational { numerator, denominator: (denominator / divisor).checked_mul(sign)? })
    }

    pub fn of(literal: &Literal) -> Option<Rational> {
        let digits: i128 = literal.digits.parse().ok()?;
        let scale = 10_i128.checked_pow(literal.decimals.unsigned_abs())?;
        match literal.decimals {
            0.. => Rational::new(digits, scale),
            _ => Rational::new(digits.checked_mul(scale)?, 1),
        }
    }

    pub fn plus(self, other: Rational) -> Option<Rational> {
        let left = self.numerator.checked_mul(other.denominator)?;
        let right = other.numerator.checked_mul(self.denominator)?;
        Rational::new(left.checked_add(right)?, self.denominator.checked_mul(other.denominator)?)
    }

    pub fn times(self, other: Rational) -> Option<Rational> {
        let (a, b) =
            (Rational::new(self.numerator, other.denominator)?, Rational::new(other.numerator, self.denominator)?);
        Rational::new(a.numerator.checked_mul(b.numerator)?, a.denominator.checked_mul(b.denominator)?)
    }

    pub fn inverse(self) -> Option<Rational> {
        Rational::new(self.denominator, self.numerator)
    }

    /// The integer that it is.
    pub fn integer(self) -> Option<i128> {
        (self.denominator == 1).then_some(self.numerator)
    }

    fn power(self, exponent: i128) -> Option<Rational> {
        let base = if exponent < 0 { self.inverse()? } else { self };
        let exponent = u32::try_from(exponent.unsigned_abs()).ok()?;
        Rational::new(base.numerator.checked_pow(exponent)?, base.denominator.checked_pow(exponent)?)
    }

    /// The exact `index`th root, where it is rational.
    fn root(self, index: i128) -> Option<Rational> {
        let index = u32::try_from(index).ok().filter(|i| (2..=64).contains(i))?;
        let root = |of: i128| {
            let near = (of as f64).powf(1.0 / f64::from(index)).round() as i128;
            (near.checked_pow(index) == Some(of)).then_some(near)
        };
        if self.numerator < 0 {
            return None;
        }
        Rational::new(root(self.numerator)?, root(self.denominator)?)
    }

    /// The exact value of an expression without names, where it is a fraction that fits.
    pub fn value(expression: &Expression) -> Option<Rational> {
        use Expression::*;
        match expression {
            Literal(literal) => Rational::of(literal),
            Negative(x) => Rational::value(x)?.times(Rational { numerator: -1, denominator: 1 }),
            Sum(xs) => {
                xs.iter().try_fold(Rational { numerator: 0, denominator: 1 }, |sum, x| sum.plus(Rational::value(x)?))
            }
            Product(xs) => xs.iter().try_fold(Rational::ONE, |product, x| product.times(Rational::value(x)?)),
            Quotient(a, b) => Rational::value(a)?.times(Rational::value(b)?.inverse()?),
            Power(base, exponent) => Rational::value(base)?.power(Rational::value(exponent)?.integer()?),
            Root(index, of) => Rational::value(of)?.root(Rational::value(index)?.integer()?),
            _ => None,
        }
    }
}

impl fmt::Display for Rational {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.denominator {
            1 => write!(f, "{}", self.numerator),
            _ => write!(f, "{}/{}", self.numerator, self.denominator),
        }
    }
}

fn gcd(mut a: u128, mut b: u128) -> u128 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a.max(1)
}
