//! Regression of reward differences on differences of log-ratios.

use serde::{Deserialize, Serialize};

use super::{
    Evaluation, Seen, Survey,
    surrogate::above_zero,
    unit::{mean, units},
};
use crate::{
    method_error::MethodError,
    metric::Metric,
    registry::{Axis, Entry, Parameter},
};

pub(super) const ENTRY: Entry = Entry {
    axis: Axis::Surrogate,
    name: "rebel",
    summary: "differences of log-ratios are regressed on differences of rewards, pair by pair",
    formula: "rho_i = sum over the trained actions of episode i of logp - old_logp; loss = mean over groups of the mean over \
              the pairs i < j of the group's scored episodes of ((rho_i - rho_j) / eta - (r_i - r_j))^2. A group with fewer \
              than two of them has loss 0 and counts; an episode without a reward or without a trained action has no part. \
              At rho = 0 the slope by rho_i is -4 (r_i - mean r) / (eta (n - 1)). Equal rewards still hold the log-ratios \
              together. Denominator, factors and advantages do not act: masks count as 0 or 1.",
    parameters: &[Parameter {
        name: "eta",
        default: "1.0",
        range: "above 0",
        meaning: "nats of log-ratio for one of reward: the step size of the regression",
    }],
    reads: &["old_logp"],
    source: "REBEL: Gao et al. 2024, arXiv 2404.16767, algorithm 1; a baseline of DeepVideo-R1",
    unverified: "the value of eta; the paper draws one pair a prompt, here all pairs of the group are taken",
    ..Entry::NONE
};

/// REBEL over the pairs of a group.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Rebel {
    /// Above 0.
    pub eta: f64,
}

impl Default for Rebel {
    fn default() -> Self {
        Self { eta: 1.0 }
    }
}

impl Rebel {
    pub(super) fn check(&self) -> Result<(), (String, String)> {
        above_zero("rebel.eta", self.eta)
    }

    /// Every member's part of the mean over pairs, and the derivative of their sum by every log-ratio; at least two
    /// members. The mean over pairs of squared differences is twice the sample variance, so no pair is visited.
    pub fn of(&self, rewards: &[f64], rho: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let gap: Vec<f64> = rho.iter().zip(rewards).map(|(rho, r)| rho / self.eta - r).collect();
        let (center, pairs) = (mean(&gap), gap.len() as f64 - 1.0);
        let terms = gap.iter().map(|u| 2.0 * (u - center).powi(2) / pairs).collect();
        let slopes = gap.iter().map(|u| 4.0 * (u - center) / (pairs * self.eta)).collect();
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
        let mut units = units(g, group, masks)?;
        units.retain(|unit| unit.reward.is_some());
        if units.len() < 2 {
            return Ok(());
        }
        let rewards: Vec<f64> = units.iter().filter_map(|unit| unit.reward).collect();
        let rho: Vec<f64> = units.iter().map(|unit| unit.log_ratio(group, masks)).collect();
        let (terms, slopes) = self.of(&rewards, &rho);
        let total = terms.iter().sum();
        parts[units[0].trajectories[0]].metrics.add("regression_error", Metric::Mean { total, weight: 1.0 });
        for ((unit, term), slope) in units.iter().zip(terms).zip(slopes) {
            unit.put(term / survey.counts.groups, slope / survey.counts.groups, masks, parts);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_members_by_hand() {
        // ((0.6 - 0.1) / 0.5 - (1 - 0))^2 = 0, and with the rewards exchanged (1 + 1)^2.
        let rebel = Rebel { eta: 0.5 };
        assert!(rebel.of(&[1.0, 0.0], &[0.6, 0.1]).0.iter().sum::<f64>() < 1e-30);
        let (terms, slopes) = rebel.of(&[0.0, 1.0], &[0.6, 0.1]);
        assert!((terms.iter().sum::<f64>() - 4.0).abs() < 1e-14);
        assert!((slopes[0] - 8.0).abs() < 1e-13 && (slopes[1] + 8.0).abs() < 1e-13);
    }

    #[test]
    fn the_first_update_is_a_policy_gradient() {
        let (_, slopes) = Rebel::default().of(&[1.0, 0.0, 0.0, 1.0], &[0.0; 4]);
        assert_eq!(slopes, [-2.0 / 3.0, 2.0 / 3.0, 2.0 / 3.0, -2.0 / 3.0]);
    }
}
