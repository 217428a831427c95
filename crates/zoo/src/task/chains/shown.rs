//! Prompts that show a part of the solution.

use cohort_env::TaskError;
use serde::{Deserialize, Serialize};

use super::{
    super::items::{self, refused},
    expression::{Expression, Step},
};

/// Some train items show a part of their solution behind the prompt, so that a supervised stage teaches what to do with it:
/// `4+7+2=?4+7=11` with `steps`, `4+7+2=?13` with `answer`. What is shown is right, and a solution is wrong only behind it.
///
/// Columns: `shown` (`none`, `steps`, `answer`) and `hint_1`, `hint_2`, `hint_3`, a quarter, a half and three quarters of the right
/// steps, rounded up, never the last one: what a hint in the rl stage says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Shown {
    /// The share of the train items that show something: a probability, drawn for each item of two operators or more.
    pub share: f64,
    /// What stands between the prompt and what is shown.
    pub mark: String,
    /// What is shown.
    pub what: What,
}

/// What a prompt shows of its solution.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// The first steps, as many as one of the three hints has.
    #[default]
    Steps,
    /// The answer. The solution behind it has no slip.
    Answer,
}

impl Default for Shown {
    fn default() -> Self {
        Self { share: 0.3, mark: "?".into(), what: What::Steps }
    }
}

impl What {
    pub(super) fn name(self) -> &'static str {
        match self {
            What::Steps => "steps",
            What::Answer => "answer",
        }
    }
}

impl Shown {
    pub(super) fn check(&self) -> Result<(), TaskError> {
        items::in_unit("task.chains.shown.share".into(), self.share)?;
        if self.mark.is_empty() {
            let hint = "without one a shown part is not told from the prompt";
            return Err(refused("task.chains.shown.mark".into(), "must not be empty", "\"\"", hint));
        }
        Ok(())
    }
}

/// How many steps the hint of `level` (1, 2, 3) has, of `steps`.
pub(super) fn hinted(steps: usize, level: usize) -> usize {
    (level * steps).div_ceil(4).min(steps.saturating_sub(1))
}

/// The first `count` right steps.
pub(super) fn text(expression: &Expression, count: usize) -> String {
    expression.steps(&[]).iter().take(count).map(Step::to_string).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hint_has_its_share_of_the_steps_and_never_the_last() {
        let of = |steps| [1, 2, 3].map(|level| hinted(steps, level));
        assert_eq!([of(0), of(1), of(2)], [[0, 0, 0], [0, 0, 0], [1, 1, 1]]);
        assert_eq!([of(3), of(4), of(8)], [[1, 2, 2], [1, 2, 3], [2, 4, 6]]);
    }
}
