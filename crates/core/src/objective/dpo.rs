//! Direct preference optimisation over the pairs of a group.

use serde::{Deserialize, Serialize};

use super::{
    Evaluation, Seen, Survey,
    surrogate::above_zero,
    unit::{Unit, trained, units},
};
use crate::{
    method_error::{MethodError, Place},
    metric::Metric,
    registry::{Axis, Entry, Parameter},
    trajectory::check_column,
};

pub(super) const ENTRY: Entry = Entry {
    axis: Axis::Surrogate,
    name: "dpo",
    summary: "every right answer of a group is preferred to every wrong one",
    formula: "h_i = sum over the trained actions of episode i of logp - ref_logp; loss = mean over all pairs (c, r) of the \
              batch of -ln sigmoid(beta (h_c - h_r)), r an episode of the group with reward exactly 0, c one with reward \
              exactly 1 (chosen right) or an auxiliary of the group (chosen auxiliary: an explanation given the answer; set \
              objective.auxiliary.coefficient to 0 to leave its likelihood out). Other rewards and episodes without a \
              trained action have no part; a batch without a pair has loss 0. h is a sum over actions and is not divided by \
              length. Denominator, factors and advantages do not act: masks count as 0 or 1.",
    parameters: &[
        Parameter { name: "beta", default: "0.1", range: "above 0", meaning: "how far from the reference, per nat" },
        Parameter {
            name: "chosen",
            default: "right",
            range: "right, auxiliary",
            meaning: "what is preferred to the wrong answers",
        },
    ],
    reads: &["ref_logp"],
    source: "DPO: Rafailov et al. 2023, arXiv 2305.18290, eq. 7; chosen auxiliary is ExP-DPO: ExPO, 2025, arXiv 2507.02834",
    unverified: "ExP-DPO rejects any sample of the policy; here only wrong ones",
    ..Entry::NONE
};

/// DPO within groups.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Dpo {
    /// Above 0.
    pub beta: f64,
    pub chosen: Chosen,
}

impl Default for Dpo {
    fn default() -> Self {
        Self { beta: 0.1, chosen: Chosen::Right }
    }
}

/// What is preferred.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Chosen {
    /// Members with reward 1.
    #[default]
    Right,
    /// The auxiliaries of the group.
    Auxiliary,
}

/// Chosen and rejected of a group.
struct Sides {
    chosen: Vec<Unit>,
    rejected: Vec<Unit>,
}

impl Dpo {
    pub(super) fn check(&self) -> Result<(), (String, String)> {
        above_zero("dpo.beta", self.beta)
    }

    /// `-ln sigmoid(beta margin)` and its derivative by the margin.
    pub fn of(&self, margin: f64) -> (f64, f64) {
        let x = self.beta * margin;
        let small = (-x.abs()).exp();
        let against = if x >= 0.0 { small / (1.0 + small) } else { 1.0 / (1.0 + small) };
        (f64::max(-x, 0.0) + small.ln_1p(), -self.beta * against)
    }

    /// Number of pairs of the batch.
    pub(super) fn survey(&self, batch: &[Vec<Seen<'_>>], masks: &[Vec<Option<Vec<f64>>>]) -> Result<f64, MethodError> {
        let mut pairs = 0.0;
        for (g, (group, masks)) in batch.iter().zip(masks).enumerate() {
            let sides = self.sides(g, group, masks)?;
            pairs += (sides.chosen.len() * sides.rejected.len()) as f64;
        }
        Ok(pairs)
    }

    fn sides(&self, g: usize, group: &[Seen<'_>], masks: &[Option<Vec<f64>>]) -> Result<Sides, MethodError> {
        let (mut chosen, mut rejected) = (Vec::new(), Vec::new());
        for unit in units(g, group, masks)? {
            if unit.reward == Some(0.0) {
                rejected.push(unit);
            } else if unit.reward == Some(1.0) && self.chosen == Chosen::Right {
                chosen.push(unit);
            }
        }
        if self.chosen == Chosen::Auxiliary {
            for (t, seen) in group.iter().enumerate().filter(|(_, seen)| !seen.trajectory.is_member()) {
                let trained = trained(Some(&seen.trajectory.mask)).count() as f64;
                if trained > 0.0 {
                    chosen.push(Unit { trajectories: vec![t], trained, reward: None, credit: 0.0 });
                }
            }
        }
        Ok(Sides { chosen, rejected })
    }

    pub(super) fn evaluate(
        &self,
        g: usize,
        group: &[Seen<'_>],
        survey: &Survey,
        pairs: f64,
        parts: &mut [Evaluation],
    ) -> Result<(), MethodError> {
        let sides = self.sides(g, group, &survey.weights[g])?;
        if sides.chosen.is_empty() || sides.rejected.is_empty() {
            return Ok(());
        }
        let gain = |unit: &Unit| -> Result<f64, MethodError> {
            let mut total = 0.0;
            for &t in &unit.trajectories {
                let (seen, place) = (&group[t], Place::trajectory(g, t));
                let reference = seen.trajectory.ref_logp.as_ref();
                let reference = reference.ok_or_else(|| MethodError::missing(place, "ref_logp"))?;
                check_column("ref_logp", reference, seen.trajectory.len(), place)?;
                let mask = mask_of(seen, &survey.weights[g], t);
                total += trained(mask).map(|i| seen.rows.logp[i] - reference[i]).sum::<f64>();
            }
            Ok(total)
        };
        let chosen = sides.chosen.iter().map(gain).collect::<Result<Vec<_>, _>>()?;
        let rejected = sides.rejected.iter().map(gain).collect::<Result<Vec<_>, _>>()?;
        let (mut up, mut down) = (vec![0.0; chosen.len()], vec![0.0; rejected.len()]);
        let mut ordered = 0.0;
        for (c, gain_c) in chosen.iter().enumerate() {
            let mut loss = 0.0;
            for (r, gain_r) in rejected.iter().enumerate() {
                let (value, slope) = self.of(gain_c - gain_r);
                loss += value;
                up[c] += slope;
                down[r] -= slope;
                ordered += f64::from(u8::from(gain_c > gain_r));
            }
            parts[sides.chosen[c].trajectories[0]].loss += loss / pairs;
        }
        let metric = Metric::Mean { total: ordered, weight: (chosen.len() * rejected.len()) as f64 };
        parts[sides.chosen[0].trajectories[0]].metrics.add("pairs_ordered", metric);
        for (unit, slope) in sides.chosen.iter().zip(up).chain(sides.rejected.iter().zip(down)) {
            for &t in &unit.trajectories {
                for i in trained(mask_of(&group[t], &survey.weights[g], t)) {
                    parts[t].gradients.logp[i] += slope / pairs;
                }
            }
        }
        Ok(())
    }
}

/// An auxiliary is in no denominator and keeps its own mask.
fn mask_of<'a>(seen: &Seen<'a>, masks: &'a [Option<Vec<f64>>], t: usize) -> Option<&'a Vec<f64>> {
    if seen.trajectory.is_member() { masks[t].as_ref() } else { Some(&seen.trajectory.mask) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_policies_give_the_logarithm_of_two() {
        let (value, slope) = Dpo::default().of(0.0);
        assert!((value - 2.0f64.ln()).abs() < 1e-15);
        assert!((slope + 0.05).abs() < 1e-16);
    }

    #[test]
    fn far_margins_do_not_overflow() {
        let dpo = Dpo { beta: 1.0, chosen: Chosen::Right };
        assert_eq!(dpo.of(1e5), (0.0, 0.0));
        assert_eq!(dpo.of(-1e5), (1e5, -1.0));
    }
}
