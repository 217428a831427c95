//! NeMo's penalty on malformed spans.

use serde::{Deserialize, Serialize};

use super::{Rows, Table, each_row};
use crate::{
    method_error::{MethodError, Place},
    registry::{Axis, Entry, Parameter},
};

pub(super) const ENTRY: Entry = Entry {
    axis: Axis::Shape,
    name: "malformed",
    summary: "actions of an invalid tool call or a malformed thought get a penalty, whatever the episode came to",
    formula: "Where the fact is 1 at an action: A_t <- -penalty (replace), or A_t - penalty (add). The fact is a list of 0 or 1 an action; a member \
              without it has nothing malformed.",
    parameters: &[
        Parameter {
            name: "fact",
            default: "malformed",
            range: "a fact's name",
            meaning: "a list, 1 at malformed actions",
        },
        Parameter { name: "penalty", default: "1", range: "at least 0", meaning: "in units of the advantage" },
        Parameter {
            name: "mode",
            default: "replace",
            range: "replace, add",
            meaning: "instead of the advantage, or beside it",
        },
    ],
    reads: &["facts.malformed"],
    source: "NeMo-RL `invalid_tool_call_advantage`, `malformed_thinking_advantage`",
    unverified: "that the framework replaces, and its values",
    ..Entry::NONE
};

/// How the penalty meets the advantage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Minus the penalty, in place of the advantage.
    #[default]
    Replace,
    /// The penalty is taken off the advantage.
    Add,
}

pub(super) fn fact() -> String {
    "malformed".to_owned()
}

pub(super) fn apply(
    table: &Table<'_>,
    rows: &mut Rows,
    fact: &str,
    penalty: f64,
    mode: Mode,
) -> Result<(), MethodError> {
    each_row(table, rows, |g, _, t, row| {
        let trajectory = &table.groups[g].trajectories[t];
        if trajectory.facts.get(fact).is_none() {
            return Ok(());
        }
        let place = Place::trajectory(g, t);
        let list = trajectory.list(fact, place)?;
        if let Some(got) = list.iter().find(|x| **x != 0.0 && **x != 1.0) {
            return Err(MethodError::unfit(place, format!("facts.{fact}"), "a list of 0 and 1", got));
        }
        for (value, _) in row.iter_mut().zip(list).filter(|(_, x)| **x == 1.0) {
            *value = match mode {
                Mode::Replace => -penalty,
                Mode::Add => *value - penalty,
            };
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::super::Shape;
    use super::*;
    use crate::{
        advantage::{Advantage, Scale, tests::group},
        facts::Fact,
        memory::Memory,
    };

    #[test]
    fn a_success_does_not_pay_for_a_malformed_call() {
        let mut batch = group(&[1.0, 0.0]);
        batch.trajectories[0].mask = vec![1.0; 2];
        batch.trajectories[0].facts.insert("malformed", Fact::List(vec![1.0, 0.0]));
        for (mode, want) in [(Mode::Replace, -1.0), (Mode::Add, -0.5)] {
            let shape = vec![Shape::Malformed { fact: fact(), penalty: 1.0, mode }];
            let advantage = Advantage { scale: Scale::None, shape, ..Advantage::default() };
            let credits = advantage.credit(std::slice::from_ref(&batch), &mut Memory::default()).unwrap();
            assert_eq!(credits[0][0].coefficient, [want, 0.5]);
        }
    }
}
