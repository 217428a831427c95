//! Two fractions put together, with answers that need not be in lowest terms.
//!
//! Prompt `1/4+1/6=`, solution `<think>1*6=6,1*4=4,6+4=10,4*6=24</think><answer>10/24</answer>`, or in lowest terms
//! `<think>1*6=6,1*4=4,6+4=10,4*6=24,10/24=5/12</think><answer>5/12</answer>`. Both are right by value (`math_answer`); a matcher
//! of texts (`answer`) knows the second alone, so it is wrong as often as the policy does not reduce.

use std::collections::HashSet;

use cohort_core::Stream;
use cohort_env::{Codec, Limits, Task, TaskError};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    chains::Operator,
    draw::{Draw, distinct},
    items::{self, Made, refused},
};

/// Sums, differences and products of two proper fractions; solutions are reduced or not. Columns: `prompt`, `answer` (in lowest
/// terms), `solution`, `kind` (`reducible` where working it out gives other than lowest terms, else `irreducible`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Fractions {
    /// Items to learn from.
    pub train: usize,
    /// Items to choose by.
    pub dev: usize,
    /// Items to judge with once.
    pub test: usize,
    /// Which items there are, in which split, and how each is solved.
    pub seed: u64,
    /// The least and the greatest denominator.
    pub denominators: [u32; 2],
    /// Which operators, each equally often.
    pub operators: Vec<Operator>,
    /// The probability that a solution gives its answer in lowest terms, and not as it was worked out.
    pub reduced: f64,
    /// The probability that a solution is right. A wrong one has a numerator that is off by at most 9.
    pub right: f64,
}

impl Default for Fractions {
    fn default() -> Self {
        Self {
            train: 768,
            dev: 128,
            test: 256,
            seed: 0,
            denominators: [2, 9],
            operators: vec![Operator::Add],
            reduced: 0.5,
            right: 1.0,
        }
    }
}

/// `a/b o c/d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Question {
    a: i64,
    b: i64,
    operator: Operator,
    c: i64,
    d: i64,
}

impl Fractions {
    /// What the recipe must not say.
    ///
    /// # Errors
    /// [`TaskError::Refused`], with the key.
    pub fn check(&self) -> Result<(), TaskError> {
        items::sizes("fractions", [self.train, self.dev, self.test])?;
        let [least, most] = self.denominators;
        if least < 2 || least > most || most > 99 {
            let (key, got) = ("task.fractions.denominators".into(), format!("{:?}", self.denominators));
            return Err(refused(key, "must be two numbers of 2 to 99, in order", got, "such as [2, 9]"));
        }
        if self.operators.is_empty() {
            let key = "task.fractions.operators".into();
            return Err(refused(key, "must hold an operator", "none", "of \"+\", \"-\" and \"*\""));
        }
        items::in_unit("task.fractions.reduced".into(), self.reduced)?;
        items::in_unit("task.fractions.right".into(), self.right)
    }

    /// The splits share no prompt.
    ///
    /// # Errors
    /// Those of [`Fractions::check`]; more items than there are; a tokenizer or a model that cannot hold an item.
    pub fn build(&self, codec: &dyn Codec, limits: Limits) -> Result<Task, TaskError> {
        self.check()?;
        let fractions = self.fractions();
        let size = (fractions.len() as u128).pow(2) * self.operators.len() as u128;
        let make = |draw: &mut Draw| {
            let question = self.question(&fractions, draw);
            (question.prompt(), question)
        };
        let mut seen = HashSet::new();
        let mut splits: [Vec<Question>; 3] = Default::default();
        for split in [2, 1, 0] {
            let n = [self.train, self.dev, self.test][split];
            let stream = Stream::new(self.seed, "fractions/questions");
            splits[split] = distinct(n, size, stream, split as u32, &mut seen, make);
            if splits[split].len() < n {
                let hint = "raise the greatest denominator, or ask for fewer items";
                let wanted = self.train + self.dev + self.test;
                let problem = format!("give {size} items, and {wanted} are asked for");
                return Err(refused(
                    "task.fractions.denominators".into(),
                    &problem,
                    format!("{:?}", self.denominators),
                    hint,
                ));
            }
        }
        let stream = Stream::new(self.seed, "fractions/solutions");
        let mut index = 0;
        let made = splits.map(|split| {
            let made = split.into_iter().map(|question| {
                index += 1;
                self.made(question, &mut Draw::of(stream.dice(index, 0, 0)))
            });
            made.collect()
        });
        items::task("fractions", made, self.seed, codec, limits)
    }

    /// All proper fractions of the denominators, as written.
    fn fractions(&self) -> Vec<(i64, i64)> {
        let [least, most] = self.denominators.map(i64::from);
        (least..=most).flat_map(|b| (1..b).map(move |a| (a, b))).collect()
    }

    fn question(&self, fractions: &[(i64, i64)], draw: &mut Draw) -> Question {
        let mut fraction = || fractions[draw.below(fractions.len() as u64) as usize];
        let ((a, b), (c, d)) = (fraction(), fraction());
        Question { a, b, operator: self.operators[draw.below(self.operators.len() as u64) as usize], c, d }
    }

    fn made(&self, question: Question, draw: &mut Draw) -> Made {
        let slip = match draw.chance(self.right) {
            true => 0,
            false => (1 + draw.below(9) as i64) * if draw.chance(0.5) { 1 } else { -1 },
        };
        let (numerator, denominator) = question.value();
        let is_reduced = draw.chance(self.reduced);
        let kind =
            if lowest(numerator, denominator) == written(numerator, denominator) { "irreducible" } else { "reducible" };
        Made {
            prompt: question.prompt(),
            answer: Value::from(lowest(numerator, denominator)),
            solution: question.solution(slip, is_reduced),
            columns: vec![("kind", Value::from(kind))],
        }
    }
}

impl Question {
    fn prompt(self) -> String {
        let Question { a, b, operator, c, d } = self;
        format!("{a}/{b}{}{c}/{d}=", operator.sign())
    }

    /// Numerator and denominator as they are worked out, not reduced.
    fn value(self) -> (i64, i64) {
        let Question { a, b, operator, c, d } = self;
        let numerator = match operator {
            Operator::Add => a * d + c * b,
            Operator::Subtract => a * d - c * b,
            Operator::Multiply => a * c,
        };
        (numerator, b * d)
    }

    fn solution(self, slip: i64, is_reduced: bool) -> String {
        let Question { a, b, operator, c, d } = self;
        let (numerator, denominator) = self.value();
        let numerator = numerator + slip;
        let mut thought = match operator {
            Operator::Multiply => format!("{a}*{c}={numerator}"),
            sum => format!("{a}*{d}={},{c}*{b}={},{}{}{}={numerator}", a * d, c * b, a * d, sum.sign(), c * b),
        };
        thought += &format!(",{b}*{d}={denominator}");
        let (plain, low) = (written(numerator, denominator), lowest(numerator, denominator));
        if is_reduced && plain != low {
            return format!("<think>{thought},{plain}={low}</think><answer>{low}</answer>");
        }
        format!("<think>{thought}</think><answer>{plain}</answer>")
    }
}

fn written(numerator: i64, denominator: i64) -> String {
    format!("{numerator}/{denominator}")
}

/// In lowest terms; a whole number without a denominator.
fn lowest(numerator: i64, denominator: i64) -> String {
    let divisor = common(numerator, denominator);
    match denominator / divisor {
        1 => (numerator / divisor).to_string(),
        rest => written(numerator / divisor, rest),
    }
}

/// The greatest common divisor; the other number's size where one is 0.
fn common(a: i64, b: i64) -> i64 {
    if b == 0 { a.abs() } else { common(b, a % b) }
}
