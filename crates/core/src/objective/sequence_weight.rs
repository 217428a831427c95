//! `-weight * coefficient * logp` with a constant weight of the whole trajectory.

use super::{Evaluation, Seen, Survey, unit::trained};
use crate::metric::Metric;

/// Adds the likelihood of every action, weighted by its coefficient and by `of(log_ratio, coefficient)`, constant in
/// the derivative. `log_ratio` is that of the trajectory: a sum of `log_ratio_of(logp - old_logp)` over its trained
/// actions. `weights` hold mask over denominator times factors.
pub(super) fn evaluate(
    g: usize,
    group: &[Seen<'_>],
    weights: &[Vec<f64>],
    survey: &Survey,
    parts: &mut [Evaluation],
    log_ratio_of: impl Fn(f64) -> f64,
    of: impl Fn(f64, f64) -> f64,
) {
    for (t, ((seen, weight), part)) in group.iter().zip(weights).zip(parts).enumerate() {
        let log_ratio: f64 =
            trained(survey.weights[g][t].as_ref()).map(|i| log_ratio_of(seen.rows.logp[i] - seen.old_logp[i])).sum();
        // The weight depends on the sign of the coefficient alone, which seldom changes inside a trajectory.
        let mut last: Option<(f64, f64)> = None;
        let (mut count, mut total) = (0.0, 0.0);
        for i in (0..weight.len()).filter(|&i| weight[i] != 0.0) {
            let coefficient = seen.credit.coefficient[i];
            let share = match last {
                Some((same, share)) if same == coefficient => share,
                _ => of(log_ratio, coefficient),
            };
            last = Some((coefficient, share));
            let scale = weight[i] * share * coefficient;
            part.loss -= scale * seen.rows.logp[i];
            part.gradients.logp[i] -= scale;
            count += 1.0;
            total += share;
        }
        if count > 0.0 {
            part.metrics.add("sequence_weight", Metric::Mean { total, weight: count });
        }
    }
}
