//! Arithmetic expressions with worked steps.
//!
//! Prompt `4+7+2=`, solution `<think>4+7=11,11+2=13</think><answer>13</answer>`. Levels say what is asked, styles how the
//! solutions are written.

mod expression;
mod facts;
mod rounds;
mod shown;
mod style;

use std::collections::HashSet;

use cohort_core::Stream;
use cohort_env::{Codec, Limits, Task, TaskError};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    draw::{Draw, apportion, distinct},
    items::{self, Made, refused},
};
use expression::Expression;
pub use expression::Operator;
pub use facts::{Facts, Keys};
pub use rounds::Rounds;
pub use shown::{Shown, What};
pub use style::{Form, Style};

/// What the items of a split are for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Use {
    Learn,
    Judge,
}

const SPLITS: [&str; 3] = ["train", "dev", "test"];

/// Arithmetic expressions with worked steps: a mixture of levels, solved in a mixture of styles. Columns: `prompt`, `answer`,
/// `solution`, `level`, `style`, `operands`, and those of `shown` and `rounds` where they are given.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Chains {
    /// Items to learn from.
    pub train: usize,
    /// Items to choose by.
    pub dev: usize,
    /// Items to judge with once.
    pub test: usize,
    /// Which expressions there are, in which split, and how each is solved.
    pub seed: u64,
    /// What is asked.
    pub levels: Vec<Level>,
    /// How solutions are written.
    pub styles: Vec<Style>,
    /// Train items that show a part of their solution.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shown: Option<Shown>,
    /// Train items that are one round of several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rounds: Option<Rounds>,
    /// A table to be known by heart, beside the expressions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub facts: Option<Facts>,
}

/// A kind of expression.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Level {
    /// Its name, in the column `level`.
    pub name: String,
    /// The fewest and the most operands; every number between comes equally often.
    pub operands: [usize; 2],
    /// Digits of an operand, the first not 0.
    pub digits: u32,
    /// Which operators, each equally often. Products are worked out first, then from left to right.
    pub operators: Vec<Operator>,
    /// The answer and every result on the way are taken modulo this number, which the prompt names: `4+7 mod 5=`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub modulus: Option<u32>,
    /// How much of each split it has beside the other levels.
    pub share: Share,
}

/// Weights of a level; they need not add up to 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Share {
    /// In the train split.
    pub train: f64,
    /// In the dev split.
    pub dev: f64,
    /// In the test split.
    pub test: f64,
}

impl Default for Share {
    fn default() -> Self {
        Self { train: 1.0, dev: 1.0, test: 1.0 }
    }
}

impl Default for Level {
    fn default() -> Self {
        Self {
            name: "sums".into(),
            operands: [4, 5],
            digits: 1,
            operators: vec![Operator::Add],
            modulus: None,
            share: Share::default(),
        }
    }
}

impl Default for Chains {
    fn default() -> Self {
        Self {
            train: 4096,
            dev: 256,
            test: 512,
            seed: 0,
            levels: vec![Level::default()],
            styles: vec![Style::default()],
            shown: None,
            rounds: None,
            facts: None,
        }
    }
}

impl Chains {
    /// What the recipe must not say.
    ///
    /// # Errors
    /// [`TaskError::Refused`], with the key.
    pub fn check(&self) -> Result<(), TaskError> {
        let sizes = items::sizes("chains", [self.train, self.dev, self.test])?;
        if self.levels.is_empty() {
            return Err(refused(
                "task.chains.levels".into(),
                "must hold a level",
                "none",
                "add [[task.chains.levels]]",
            ));
        }
        self.levels.iter().try_for_each(Level::check)?;
        self.styles.iter().try_for_each(Style::check)?;
        self.shown.iter().try_for_each(Shown::check)?;
        self.rounds.iter().try_for_each(Rounds::check)?;
        self.facts.iter().try_for_each(Facts::check)?;
        if self.facts.is_some() && (self.shown.is_some() || self.rounds.is_some()) {
            let hint = "a fact has no steps to show, and no rounds; leave one of them out";
            return Err(refused("task.chains.facts".into(), "contradicts `shown` and `rounds`", "both", hint));
        }
        if let Some(level) = self.levels.iter().find(|level| self.facts.is_some() && level.name == facts::NAME) {
            let hint = "the level of what `facts` asks has that name";
            return Err(refused("task.chains.levels.name".into(), "must be another", &level.name, hint));
        }
        for (split, n) in sizes.into_iter().enumerate() {
            if n > 0 && self.levels.iter().map(|level| level.share.of(split)).sum::<f64>() <= 0.0 {
                let key = format!("task.chains.levels.share.{}", SPLITS[split]);
                return Err(refused(key, "must be above 0 for one level", 0, "or ask for no items of the split"));
            }
        }
        if self.styles.iter().map(|style| style.share).sum::<f64>() <= 0.0 {
            let (key, hint) = ("task.chains.styles.share".into(), "solutions are written in one of the styles");
            return Err(refused(key, "must be above 0 for one style", 0, hint));
        }
        Ok(())
    }

    /// The splits share no prompt but those of `facts`. A split has of each level its share, to the item.
    ///
    /// # Errors
    /// Those of [`Chains::check`]; a level without enough expressions, a table without enough keys; a tokenizer or a model that cannot hold an item.
    pub fn build(&self, codec: &dyn Codec, limits: Limits) -> Result<Task, TaskError> {
        self.check()?;
        let expressions = self.expressions()?;
        let stream = Stream::new(self.seed, "chains/solutions");
        let mut index = 0;
        let [train, dev, test] = expressions;
        let mut made = [(Use::Learn, train), (Use::Judge, dev), (Use::Judge, test)].map(|(of, split)| {
            let made = split.into_iter().map(|(level, expression)| {
                index += 1;
                self.made(of, level, &expression, &mut Draw::of(stream.dice(index, 0, 0)))
            });
            made.collect::<Vec<Made>>()
        });
        if let Some(facts) = &self.facts {
            made.iter_mut().zip(facts.items(self.seed)?).for_each(|(split, facts)| split.extend(facts));
        }
        items::task("chains", made, self.seed, codec, limits)
    }

    /// The expressions of each split, with the index of their level. Test and dev are drawn first: they are the same
    /// whatever there is to learn from.
    fn expressions(&self) -> Result<[Vec<(usize, Expression)>; 3], TaskError> {
        let mut splits: [Vec<(usize, Expression)>; 3] = Default::default();
        let (mut seen, mut stratum) = (HashSet::new(), 0);
        for split in [2, 1, 0] {
            let n = [self.train, self.dev, self.test][split];
            let weights: Vec<f64> = self.levels.iter().map(|level| level.share.of(split)).collect();
            if n == 0 {
                continue;
            }
            for (at, (level, n)) in self.levels.iter().zip(apportion(n, &weights)).enumerate() {
                let counts: Vec<usize> = (level.operands[0]..=level.operands[1]).collect();
                for (&count, n) in counts.iter().zip(apportion(n, &vec![1.0; counts.len()])) {
                    stratum += 1;
                    let make = |draw: &mut Draw| {
                        let expression = level.expression(count, draw);
                        (expression.prompt(), expression)
                    };
                    let stream = Stream::new(self.seed, "chains/expressions");
                    let found = distinct(n, level.size(count), stream, stratum, &mut seen, make);
                    if found.len() < n {
                        let problem = format!(
                            "asks for {n} items of {count} operands for {}, and has no more than {} that no other split or level took",
                            SPLITS[split],
                            found.len()
                        );
                        let hint = "ask for fewer items, or give the level more digits, operands or operators";
                        return Err(refused("task.chains.levels".into(), &problem, &level.name, hint));
                    }
                    splits[split].extend(found.into_iter().map(|expression| (at, expression)));
                }
            }
        }
        Ok(splits)
    }

    fn made(&self, of: Use, level: usize, expression: &Expression, draw: &mut Draw) -> Made {
        let steps = expression.operators.len();
        let shown = self.shown.as_ref().filter(|shown| of == Use::Learn && steps > 1 && draw.chance(shown.share));
        let rounds =
            self.rounds.as_ref().filter(|rounds| of == Use::Learn && shown.is_none() && draw.chance(rounds.share));
        let style = &self.styles[draw.weighted(self.styles.iter().map(|style| style.share))];
        let mut columns = vec![
            ("level", Value::from(self.levels[level].name.as_str())),
            ("style", Value::from(style.name.as_str())),
            ("operands", Value::from(expression.operands.len())),
        ];
        // What stands behind the prompt, and how many steps are right for sure.
        let (behind, given) = match shown {
            None => (String::new(), 0),
            Some(Shown { mark, what: What::Answer, .. }) => (format!("{mark}{}", expression.value()), steps),
            Some(Shown { mark, what: What::Steps, .. }) => {
                let given = shown::hinted(steps, 1 + draw.below(3) as usize);
                (format!("{mark}{}", shown::text(expression, given)), given)
            }
        };
        if self.shown.is_some() {
            columns.push(("shown", Value::from(shown.map_or("none", |shown| shown.what.name()))));
            let hint = |level| Value::from(shown::text(expression, shown::hinted(steps, level)));
            columns.extend([("hint_1", hint(1)), ("hint_2", hint(2)), ("hint_3", hint(3))]);
        }
        let round = rounds.map(|rounds| rounds.round(expression, style, draw));
        if self.rounds.is_some() {
            columns.push(("round", Value::from(round.as_ref().map_or(0, |round| round.number))));
        }
        let (behind, solution) = match round {
            Some(round) => (round.before, round.solution),
            None => (behind, style.solution(expression, given, draw)),
        };
        Made {
            prompt: expression.prompt() + &behind,
            answer: Value::from(expression.value().to_string()),
            solution,
            columns,
        }
    }
}

impl Share {
    fn of(self, split: usize) -> f64 {
        [self.train, self.dev, self.test][split]
    }
}

impl Level {
    fn check(&self) -> Result<(), TaskError> {
        let key = |field: &str| format!("task.chains.levels.{field}");
        let [least, most] = self.operands;
        if least == 0 || least > most || most > 16 {
            let hint = "the fewest and the most, such as [4, 5]";
            return Err(refused(
                key("operands"),
                "must be two numbers of 1 to 16, in order",
                format!("{:?}", self.operands),
                hint,
            ));
        }
        if !(1..=6).contains(&self.digits) {
            return Err(refused(key("digits"), "must be in 1..=6", self.digits, "digits of an operand"));
        }
        if self.operators.is_empty() {
            return Err(refused(key("operators"), "must hold an operator", "none", "of \"+\", \"-\" and \"*\""));
        }
        if self.modulus.is_some_and(|modulus| !(2..=1_000_000).contains(&modulus)) {
            let got = self.modulus.unwrap_or_default();
            return Err(refused(key("modulus"), "must be in 2..=1000000", got, "leave it out for whole numbers"));
        }
        let is_product = self.operators.contains(&Operator::Multiply) && self.modulus.is_none();
        if is_product && most * self.digits as usize > 18 {
            let hint = "a product of so many digits has more than 18; take fewer, or a modulus";
            return Err(refused(
                key("digits"),
                "must be at most 18 over all operands where there are products",
                self.digits,
                hint,
            ));
        }
        items::weight(key("share.train"), self.share.train)?;
        items::weight(key("share.dev"), self.share.dev)?;
        items::weight(key("share.test"), self.share.test)
    }

    /// How many values an operand has, and the least of them.
    fn operand(&self) -> (u64, i64) {
        let least = 10i64.pow(self.digits - 1);
        (9 * least as u64, least)
    }

    /// How many expressions of `count` operands there are; the largest number where there are more.
    fn size(&self, count: usize) -> u128 {
        let operands = u128::from(self.operand().0).saturating_pow(count as u32);
        operands.saturating_mul((self.operators.len() as u128).saturating_pow(count as u32 - 1))
    }

    fn expression(&self, count: usize, draw: &mut Draw) -> Expression {
        let (values, least) = self.operand();
        let operands = (0..count).map(|_| least + draw.below(values) as i64).collect();
        let operator = |draw: &mut Draw| self.operators[draw.below(self.operators.len() as u64) as usize];
        let operators = (1..count).map(|_| operator(draw)).collect();
        Expression { operands, operators, modulus: self.modulus.map(i64::from) }
    }
}
