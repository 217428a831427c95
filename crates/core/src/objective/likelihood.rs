//! The likelihood of given actions.

use super::{Evaluation, Seen};
use crate::{
    metric::Metric,
    registry::{Axis, Entry},
};

pub(super) const ENTRY: Entry = Entry {
    axis: Axis::Surrogate,
    name: "likelihood",
    summary: "log-likelihood times the coefficient: supervised training, rejection fine-tuning, plain REINFORCE",
    formula: "loss = -sum w A logp, w = mask over the denominator, A the action's coefficient; no ratio and no gate. With \
              rewards of 0 and 1 and neither baseline nor scale it is rejection fine-tuning; with a group's advantages it is \
              on-policy REINFORCE (verl's gpg, RLOO).",
    source: "Williams 1992, section 3; as policy loss gpg of verl: GPG, 2025, arXiv 2504.02546",
    ..Entry::NONE
};

/// Adds `-weight * coefficient * logp` of every action.
pub(super) fn evaluate(group: &[Seen<'_>], weights: &[Vec<f64>], parts: &mut [Evaluation]) {
    for ((seen, weight), part) in group.iter().zip(weights).zip(parts) {
        let (mut trained, mut total) = (0.0, 0.0);
        for i in (0..weight.len()).filter(|&i| weight[i] != 0.0) {
            let scale = weight[i] * seen.credit.coefficient[i];
            part.loss -= scale * seen.rows.logp[i];
            part.gradients.logp[i] -= scale;
            trained += 1.0;
            total -= seen.rows.logp[i];
        }
        if trained > 0.0 {
            part.metrics.add("negative_log_likelihood", Metric::Mean { total, weight: trained });
        }
    }
}
