//! How a worked solution is written, and how often it is right.

use serde::{Deserialize, Serialize};

use super::{
    super::{draw::Draw, items},
    expression::{Expression, Slip},
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
    /// Full stops after each step but the last, so many on average (geometric): `4+7=11...,11+2=13`.
    pub filler: f64,
    /// The probability that the answer stands without its tags: `<think>4+7=11,11+2=13</think>13`.
    pub unboxed: f64,
    /// The probability that a solution breaks off inside its steps, without an answer: `<think>4+7=11,1`.
    pub truncated: f64,
}

impl Default for Style {
    fn default() -> Self {
        Self {
            name: "steps".into(),
            share: 1.0,
            form: Form::Steps,
            right: 1.0,
            filler: 0.0,
            unboxed: 0.0,
            truncated: 0.0,
        }
    }
}

impl Style {
    pub(super) fn check(&self) -> Result<(), TaskError> {
        let key = |field: &str| format!("task.chains.styles.{field}");
        items::weight(key("share"), self.share)?;
        items::in_unit(key("right"), self.right)?;
        items::in_unit(key("unboxed"), self.unboxed)?;
        items::in_unit(key("truncated"), self.truncated)?;
        if !(0.0..=1000.0).contains(&self.filler) {
            return Err(items::refused(
                key("filler"),
                "must be in 0..=1000",
                self.filler,
                "it is a mean number of tokens",
            ));
        }
        Ok(())
    }

    /// The solution of `expression`, drawn from `draw`.
    pub(super) fn solution(&self, expression: &Expression, draw: &mut Draw) -> String {
        let truth = expression.value();
        let slip = (!draw.chance(self.right)).then(|| slip(expression, truth, draw));
        let steps = expression.steps(slip);
        // An expression of one operand has no step to slip in.
        let answer = match (steps.last(), slip) {
            (Some(step), _) => step.result,
            (None, Some(Slip { by, .. })) => expression.reduced(truth + by),
            (None, None) => truth,
        };
        let mut thought = String::new();
        for step in &steps {
            let is_written = match self.form {
                Form::Steps => true,
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
            return format!("<think>{thought}");
        }
        match draw.chance(self.unboxed) {
            true => format!("<think>{thought}</think>{answer}"),
            false => format!("<think>{thought}</think><answer>{answer}</answer>"),
        }
    }
}

/// A mistake that changes the answer: in a drawn step, or in the last one where that would not show.
fn slip(expression: &Expression, truth: i64, draw: &mut Draw) -> Slip {
    let steps = expression.operators.len();
    let size = match expression.modulus {
        Some(modulus) => 1 + draw.below(9.min(modulus as u64 - 1)) as i64,
        None => 1 + draw.below(9) as i64,
    };
    let by = if draw.chance(0.5) { size } else { -size };
    let step = draw.below(steps.max(1) as u64) as usize;
    let slip = Slip { step, by };
    match expression.steps(Some(slip)).last() {
        Some(last) if last.result == truth => Slip { step: steps - 1, by },
        _ => slip,
    }
}

#[cfg(test)]
mod tests {
    use cohort_core::Stream;

    use super::{super::expression::Operator, *};

    #[test]
    fn a_wrong_solution_is_wrong_whatever_swallows_the_slip() {
        // Times zero modulo 3: a slip in the first step is gone in the second.
        let operators = vec![Operator::Add, Operator::Multiply];
        let expression = Expression { operands: vec![1, 3, 5], operators, modulus: Some(3) };
        let style = Style { right: 0.0, ..Style::default() };
        let truth = format!("<answer>{}</answer>", expression.value());
        for index in 0..200 {
            let text = style.solution(&expression, &mut Draw::of(Stream::new(1, "slips").dice(index, 0, 0)));
            assert!(!text.ends_with(&truth), "{text}");
        }
        let alone = Expression { operands: vec![4], operators: Vec::new(), modulus: None };
        let text = style.solution(&alone, &mut Draw::of(Stream::new(1, "slips").dice(0, 0, 0)));
        assert!(!text.ends_with("<answer>4</answer>"), "{text}");
    }
}
