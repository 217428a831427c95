//! Long expressions in rounds, each of which sees the latest progress alone.

use cohort_env::TaskError;
use serde::{Deserialize, Serialize};

use super::{
    super::{
        draw::Draw,
        items::{self, refused},
    },
    expression::{Expression, Slip, Step},
    style::Style,
};

/// Some train items are one round of an expression: its share of the steps and what is left (`4+7=11,11+2=13:13+5+8;`), or in the
/// last round the answer (`13+5=18,18+8=26<answer>26</answer>`). A later round stands behind the prompt, the mark, the round
/// before it and the mark, `4+7+2+5+8=:4+7=11,11+2=13:13+5+8;:`, which is what `[[rollout.rounds]]` with `say = ":"` in every round,
/// `carry = "latest"` behind the first and `stop = [";"]` puts there: rounds of a bounded budget solve what one such round cannot.
/// The second mark tells where a round begins from where one ends.
///
/// Column: `round`, from 1 on, and 0 of an item that is solved in one go under its plain prompt. Of a style, `right` and `slip` are
/// heeded, of which a round has the slips that fall into its own steps; what stands before it is right.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Rounds {
    /// The share of the train items that are a round: a probability, drawn for each item.
    pub share: f64,
    /// Rounds of an expression, which share its steps: of `n` steps the first `i` rounds have `i n / count`, rounded up.
    pub count: usize,
    /// What stands behind the prompt in all rounds, and tells them from a solution in one go, and behind the round before.
    pub mark: String,
}

impl Default for Rounds {
    fn default() -> Self {
        Self { share: 0.5, count: 2, mark: ":".into() }
    }
}

/// One round in words.
pub(super) struct Round {
    /// From 1.
    pub number: usize,
    /// What stands behind the prompt.
    pub before: String,
    pub solution: String,
}

impl Rounds {
    pub(super) fn check(&self) -> Result<(), TaskError> {
        items::in_unit("task.chains.rounds.share".into(), self.share)?;
        if !(1..=16).contains(&self.count) {
            let (key, hint) = ("task.chains.rounds.count".into(), "an expression has 16 operands at most");
            return Err(refused(key, "must be in 1..=16", self.count, hint));
        }
        Ok(())
    }

    /// A round of `expression`, each equally often.
    pub(super) fn round(&self, expression: &Expression, style: &Style, draw: &mut Draw) -> Round {
        let index = draw.below(self.count as u64) as usize;
        let before = match index {
            0 => String::new(),
            _ => self.text(expression, index - 1, |_| Vec::new()) + &self.mark,
        };
        let solution = self.text(expression, index, |rest| style.slips(rest, 0, draw));
        Round { number: index + 1, before: format!("{}{before}", self.mark), solution }
    }

    /// What round `index` (from 0) writes, with the slips of what is left at its beginning.
    fn text(&self, expression: &Expression, index: usize, slips: impl FnOnce(&Expression) -> Vec<Slip>) -> String {
        let steps = expression.operators.len();
        let [first, end] = [index, index + 1].map(|rounds| (rounds * steps).div_ceil(self.count));
        let rest = expression.after(first, &[]);
        let slips = slips(&rest);
        let written: Vec<String> = rest.steps(&slips).iter().take(end - first).map(Step::to_string).collect();
        let left = rest.after(end - first, &slips);
        match index + 1 < self.count {
            true => format!("{}:{};", written.join(","), left.text()),
            false => format!("{}<answer>{}</answer>", written.join(","), left.value()),
        }
    }
}
