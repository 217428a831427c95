//! How a worked solution is written, and how often it is right.

use serde::{Deserialize, Serialize};

use super::{
    super::{draw::Draw, items},
    expression::{Expression, Operator, Slip},
};
use cohort_env::TaskError;

/// What stands between the think tags.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// Every step: `<think>4+7=11,11+2=13</think><answer>13</answer>`.
    #[default]
    Steps,
    /// Nothing: `<think></think><answer>13</answer>`.
    Direct,
    /// Some steps, each left out with a chance of one half: `<think>11+2=13</think><answer>13</answer>`.
    Sloppy,
    /// A plan, then every step as it says: `*-;<think>3*4=12,20-12=8</think><answer>8</answer>` of `20-3*4=`. The plan is the
    /// signs in the order in which they are worked out, each the leftmost of its kind that is left.
    Planned,
}

/// A way to write solutions. Habits are independent of each other and of whether the solution is right.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Style {
    /// Its name, in the column `style`.
    pub name: String,
    /// How often it comes beside the other styles: a weight, drawn for each item.
    pub share: f64,
    /// What stands between the think tags.
    pub form: Form,
    /// The probability that a solution is right. A wrong one has a slip of at most 9 in one step and goes on from there.
    pub right: f64,
    /// The probability of a slip in each step by itself, beside `right`: of `n` steps `(1 - slip)^n` of the solutions have none.
    #[serde(skip_serializing_if = "is_none")]
    pub slip: f64,
    /// The probability that the plan of a `planned` solution is another order, which leads to another answer (unless no order
    /// does).
    #[serde(skip_serializing_if = "is_none")]
    pub misplanned: f64,
    /// The last step is written again, so many times: the fewest and the most, each number equally often.
    #[serde(skip_serializing_if = "is_never")]
    pub repeats: [usize; 2],
    /// Full stops after each step but the last, so many on average (geometric): `4+7=11...,11+2=13`.
    pub filler: f64,
    /// The probability that the answer stands without its tags: `<think>4+7=11,11+2=13</think>13`.
    pub unboxed: f64,
    /// The probability that a solution breaks off inside its steps, without an answer: `<think>4+7=11,1`.
    pub truncated: f64,
    /// The probability that the thought is left inside its steps and the latest result in it, as far as it is written, is the
    /// answer (the first operand before there is one): `<think>4+7=11,1</think><answer>11</answer>`.
    #[serde(skip_serializing_if = "is_none")]
    pub interrupted: f64,
}

fn is_none(probability: &f64) -> bool {
    *probability == 0.0
}

fn is_never(repeats: &[usize; 2]) -> bool {
    *repeats == [0, 0]
}

impl Default for Style {
    fn default() -> Self {
        Self {
            name: "steps".into(),
            share: 1.0,
            form: Form::Steps,
            right: 1.0,
            slip: 0.0,
            misplanned: 0.0,
            repeats: [0, 0],
            filler: 0.0,
            unboxed: 0.0,
            truncated: 0.0,
            interrupted: 0.0,
        }
    }
}

impl Style {
    pub(super) fn check(&self) -> Result<(), TaskError> {
        let key = |field: &str| format!("task.chains.styles.{field}");
        items::weight(key("share"), self.share)?;
        items::in_unit(key("right"), self.right)?;
        items::in_unit(key("slip"), self.slip)?;
        items::in_unit(key("misplanned"), self.misplanned)?;
        items::in_unit(key("unboxed"), self.unboxed)?;
        items::in_unit(key("truncated"), self.truncated)?;
        items::in_unit(key("interrupted"), self.interrupted)?;
        if !(0.0..=1000.0).contains(&self.filler) {
            return Err(items::refused(
                key("filler"),
                "must be in 0..=1000",
                self.filler,
                "it is a mean number of tokens",
            ));
        }
        let [least, most] = self.repeats;
        if least > most || most > 1000 {
            let (got, hint) = (format!("{:?}", self.repeats), "the fewest and the most, such as [1, 3]");
            return Err(items::refused(key("repeats"), "must be two numbers of 0 to 1000, in order", got, hint));
        }
        Ok(())
    }

    /// The slips of a solution whose first `shown` steps are right for sure.
    pub(super) fn slips(&self, expression: &Expression, shown: usize, draw: &mut Draw) -> Vec<Slip> {
        let one = (!draw.chance(self.right)).then(|| slip(expression, expression.value(), draw));
        let mut slips: Vec<Slip> = one.into_iter().collect();
        if self.slip > 0.0 {
            for step in 0..expression.operators.len() {
                if draw.chance(self.slip) {
                    slips.push(Slip { step, by: size(expression, draw) });
                }
            }
        }
        slips.retain(|slip| slip.step >= shown);
        slips
    }

    /// The solution of `expression`, whose first `shown` steps are right for sure, drawn from `draw`.
    pub(super) fn solution(&self, expression: &Expression, shown: usize, draw: &mut Draw) -> String {
        let slips = self.slips(expression, shown, draw);
        let order = match self.form {
            Form::Planned if draw.chance(self.misplanned) => misplanned(expression, draw),
            Form::Steps | Form::Direct | Form::Sloppy | Form::Planned => expression.order(),
        };
        let steps = expression.steps_in(&order, &slips);
        // An expression of one operand has no step to slip in.
        let answer = match (steps.last(), slips.first()) {
            (Some(step), _) => step.result,
            (None, Some(Slip { by, .. })) => expression.reduced(expression.value() + by),
            (None, None) => expression.value(),
        };
        let plan = match self.form {
            Form::Planned => order.iter().map(|operator| operator.sign()).chain([';']).collect(),
            Form::Steps | Form::Direct | Form::Sloppy => String::new(),
        };
        let again = match self.repeats {
            [0, 0] => 0,
            [least, most] => least + draw.below((most - least) as u64 + 1) as usize,
        };
        let last = steps.len().saturating_sub(1);
        let mut thought = String::new();
        for step in steps.iter().chain(std::iter::repeat_n(steps.get(last), again).flatten()) {
            let is_written = match self.form {
                Form::Steps | Form::Planned => true,
                Form::Direct => false,
                Form::Sloppy => draw.chance(0.5),
            };
            if is_written {
                if !thought.is_empty() {
                    thought.extend(std::iter::repeat_n('.', draw.geometric(self.filler)));
                    thought.push(',');
                }
                thought += &step.to_string();
            }
        }
        let is_truncated = draw.chance(self.truncated);
        if is_truncated && !thought.is_empty() {
            thought.truncate(1 + draw.below(thought.len() as u64) as usize);
            return format!("{plan}<think>{thought}");
        }
        if self.interrupted > 0.0 && draw.chance(self.interrupted) && !thought.is_empty() {
            thought.truncate(1 + draw.below(thought.len() as u64) as usize);
            let first = expression.operands.first().map(i64::to_string).unwrap_or_default();
            let answer = latest(&thought).unwrap_or(&first);
            return format!("{plan}<think>{thought}</think><answer>{answer}</answer>");
        }
        match draw.chance(self.unboxed) {
            true => format!("{plan}<think>{thought}</think>{answer}"),
            false => format!("{plan}<think>{thought}</think><answer>{answer}</answer>"),
        }
    }
}

/// What stands behind the last equals sign that a number follows, as far as it is written.
fn latest(thought: &str) -> Option<&str> {
    let number = |behind: &'_ str| behind.find(|c: char| c != '-' && !c.is_ascii_digit()).unwrap_or(behind.len());
    let numbers = thought.split('=').skip(1).map(|behind| &behind[..number(behind)]);
    numbers.filter(|number| number.ends_with(|c: char| c.is_ascii_digit())).last()
}

/// By how much a step is off: at most 9, either way.
fn size(expression: &Expression, draw: &mut Draw) -> i64 {
    let size = match expression.modulus {
        Some(modulus) => 1 + draw.below(9.min(modulus as u64 - 1)) as i64,
        None => 1 + draw.below(9) as i64,
    };
    if draw.chance(0.5) { size } else { -size }
}

/// A mistake that changes the answer: in a drawn step, or in the last one where that would not show.
fn slip(expression: &Expression, truth: i64, draw: &mut Draw) -> Slip {
    let steps = expression.operators.len();
    let by = size(expression, draw);
    let step = draw.below(steps.max(1) as u64) as usize;
    let slip = Slip { step, by };
    match expression.steps(&[slip]).last() {
        Some(last) if last.result == truth => Slip { step: steps - 1, by },
        _ => slip,
    }
}

/// Another order of the signs, which leads to another answer; the right one where some tries find none.
fn misplanned(expression: &Expression, draw: &mut Draw) -> Vec<Operator> {
    let (right, truth) = (expression.order(), expression.value());
    for _ in 0..16 {
        let mut left = right.clone();
        let order: Vec<Operator> =
            (0..right.len()).map(|_| left.remove(draw.below(left.len() as u64) as usize)).collect();
        if expression.value_in(&order) != truth {
            return order;
        }
    }
    right
}

#[cfg(test)]
mod tests {
    use cohort_core::Stream;

    use super::*;

    #[test]
    fn a_wrong_solution_is_wrong_whatever_swallows_the_slip() {
        // Times zero modulo 3: a slip in the first step is gone in the second.
        let operators = vec![Operator::Add, Operator::Multiply];
        let expression = Expression { operands: vec![1, 3, 5], operators, modulus: Some(3) };
        let style = Style { right: 0.0, ..Style::default() };
        let truth = format!("<answer>{}</answer>", expression.value());
        for index in 0..200 {
            let text = style.solution(&expression, 0, &mut Draw::of(Stream::new(1, "slips").dice(index, 0, 0)));
            assert!(!text.ends_with(&truth), "{text}");
        }
        let alone = Expression { operands: vec![4], operators: Vec::new(), modulus: None };
        let text = style.solution(&alone, 0, &mut Draw::of(Stream::new(1, "slips").dice(0, 0, 0)));
        assert!(!text.ends_with("<answer>4</answer>"), "{text}");
    }
}
