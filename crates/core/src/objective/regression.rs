//! Regression of the advantage on the log-ratio, both standardised in the group.

use serde::{Deserialize, Serialize};

use super::{
    Evaluation, Seen, Survey,
    unit::{mean, units},
};
use crate::{
    method_error::MethodError,
    metric::Metric,
    registry::{Axis, Entry, Parameter},
};

pub(super) const ENTRY: Entry = Entry {
    axis: Axis::Surrogate,
    name: "regression",
    summary: "the standardised log-ratio of a response is regressed on its advantage; no ratio, no clip",
    formula: "rho_i = sum over the trained actions of episode i of logp - old_logp; a_i = (rho_i - mean rho) / (std rho + \
              eps), mean and population std over the group, both differentiated; loss = mean over groups of mean_i (A_i - \
              a_i)^2. The target A_i is the coefficient of the episode's first trained action. A group whose targets \
              are all equal has loss 0 and counts as a group; an episode without a trained action has no part. Where all \
              rho are equal (the first update of a batch) std has derivative 0, so the slope by rho_i is -2 (A_i - mean \
              A) / (n eps): finite, and large. With targets standardised by the population std and eps -> 0 the loss of \
              a group is 2 - 2 corr(A, rho), whatever the scale of rho: a KL term is the only force on that scale. rho \
              is a sum, so long responses dominate it. Denominator and factors do not act: masks count as 0 or 1.",
    parameters: &[Parameter {
        name: "eps",
        default: "1e-4",
        range: "above 0",
        meaning: "added to the std of the log-ratios, in nats",
    }],
    reads: &["old_logp"],
    source: "Reg-GRPO: DeepVideo-R1, 2025, the loss of its section 3 (NeurIPS 2025)",
    unverified: "the value of eps",
    ..Entry::NONE
};

/// Reg-GRPO.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Regression {
    /// Above 0.
    pub eps: f64,
}

impl Default for Regression {
    fn default() -> Self {
        Self { eps: 1e-4 }
    }
}

impl Regression {
    pub(super) fn check(&self) -> Result<(), (String, String)> {
        super::surrogate::above_zero("regression.eps", self.eps)
    }

    /// The squared error of every member over their number, and the derivative of their sum by every log-ratio.
    pub fn of(&self, target: &[f64], rho: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let n = rho.len() as f64;
        let center = mean(rho);
        let std = (rho.iter().map(|r| (r - center).powi(2)).sum::<f64>() / n).sqrt();
        let scale = std + self.eps;
        let error: Vec<f64> = target.iter().zip(rho).map(|(a, r)| a - (r - center) / scale).collect();
        let terms = error.iter().map(|e| e * e / n).collect();
        let slope: Vec<f64> = error.iter().map(|e| -2.0 * e / n).collect();
        let center_slope = mean(&slope);
        let along: f64 = slope.iter().zip(rho).map(|(s, r)| s * (r - center)).sum();
        let slopes = slope
            .iter()
            .zip(rho)
            .map(|(s, r)| {
                // The derivative of the std; 0 where the std is 0.
                let of_std = if std > 0.0 { (r - center) / (n * std) } else { 0.0 };
                (s - center_slope) / scale - of_std * along / (scale * scale)
            })
            .collect();
        (terms, slopes)
    }

    pub(super) fn evaluate(
        &self,
        g: usize,
        group: &[Seen<'_>],
        survey: &Survey,
        parts: &mut [Evaluation],
    ) -> Result<(), MethodError> {
        let masks = &survey.weights[g];
        let units = units(g, group, masks)?;
        let Some(first) = units.first() else { return Ok(()) };
        let target: Vec<f64> = units.iter().map(|unit| unit.credit).collect();
        let constant = target.iter().all(|a| *a == target[0]);
        parts[first.trajectories[0]].metrics.add("groups_skipped", Metric::mean_of(f64::from(u8::from(constant))));
        if constant {
            return Ok(());
        }
        let rho: Vec<f64> = units.iter().map(|unit| unit.log_ratio(group, masks)).collect();
        let (terms, slopes) = self.of(&target, &rho);
        for ((unit, term), slope) in units.iter().zip(terms).zip(slopes) {
            let metrics = &mut parts[unit.trajectories[0]].metrics;
            metrics.add("regression_error", Metric::Mean { total: term * units.len() as f64, weight: 1.0 });
            unit.put(term / survey.counts.groups, slope / survey.counts.groups, masks, parts);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_two_minus_two_correlations() {
        let rho = [0.3, -1.2, 0.7, 2.0];
        // Rewards 1, 0, 0, 1: population std 1/2.
        let target = [1.0, -1.0, -1.0, 1.0];
        let center = mean(&rho);
        let (mut up, mut down) = (0.0, 0.0);
        for (a, r) in target.iter().zip(rho) {
            up += a * (r - center) / 4.0;
            down += (r - center).powi(2) / 4.0;
        }
        let loss = |rho: &[f64]| Regression { eps: 1e-13 }.of(&target, rho).0.iter().sum::<f64>();
        assert!((loss(&rho) - (2.0 - 2.0 * up / down.sqrt())).abs() < 1e-10);
        // The scale of rho says nothing.
        let large = rho.map(|r| 50.0 * r);
        assert!((loss(&large) - loss(&rho)).abs() < 1e-10);
    }

    /// Trap: at the first update all log-ratios are 0.
    #[test]
    fn equal_log_ratios_give_a_finite_slope() {
        let (terms, slopes) = Regression::default().of(&[1.0, -1.0], &[0.0, 0.0]);
        assert_eq!(terms, [0.5, 0.5]);
        assert_eq!(slopes, [-1.0 / 1e-4, 1.0 / 1e-4]);
        let (_, slopes) = Regression::default().of(&[1.0, -1.0, 0.0], &[0.1; 3]);
        assert!(slopes.iter().all(|s| s.is_finite()));
    }

    /// Trap: rho is a sum over actions, so the same drift an action makes a long response the only one that is seen.
    #[test]
    fn a_long_response_dominates() {
        let drift = 0.01;
        let rho = [1000.0 * drift, 10.0 * drift, -10.0 * drift];
        let alone = [2.0f64.sqrt(), -0.5f64.sqrt(), -0.5f64.sqrt()];
        let (terms, _) = Regression::default().of(&alone, &rho);
        assert!(terms.iter().sum::<f64>() < 1e-3, "the short ones, which drifted apart, are taken as equal");
    }
}
