//! Likelihood of right answers, and of wrong ones under the negative policy that the trained one implies.

use serde::{Deserialize, Serialize};

use super::{
    Evaluation, Seen,
    surrogate::{above_zero, not_negative},
    unit::{mean, rewards},
};
use crate::{
    method_error::{MethodError, Place},
    metric::Metric,
    registry::{Axis, Entry, Parameter},
};

/// Where the log-ratio stops, in nats.
const TOP: f64 = 10.0;

pub(super) const ENTRY: Entry = Entry {
    axis: Axis::Surrogate,
    name: "nft",
    summary: "supervised on right answers, and on wrong ones through the negative policy implied by the positive one",
    formula: "R = exp(min(logp - old_logp, 10)), without a slope beyond; q = mean reward of the group's scored episodes, then \
              clamped to [rate_clamp, 1 - rate_clamp]; x = (1 - q R) / (1 - q); v = max(x, floor) in value, with the slope of \
              x (straight-through). loss = -sum w omega [ r ln R + (1 - r) negative_weight ln v ], w = mask over the \
              denominator, r the reward in [0, 1], omega = 1 - q (hard), 1 (one) or sqrt((1 - q) / q) (sqrt). Groups all \
              right or all wrong have loss 0; an episode without a reward has no part. At R = 1 the gradient is GRPO's with \
              population std (sqrt) or Dr. GRPO's (hard). Advantages do not act.",
    parameters: &[
        Parameter {
            name: "negative_weight",
            default: "1.0",
            range: "at least 0; 0 is rejection fine-tuning",
            meaning: "weight of the wrong answers' term",
        },
        Parameter {
            name: "floor",
            default: "1.0",
            range: "above 0",
            meaning: "least value of the implied negative ratio; its slope never grows beyond 1 / floor times that at x = 1",
        },
        Parameter {
            name: "prompt_weight",
            default: "hard",
            range: "hard, one, sqrt",
            meaning: "omega: what a prompt counts by its rate of right answers",
        },
        Parameter {
            name: "rate_clamp",
            default: "0.02",
            range: "in (0, 0.5)",
            meaning: "keeps the rate away from 0 and 1",
        },
    ],
    reads: &["old_logp"],
    source: "NFT, 2025, arXiv 2505.18116, section 3, and its repository (straight-through floor, clamps)",
    ..Entry::NONE
};

/// NFT.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Nft {
    /// At least 0.
    pub negative_weight: f64,
    /// Above 0.
    pub floor: f64,
    pub prompt_weight: PromptWeight,
    /// In (0, 0.5).
    pub rate_clamp: f64,
}

impl Default for Nft {
    fn default() -> Self {
        Self { negative_weight: 1.0, floor: 1.0, prompt_weight: PromptWeight::Hard, rate_clamp: 0.02 }
    }
}

/// What a prompt counts, by its rate `q` of right answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PromptWeight {
    /// `1 - q`
    #[default]
    Hard,
    /// 1
    One,
    /// `sqrt((1 - q) / q)`
    Sqrt,
}

impl PromptWeight {
    pub fn of(self, rate: f64) -> f64 {
        match self {
            PromptWeight::Hard => 1.0 - rate,
            PromptWeight::One => 1.0,
            PromptWeight::Sqrt => ((1.0 - rate) / rate).sqrt(),
        }
    }
}

/// What an action adds to the log-likelihood.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NftTerm {
    pub value: f64,
    /// Derivative by `logp`.
    pub slope: f64,
    /// Whether the floor holds the value of the implied negative ratio of a wrong answer.
    pub floored: bool,
}

impl Nft {
    pub(super) fn check(&self) -> Result<(), (String, String)> {
        not_negative("nft.negative_weight", self.negative_weight)?;
        above_zero("nft.floor", self.floor)?;
        if self.rate_clamp > 0.0 && self.rate_clamp < 0.5 {
            Ok(())
        } else {
            Err(("nft.rate_clamp".to_owned(), "must lie in (0, 0.5)".to_owned()))
        }
    }

    /// One action with log-ratio `d`, of an answer with this reward in a group with this (clamped) rate.
    pub fn of(&self, d: f64, reward: f64, rate: f64) -> NftTerm {
        let log_ratio = d.min(TOP);
        let open = if d <= TOP { 1.0 } else { 0.0 };
        let wrong = (1.0 - reward) * self.negative_weight;
        if wrong == 0.0 {
            return NftTerm { value: reward * log_ratio, slope: open * reward, floored: false };
        }
        let (ratio, odds) = (log_ratio.exp(), rate / (1.0 - rate));
        // (1 - q R) / (1 - q), written so that it is exactly 1 at R = 1.
        let implied = 1.0 - odds * (ratio - 1.0);
        let held = implied.max(self.floor);
        NftTerm {
            value: reward * log_ratio + wrong * held.ln(),
            slope: open * (reward - wrong * odds * ratio / held),
            floored: implied < self.floor,
        }
    }

    pub(super) fn evaluate(
        &self,
        g: usize,
        group: &[Seen<'_>],
        weights: &[Vec<f64>],
        parts: &mut [Evaluation],
    ) -> Result<(), MethodError> {
        let mut first_of_episode = std::collections::BTreeMap::new();
        for (t, seen) in group.iter().enumerate().filter(|(_, seen)| seen.trajectory.is_member()) {
            let first = *first_of_episode.entry(seen.trajectory.episode).or_insert(t);
            if let Some(got) =
                seen.trajectory.reward.filter(|r| first == t && r.is_finite() && !(0.0..=1.0).contains(r))
            {
                return Err(MethodError::unfit(Place::trajectory(g, t), "reward", "in [0, 1]", got));
            }
        }
        let rate = mean(&rewards(g, group)?);
        let mixed = rate > 0.0 && rate < 1.0;
        if let Some(part) = parts.first_mut() {
            part.metrics.add("groups_skipped", Metric::mean_of(f64::from(u8::from(!mixed))));
        }
        if !mixed {
            return Ok(());
        }
        let rate = rate.clamp(self.rate_clamp, 1.0 - self.rate_clamp);
        let omega = self.prompt_weight.of(rate);
        for ((seen, weight), part) in group.iter().zip(weights).zip(parts) {
            let Some(&first) = first_of_episode.get(&seen.trajectory.episode) else { continue };
            let Some(reward) = group[first].trajectory.reward.filter(|_| seen.trajectory.is_member()) else { continue };
            let (mut trained, mut floored, mut largest) = (0.0, 0.0, f64::NEG_INFINITY);
            for i in (0..weight.len()).filter(|&i| weight[i] != 0.0) {
                let d = seen.rows.logp[i] - seen.old_logp[i];
                let term = self.of(d, reward, rate);
                part.loss -= weight[i] * omega * term.value;
                part.gradients.logp[i] -= weight[i] * omega * term.slope;
                trained += 1.0;
                floored += f64::from(u8::from(term.floored));
                largest = f64::max(largest, d);
            }
            if trained > 0.0 {
                part.metrics.add("ratio_max", Metric::Max(largest.exp()));
                if reward < 1.0 {
                    part.metrics.add("floor_fraction", Metric::Mean { total: floored, weight: trained });
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Traps: the implied negative ratio turns negative where R > 1 / q, and a plain clamp would have no slope there.
    #[test]
    fn the_floor_holds_the_value_and_lets_the_slope_through() {
        let nft = Nft::default();
        let d = 4.0f64.ln();
        let term = nft.of(d, 0.0, 0.5);
        assert_eq!(term.value, 0.0, "ln max(1 - 3, 1)");
        assert!((term.slope + 4.0).abs() < 1e-14 && term.floored);
        // At the old policy the value is 0 and the slope is not.
        let term = nft.of(0.0, 0.0, 0.25);
        assert_eq!(term.value, 0.0);
        assert!((term.slope + 0.25 / 0.75).abs() < 1e-15 && !term.floored);
        // With a low floor the value falls.
        let low = Nft { floor: 0.1, ..nft }.of(d, 0.0, 0.5);
        assert!((low.value - 0.1f64.ln()).abs() < 1e-15);
    }

    #[test]
    fn the_log_ratio_stops_at_ten() {
        assert_eq!(Nft::default().of(11.0, 1.0, 0.5), NftTerm { value: 10.0, slope: 0.0, floored: false });
        assert_eq!(Nft::default().of(900.0, 0.0, 0.5).slope, 0.0);
        assert_eq!(Nft::default().of(-800.0, 1.0, 0.5).slope, 1.0);
    }

    /// The published advantages at R = 1.
    #[test]
    fn the_implied_advantages() {
        for q in [0.1, 0.25, 0.5, 0.9f64] {
            let advantage = |omega: PromptWeight, reward: f64| omega.of(q) * Nft::default().of(0.0, reward, q).slope;
            assert!((advantage(PromptWeight::Sqrt, 1.0) - ((1.0 - q) / q).sqrt()).abs() < 1e-14);
            assert!((advantage(PromptWeight::Sqrt, 0.0) + (q / (1.0 - q)).sqrt()).abs() < 1e-14);
            assert!((advantage(PromptWeight::Hard, 1.0) - (1.0 - q)).abs() < 1e-14);
            assert!((advantage(PromptWeight::Hard, 0.0) + q).abs() < 1e-14);
        }
    }
}
