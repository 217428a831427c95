//! The likelihood of given actions.

use super::{Evaluation, Seen};
use crate::metric::Metric;

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
