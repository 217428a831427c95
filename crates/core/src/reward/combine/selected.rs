//! The terms that a combiner takes, with their weights.

use std::collections::BTreeMap;

use crate::{
    method_error::MethodError,
    outcome::Outcome,
    reward::{group::Group, weighted_sum::sum_of},
};

/// Terms and weights; a term of weight 0 is not among them.
pub(super) struct Selected<'a> {
    pub terms: Vec<(&'a str, f64)>,
}

impl<'a> Selected<'a> {
    /// Every weighted term.
    pub(super) fn all(weights: &'a BTreeMap<String, f64>) -> Self {
        let terms = weights.iter().map(|(name, weight)| (name.as_str(), *weight));
        Self { terms: terms.filter(|(_, weight)| *weight != 0.0).collect() }
    }

    /// These terms, with weight 1 where none is given.
    pub(super) fn of(weights: &BTreeMap<String, f64>, names: &'a [String]) -> Self {
        let terms = names.iter().map(|name| (name.as_str(), weights.get(name).copied().unwrap_or(1.0)));
        Self { terms: terms.filter(|(_, weight)| *weight != 0.0).collect() }
    }

    /// These terms; every weighted one where none is named.
    pub(super) fn of_or_all(weights: &'a BTreeMap<String, f64>, names: &'a [String]) -> Self {
        if names.is_empty() { Self::all(weights) } else { Self::of(weights, names) }
    }

    /// What the terms said of an episode, with their weights.
    pub(super) fn outcomes<'g>(
        &self,
        group: &Group<'g>,
        episode: usize,
    ) -> Result<Vec<(&'g Outcome, f64)>, MethodError> {
        self.terms.iter().map(|(name, weight)| Ok((group.outcome(episode, name)?, *weight))).collect()
    }

    /// Their weighted sum.
    pub(super) fn sum(&self, group: &Group<'_>, episode: usize) -> Result<Option<f64>, MethodError> {
        Ok(sum_of(self.outcomes(group, episode)?))
    }
}
