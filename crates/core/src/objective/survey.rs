//! What an objective must know of the whole optimizer batch.

use std::borrow::Cow;

use super::{Counts, Seen, entropy::EntropySurvey, surrogate::SurrogateSurvey};

/// Weights over the one denominator, and the statistics of batch-scope choices. Constant in every derivative.
#[derive(Clone, Debug, PartialEq)]
pub struct Survey {
    pub(super) counts: Counts,
    /// In the shape of the batch; `None` for what is not counted.
    pub(super) weights: Vec<Vec<Option<Vec<f64>>>>,
    pub(super) surrogate: SurrogateSurvey,
    pub(super) entropy: EntropySurvey,
}

impl Survey {
    /// The weight of every action of a group: zeros for what is not counted.
    pub(super) fn weights_of(&self, g: usize, group: &[Seen<'_>]) -> Vec<Cow<'_, [f64]>> {
        self.weights[g]
            .iter()
            .zip(group)
            .map(|(weight, seen)| match weight {
                Some(weight) => Cow::Borrowed(weight.as_slice()),
                None => Cow::Owned(vec![0.0; seen.trajectory.len()]),
            })
            .collect()
    }
}
