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

impl Expression {
    /// `47*3-8=`, or `47*3-8 mod 7=`.
    pub fn prompt(&self) -> String {
        let mut text = self.operands.first().map(i64::to_string).unwrap_or_default();
        for (operator, operand) in self.operators.iter().zip(&self.operands[1..]) {
            text.push(operator.sign());
            text += &operand.to_string();
        }
        match self.modulus {
            Some(modulus) => format!("{text} mod {modulus}="),
            None => format!("{text}="),
        }
    }

    /// Products first, each kind from left to right; with a modulus every result is reduced.
    pub fn steps(&self, slip: Option<Slip>) -> Vec<Step> {
        let (mut numbers, mut operators) = (self.operands.clone(), self.operators.clone());
        let mut steps = Vec::with_capacity(operators.len());
        while !operators.is_empty() {
            let at = operators.iter().position(|&o| o == Operator::Multiply).unwrap_or(0);
            let (left, operator, right) = (numbers[at], operators.remove(at), numbers.remove(at + 1));
            let by = slip.filter(|slip| slip.step == steps.len()).map_or(0, |slip| slip.by);
            let result = self.reduced(operator.of(left, right) + by);
            numbers[at] = result;
            steps.push(Step { left, operator, right, result });
        }
        steps
    }

    /// The answer.
    pub fn value(&self) -> i64 {
        let alone = || self.reduced(self.operands.first().copied().unwrap_or(0));
        self.steps(None).last().map_or_else(alone, |step| step.result)
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

    fn worked(e: &Expression, slip: Option<Slip>) -> String {
        e.steps(slip).iter().map(Step::to_string).collect::<Vec<_>>().join(",")
    }

    #[test]
    fn products_come_first_and_the_rest_from_left_to_right() {
        let e = expression(&[8, 3, 4, 5, 2], "-*+-", None);
        assert_eq!(e.prompt(), "8-3*4+5-2=");
        assert_eq!(worked(&e, None), "3*4=12,8-12=-4,-4+5=1,1-2=-1");
        assert_eq!(e.value(), -1);
        let e = expression(&[47, 38, 5], "*+", Some(7));
        assert_eq!((e.prompt().as_str(), worked(&e, None).as_str()), ("47*38+5 mod 7=", "47*38=1,1+5=6"));
        assert_eq!(expression(&[9], "", Some(4)).value(), 1);
    }

    #[test]
    fn a_slip_is_carried_on() {
        let e = expression(&[1, 2, 3], "++", None);
        assert_eq!(worked(&e, Some(Slip { step: 0, by: -1 })), "1+2=2,2+3=5");
    }
}
