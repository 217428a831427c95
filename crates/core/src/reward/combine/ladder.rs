//! Levels of what has been reached.

use serde::{Deserialize, Serialize};

use super::prelude::*;

/// One step of the ladder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rung {
    /// The term.
    pub of: String,
    /// Least score that passes.
    #[serde(default = "one")]
    pub threshold: f64,
    /// The reward where this is the last step that passed.
    pub level: f64,
    /// Terms whose weighted sum is added at this step.
    #[serde(default)]
    pub plus: Vec<String>,
}

fn one() -> f64 {
    1.0
}

impl Value for Vec<Rung> {
    fn fits(&self, _: &Bound) -> bool {
        !self.is_empty() && self.iter().all(|s| !s.of.is_empty() && s.threshold.is_finite() && s.level.is_finite())
    }
}

fn two() -> Vec<Rung> {
    [("syntax", 0.1), ("testbench", 2.1)]
        .map(|(of, level)| Rung { of: of.to_owned(), threshold: one(), level, plus: Vec::new() })
        .into()
}

parameters! {
    /// The level of the last step that passed.
    Ladder {
        steps: Vec<Rung> = two() => "[{ of = \"syntax\", level = 0.1 }, { of = \"testbench\", level = 2.1 }]",
            words("a list of { of, threshold (1), level, plus ([]) } with rising levels, at least one"), "the steps, from the bottom";
        floor: f64 = 0.0, ANY, "the reward before the first step";
    } where |p| p.levels_rise() => "steps", "must have levels that rise from `floor`";
}

pub(super) const ENTRY: Entry = Entry {
    axis: Axis::Combine,
    name: "ladder",
    summary: "the level of the last step that was passed",
    formula: "level_k + weighted sum of plus_k, k = the last of the steps passed in order (of >= threshold) before the first one \
              that is not; floor where the first is not passed; floor < level_1 < level_2 < ... Steps after the first that is \
              not passed are not read; no reward where a term that is read failed, or a step abstains",
    parameters: Ladder::PARAMETERS,
    source: "VeriReason: arXiv 2505.11849 and its code: 0 < 0.1 + structure < 2.1",
    ..Entry::NONE
};

impl Ladder {
    fn levels_rise(&self) -> bool {
        let levels = std::iter::once(self.floor).chain(self.steps.iter().map(|s| s.level));
        levels.clone().zip(levels.skip(1)).all(|(low, high)| low < high)
    }

    pub(super) fn of(
        &self,
        weights: &BTreeMap<String, f64>,
        group: &Group<'_>,
        e: usize,
    ) -> Result<Option<f64>, MethodError> {
        let mut reached = None;
        for step in &self.steps {
            match group.outcome(e, &step.of)?.value() {
                None => return Ok(None),
                Some(of) if of < step.threshold => break,
                Some(_) => reached = Some(step),
            }
        }
        let Some(step) = reached else { return Ok(Some(self.floor)) };
        let mut reward = step.level;
        for (outcome, weight) in Selected::of(weights, &step.plus).outcomes(group, e)? {
            match outcome {
                Outcome::Scored { value } => reward += weight * value,
                Outcome::Abstain => {}
                Outcome::Timeout | Outcome::Error { .. } => return Ok(None),
            }
        }
        Ok(Some(reward))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reward::Combine;

    #[test]
    fn compiles_then_alike_then_passes() {
        let group = group(
            &[("syntax", [0.0, 1.0, 1.0, 0.0]), ("testbench", [0.0, 0.0, 1.0, 1.0]), ("structure", [0.5; 4])],
            &[],
        );
        let mut by = Ladder::default();
        by.steps[0].plus = names(["structure"]);
        close(&rewards(&Combine::Ladder(by.clone()), &[], &group), &[0.0, 0.6, 2.1, 0.0], 1e-12);
        by.steps[1].level = 0.05;
        assert_eq!(by.check().unwrap_err().0, "steps");
    }
}
