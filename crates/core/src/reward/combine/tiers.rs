//! Each thing that must hold has its own punishment.

use serde::{Deserialize, Serialize};

use super::prelude::*;

/// One thing that must hold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tier {
    /// The term.
    pub of: String,
    /// Least score that passes.
    #[serde(default = "one")]
    pub threshold: f64,
    /// The reward where it does not hold.
    pub otherwise: f64,
}

fn one() -> f64 {
    1.0
}

impl Value for Vec<Tier> {
    fn fits(&self, _: &Bound) -> bool {
        !self.is_empty() && self.iter().all(|t| !t.of.is_empty() && t.threshold.is_finite() && t.otherwise.is_finite())
    }
}

fn two() -> Vec<Tier> {
    [("tags", -0.5), ("json", -0.1)]
        .map(|(of, otherwise)| Tier { of: of.to_owned(), threshold: one(), otherwise })
        .into()
}

parameters! {
    /// The value of the first tier that does not hold, else the weighted sum of `then`.
    Tiers {
        tiers: Vec<Tier> = two() => "[{ of = \"tags\", otherwise = -0.5 }, { of = \"json\", otherwise = -0.1 }]",
            words("a list of { of, threshold (1), otherwise }, at least one"), "what must hold, in order, and the reward where it does not";
        then: Vec<String> = names([]) => "[]", SOME_TERMS, "the terms that are summed where all hold; with none named, every weighted one";
    }
}

pub(super) const ENTRY: Entry = Entry {
    axis: Axis::Combine,
    name: "tiers",
    summary: "a fixed reward for the first thing that is missing, else the sum",
    formula: "otherwise_k of the first tier k with of_k < threshold_k; else the weighted sum of `then`. Terms after the first \
              missing tier are not read; no reward where a tier that is read abstains or failed",
    parameters: Tiers::PARAMETERS,
    source: "GroupRank: arXiv 2511.11653, tiered format reward",
    ..Entry::NONE
};

impl Tiers {
    pub(super) fn of(
        &self,
        weights: &BTreeMap<String, f64>,
        group: &Group<'_>,
        e: usize,
    ) -> Result<Option<f64>, MethodError> {
        for tier in &self.tiers {
            match group.outcome(e, &tier.of)?.value() {
                None => return Ok(None),
                Some(of) if of < tier.threshold => return Ok(Some(tier.otherwise)),
                Some(_) => {}
            }
        }
        Selected::of_or_all(weights, &self.then).sum(group, e)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reward::Combine;

    #[test]
    fn the_first_that_is_missing_decides() {
        let group = group(&[("tags", [0.0, 1.0, 1.0]), ("json", [1.0, 0.0, 1.0]), ("ndcg", [0.9, 0.9, 0.9])], &[]);
        let got = rewards(&Combine::Tiers(Tiers::default()), &[("ndcg", 1.0)], &group);
        close(&got, &[-0.5, -0.1, 0.9], 0.0);
    }
}
