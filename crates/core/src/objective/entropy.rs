//! The entropy of the policy in the loss.

use serde::{Deserialize, Serialize};

use super::{Evaluation, Seen};
use crate::{
    method_error::{MethodError, Place},
    metric::Metric,
    trajectory::check_column,
};

/// What the loss does with the entropy of every action's distribution.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Entropy {
    /// It is measured and not trained.
    #[default]
    None,
    /// `-coefficient * H`, weighted as the surrogate is.
    Bonus {
        /// Above 0.
        #[serde(default = "small")]
        coefficient: f64,
    },
}

fn small() -> f64 {
    1e-3
}

impl Entropy {
    /// Whether the entropy column must be there.
    pub fn reads_entropy(self) -> bool {
        self != Entropy::None
    }

    pub(super) fn evaluate(
        self,
        seen: &Seen<'_>,
        weight: &[f64],
        place: Place,
        part: &mut Evaluation,
    ) -> Result<(), MethodError> {
        let entropy = &seen.rows.entropy;
        if self.reads_entropy() || !entropy.is_empty() {
            check_column("entropy", entropy, weight.len(), place)?;
        }
        if let Entropy::Bonus { coefficient } = self {
            part.loss -= coefficient * entropy.iter().zip(weight).map(|(h, w)| h * w).sum::<f64>();
            for (d, w) in part.d_entropy().iter_mut().zip(weight) {
                *d -= coefficient * w;
            }
        }
        let (mut total, mut trained) = (0.0, 0.0);
        for (h, _) in entropy.iter().zip(weight).filter(|(_, w)| **w != 0.0) {
            total += h;
            trained += 1.0;
        }
        part.metrics.add("entropy", Metric::Mean { total, weight: trained });
        Ok(())
    }
}
