//! Rational expressions modulo a prime: an exact test of identity for numbers of any length and for polynomials and
//! their quotients (Schwartz 1980, Zippel 1979).
//!
//! Two different polynomials of degree `d` agree at a random point modulo `p` with probability at most `d / p`; `p` is
//! `2^61 - 1` or `2^61 - 31`, since a number may well be a multiple of one of them.

use super::{expression::Expression, expression::Function, rational::Rational};

/// A prime, and the seed of the points.
#[derive(Clone, Copy, Debug)]
pub enum Field {
    First,
    Second,
}

impl Field {
    fn prime(self) -> u64 {
        match self {
            Field::First => (1 << 61) - 1,
            Field::Second => (1 << 61) - 31,
        }
    }

    fn add(self, a: u64, b: u64) -> u64 {
        (a + b) % self.prime()
    }

    fn minus(self, a: u64) -> u64 {
        (self.prime() - a) % self.prime()
    }

    fn times(self, a: u64, b: u64) -> u64 {
        (u128::from(a) * u128::from(b) % u128::from(self.prime())) as u64
    }

    fn power(self, mut base: u64, mut exponent: u64) -> u64 {
        let mut product = 1;
        while exponent > 0 {
            if exponent & 1 == 1 {
                product = self.times(product, base);
            }
            base = self.times(base, base);
            exponent >>= 1;
        }
        product
    }

    fn inverse(self, a: u64) -> Option<u64> {
        (a != 0).then(|| self.power(a, self.prime() - 2))
    }
}

/// Factorials beyond are left to others.
const FACTORIAL: i128 = 400;

/// The value at the point that `field` chooses; `None` where it is no rational expression, or divides by 0.
pub fn residue(expression: &Expression, field: Field) -> Option<u64> {
    use Expression::*;
    match expression {
        Literal(literal) => {
            let digits = literal.digits.bytes().fold(0, |n, d| field.add(field.times(n, 10), u64::from(d - b'0')));
            let scale = field.power(10, u64::from(literal.decimals.unsigned_abs()));
            if literal.decimals < 0 {
                Some(field.times(digits, scale))
            } else {
                Some(field.times(digits, field.inverse(scale)?))
            }
        }
        Symbol(name) => Some(stir(name, field as u64) % field.prime()),
        Negative(x) => Some(field.minus(residue(x, field)?)),
        Sum(xs) => xs.iter().try_fold(0, |sum, x| Some(field.add(sum, residue(x, field)?))),
        Product(xs) => xs.iter().try_fold(1, |product, x| Some(field.times(product, residue(x, field)?))),
        Quotient(a, b) => Some(field.times(residue(a, field)?, field.inverse(residue(b, field)?)?)),
        Power(base, exponent) => {
            let exponent = Rational::value(exponent)?.integer()?;
            let base = residue(base, field)?;
            let base = if exponent < 0 { field.inverse(base)? } else { base };
            Some(field.power(base, u64::try_from(exponent.unsigned_abs()).ok()?))
        }
        Apply(Function::Factorial, x) => {
            let n = Rational::value(x)?.integer().filter(|n| (0..=FACTORIAL).contains(n))?;
            Some((1..=n as u64).fold(1, |a, b| field.times(a, b)))
        }
        Binomial(n, k) => {
            let n = Rational::value(n)?.integer().filter(|n| (0..=FACTORIAL).contains(n))?;
            let k = Rational::value(k)?.integer().filter(|k| (0..=n).contains(k))?;
            let (n, k) = (n as u64, k as u64);
            (1..=k).try_fold(1, |c, i| Some(field.times(field.times(c, n + 1 - i), field.inverse(i)?)))
        }
        Root(..) => {
            let exact = Rational::value(expression)?;
            let of = |n: i128| (n.unsigned_abs() % u128::from(field.prime())) as u64;
            Some(field.times(of(exact.numerator), field.inverse(of(exact.denominator))?))
        }
        _ => None,
    }
}

/// 64 bits that look random, of a name and a seed.
pub fn stir(name: &str, seed: u64) -> u64 {
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64 ^ seed.wrapping_mul(0x9e37_79b9_7f4a_7c15), |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}
