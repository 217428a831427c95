//! The sequence ratio, clipped, with every trajectory counted by its length.

use serde::{Deserialize, Serialize};

use super::{Evaluation, Seen, Survey, surrogate::above_zero, unit::trained};
use crate::{
    metric::Metric,
    registry::{Axis, Entry, Parameter},
};

pub(super) const ENTRY: Entry = Entry {
    axis: Axis::Surrogate,
    name: "luspo",
    summary: "GSPO's clipped sequence ratio, times the number of the trajectory's actions",
    formula: "s = exp(mean over the trajectory's n trained actions of logp - old_logp), differentiated; loss = -sum w n \
              min(s A, clip(s, 1 - low, 1 + high) A), w = mask over the denominator. Under the denominator sequence the n \
              undoes the division by length, so that every action counts alike wherever it stands: the mean over \
              trajectories of sums over actions.",
    parameters: &[
        Parameter { name: "low", default: "0.2", range: "in (0, 1]", meaning: "how far the ratio may fall" },
        Parameter { name: "high", default: "0.2", range: "above 0", meaning: "how far the ratio may rise" },
    ],
    reads: &["old_logp"],
    source: "LUSPO, 2026, arXiv 2602.05261; as in TRL 1.16, loss_type luspo with importance_sampling_level sequence",
    unverified: "the paper's own clip; the defaults are TRL's epsilon",
    ..Entry::NONE
};

/// Length-unbiased sequence policy optimisation.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Luspo {
    /// In (0, 1].
    pub low: f64,
    /// Above 0.
    pub high: f64,
}

impl Default for Luspo {
    fn default() -> Self {
        Self { low: 0.2, high: 0.2 }
    }
}

impl Luspo {
    pub(super) fn check(&self) -> Result<(), (String, String)> {
        above_zero("luspo.high", self.high)?;
        if self.low > 0.0 && self.low <= 1.0 {
            Ok(())
        } else {
            Err(("luspo.low".to_owned(), "must lie in (0, 1]".to_owned()))
        }
    }

    /// The clipped term and its derivative by the ratio.
    pub fn of(&self, ratio: f64, coefficient: f64) -> (f64, f64) {
        let bound = ratio.clamp(1.0 - self.low, 1.0 + self.high);
        if bound * coefficient < ratio * coefficient {
            (bound * coefficient, 0.0)
        } else {
            (ratio * coefficient, coefficient)
        }
    }

    pub(super) fn evaluate(
        &self,
        g: usize,
        group: &[Seen<'_>],
        weights: &[Vec<f64>],
        survey: &Survey,
        parts: &mut [Evaluation],
    ) {
        for (t, ((seen, weight), part)) in group.iter().zip(weights).zip(parts).enumerate() {
            let mask = survey.weights[g][t].as_ref();
            let (mut length, mut total) = (0.0, 0.0);
            for i in trained(mask) {
                length += 1.0;
                total += seen.rows.logp[i] - seen.old_logp[i];
            }
            if length == 0.0 {
                continue;
            }
            let ratio = (total / length).exp();
            let (mut slope, mut count, mut closed) = (0.0, 0.0, 0.0);
            for i in (0..weight.len()).filter(|&i| weight[i] != 0.0) {
                let coefficient = seen.credit.coefficient[i];
                let (value, by_ratio) = self.of(ratio, coefficient);
                part.loss -= weight[i] * length * value;
                slope -= weight[i] * by_ratio;
                count += 1.0;
                closed += f64::from(u8::from(by_ratio == 0.0 && coefficient != 0.0));
            }
            // The length and the mean's 1 / length cancel.
            for i in trained(mask) {
                part.gradients.logp[i] += slope * ratio;
            }
            if count > 0.0 {
                part.metrics.add("clip_fraction", Metric::Mean { total: closed, weight: count });
                part.metrics.add("ratio_max", Metric::Max(ratio));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_closes_on_the_far_side_only() {
        let luspo = Luspo::default();
        assert_eq!(luspo.of(1.5, 2.0), (2.4, 0.0));
        assert_eq!(luspo.of(0.5, 2.0), (1.0, 2.0));
        assert_eq!(luspo.of(0.5, -1.0), (-0.8, 0.0));
        assert_eq!(luspo.of(1.5, -1.0), (-1.5, -1.0));
        assert_eq!(luspo.of(1.0, 3.0), (3.0, 3.0));
    }
}
