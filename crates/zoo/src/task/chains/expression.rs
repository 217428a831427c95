//! An expression of whole numbers and the steps that work it out.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Between two operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub enum Operator {
    /// Plus.
    #[serde(rename = "+")]
    Add,
    /// Minus.
    #[serde(rename = "-")]
    Subtract,
    /// Times; it binds closer than the others.
    #[serde(rename = "*")]
    Multiply,
}

impl Operator {
    fn of(self, a: i64, b: i64) -> i64 {
        match self {
            Operator::Add => a + b,
            Operator::Subtract => a - b,
            Operator::Multiply => a * b,
        }
    }

    pub fn sign(self) -> char {
        match self {
            Operator::Add => '+',
            Operator::Subtract => '-',
            Operator::Multiply => '*',
        }
    }
}

/// `operands[0] operators[0] operands[1] ..`, taken modulo `modulus` where there is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expression {
    pub operands: Vec<i64>,
    pub operators: Vec<Operator>,
    pub modulus: Option<i64>,
}

/// Two neighbours and what is put in their place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    pub left: i64,
    pub operator: Operator,
    pub right: i64,
    pub result: i64,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}{}={}", self.left, self.operator.sign(), self.right, self.result)
    }
}

/// A mistake: the result of a step is off by so much, and all that follows goes on from there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slip {
    pub step: usize,
    pub by: i64,
}

/// What the slips of a step add up to.
fn by(slips: &[Slip], step: usize) -> i64 {
    slips.iter().filter(|slip| slip.step == step).map(|slip| slip.by).sum()
}

impl Expression {
    /// `47*3-8=`, or `47*3-8 mod 7=`.
    pub fn prompt(&self) -> String {
        format!("{}=", self.text())
    }

    /// `47*3-8`, or `47*3-8 mod 7`.
    pub fn text(&self) -> String {
        let mut text = self.operands.first().map(i64::to_string).unwrap_or_default();
        for (operator, operand) in self.operators.iter().zip(&self.operands[1..]) {
            text.push(operator.sign());
            text += &operand.to_string();
        }
        match self.modulus {
            Some(modulus) => format!("{text} mod {modulus}"),
            None => text,
        }
    }

    /// The signs in the order in which they are worked out: products first, each kind from left to right.
    pub fn order(&self) -> Vec<Operator> {
        let is_product = |o: &&Operator| **o == Operator::Multiply;
        let (products, sums): (Vec<&Operator>, Vec<&Operator>) = self.operators.iter().partition(is_product);
        products.into_iter().chain(sums).copied().collect()
    }

    /// Worked out in its order; with a modulus every result is reduced.
    pub fn steps(&self, slips: &[Slip]) -> Vec<Step> {
        self.steps_in(&self.order(), slips)
    }

    /// Worked out in this order of its signs, each of which stands for the leftmost such sign that is left.
    pub fn steps_in(&self, order: &[Operator], slips: &[Slip]) -> Vec<Step> {
        let mut rest = self.clone();
        order.iter().enumerate().filter_map(|(step, &sign)| rest.reduce(sign, by(slips, step))).collect()
    }

    /// What is left after the first `count` steps.
    pub fn after(&self, count: usize, slips: &[Slip]) -> Expression {
        let mut rest = self.clone();
        for (step, sign) in self.order().into_iter().take(count).enumerate() {
            rest.reduce(sign, by(slips, step));
        }
        rest
    }

    /// Puts the result in place of the leftmost `sign` and its neighbours; `None` where no such sign is left.
    fn reduce(&mut self, sign: Operator, by: i64) -> Option<Step> {
        let at = self.operators.iter().position(|&o| o == sign)?;
        let (left, operator, right) = (self.operands[at], self.operators.remove(at), self.operands.remove(at + 1));
        let result = self.reduced(operator.of(left, right) + by);
        self.operands[at] = result;
        Some(Step { left, operator, right, result })
    }

    /// The answer.
    pub fn value(&self) -> i64 {
        self.value_in(&self.order())
    }

    /// What comes out in another order of its signs.
    pub fn value_in(&self, order: &[Operator]) -> i64 {
        let alone = || self.reduced(self.operands.first().copied().unwrap_or(0));
        self.steps_in(order, &[]).last().map_or_else(alone, |step| step.result)
    }

    pub fn reduced(&self, x: i64) -> i64 {
        self.modulus.map_or(x, |modulus| x.rem_euclid(modulus))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expression(operands: &[i64], signs: &str, modulus: Option<i64>) -> Expression {
        let operator = |c| match c {
            '+' => Operator::Add,
            '-' => Operator::Subtract,
            _ => Operator::Multiply,
        };
        Expression { operands: operands.to_vec(), operators: signs.chars().map(operator).collect(), modulus }
    }

    fn worked(e: &Expression, slips: &[Slip]) -> String {
        e.steps(slips).iter().map(Step::to_string).collect::<Vec<_>>().join(",")
    }

    #[test]
    fn products_come_first_and_the_rest_from_left_to_right() {
        let e = expression(&[8, 3, 4, 5, 2], "-*+-", None);
        assert_eq!(e.prompt(), "8-3*4+5-2=");
        assert_eq!(worked(&e, &[]), "3*4=12,8-12=-4,-4+5=1,1-2=-1");
        assert_eq!(e.value(), -1);
        let e = expression(&[47, 38, 5], "*+", Some(7));
        assert_eq!((e.prompt().as_str(), worked(&e, &[]).as_str()), ("47*38+5 mod 7=", "47*38=1,1+5=6"));
        assert_eq!(expression(&[9], "", Some(4)).value(), 1);
    }

    #[test]
    fn another_order_is_followed_and_a_rest_is_what_is_left() {
        let e = expression(&[8, 3, 4, 5], "-*+", None);
        assert_eq!(e.order(), [Operator::Multiply, Operator::Subtract, Operator::Add]);
        let order = [Operator::Subtract, Operator::Add, Operator::Multiply];
        let steps: Vec<String> = e.steps_in(&order, &[]).iter().map(Step::to_string).collect();
        assert_eq!(steps, ["8-3=5", "4+5=9", "5*9=45"]);
        assert_eq!((e.value(), e.value_in(&order)), (1, 45));
        assert_eq!(e.after(0, &[]).text(), "8-3*4+5");
        assert_eq!(e.after(2, &[]).text(), "-4+5");
        assert_eq!(e.after(2, &[Slip { step: 1, by: 2 }, Slip { step: 1, by: -1 }]).text(), "-3+5");
        assert_eq!(expression(&[4, 4, 4], "++", Some(7)).after(1, &[]).text(), "1+4 mod 7");
    }

    #[test]
    fn a_slip_is_carried_on() {
        let e = expression(&[1, 2, 3], "++", None);
        assert_eq!(worked(&e, &[Slip { step: 0, by: -1 }]), "1+2=2,2+3=5");
    }
}
