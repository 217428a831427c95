//! What a judge is asked: for a score, for a score by criterion, for the better of two.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::verifier::{VerifierError, limits};

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Mode {
    /// One score a completion.
    #[default]
    Score,
    /// A score a criterion; their weighted mean.
    Rubric(Rubric),
    /// Which of two completions of a prompt is better; the share of comparisons that a completion wins, a tie being half.
    Pairwise(Pairwise),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rubric {
    /// What is looked at, one by one.
    pub criteria: Vec<Criterion>,
    /// How many questions are made of them.
    #[serde(default)]
    pub calls: Calls,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Criterion {
    /// One word; it names the score.
    pub name: String,
    /// What is looked at.
    pub text: String,
    /// Its share of the mean, above 0.
    #[serde(default = "one")]
    pub weight: f64,
}

fn one() -> f64 {
    1.0
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Calls {
    /// One a criterion.
    #[default]
    Each,
    /// One for all, answered with a JSON object of a number a criterion.
    Once,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Pairwise {
    /// Completions that each is compared with, in both orders: the next ones around the group. All of the group unless told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub opponents: Option<usize>,
}

impl Mode {
    /// # Errors
    /// A rubric without criteria, with two of one name, or with a weight that is none; no opponents.
    pub(super) fn check(&self, range: [f64; 2]) -> Result<(), VerifierError> {
        match self {
            Mode::Score => Ok(()),
            Mode::Pairwise(_) if range != limits::pass_or_fail() => Err(VerifierError::BadText {
                parameter: "range",
                got: format!("{range:?}"),
                expected: "left out: a share of comparisons is between 0 and 1",
            }),
            Mode::Pairwise(Pairwise { opponents }) => limits::count("opponents", opponents.unwrap_or(1), 4096),
            Mode::Rubric(Rubric { criteria, .. }) => {
                let wrong = |got: &str, expected| {
                    Err(VerifierError::BadText { parameter: "mode.rubric.criteria", got: got.to_owned(), expected })
                };
                if criteria.is_empty() {
                    return wrong("[]", "a list of criteria, each with a name and a text");
                }
                let mut names = BTreeSet::new();
                for Criterion { name, text, weight } in criteria {
                    if name.trim().is_empty() || text.trim().is_empty() || !names.insert(name) {
                        return wrong(name, "named once, with a text");
                    }
                    if !(weight.is_finite() && *weight > 0.0) {
                        return wrong(name, "of a finite weight above 0");
                    }
                }
                Ok(())
            }
        }
    }
}

/// Pairs of a group of `n` that are compared: each with the `opponents` next ones around it, no pair twice.
pub(super) fn pairs(n: usize, opponents: Option<usize>) -> Vec<(usize, usize)> {
    let mut pairs = BTreeSet::new();
    let most = opponents.unwrap_or(n).min(n.saturating_sub(1));
    for a in 0..n {
        for step in 1..=most {
            let b = (a + step) % n;
            pairs.insert((a.min(b), a.max(b)));
        }
    }
    pairs.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_meets_as_many() {
        assert_eq!(pairs(3, None), [(0, 1), (0, 2), (1, 2)]);
        assert_eq!(pairs(4, Some(1)), [(0, 1), (0, 3), (1, 2), (2, 3)]);
        assert_eq!(pairs(8, None).len(), 28);
        for k in 1..4 {
            let pairs = pairs(9, Some(k));
            assert!((0..9).all(|i| pairs.iter().filter(|(a, b)| *a == i || *b == i).count() == 2 * k));
        }
        assert!(pairs(1, None).is_empty() && pairs(0, Some(3)).is_empty());
    }
}
