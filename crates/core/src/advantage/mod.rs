//! How good an episode was, compared: a baseline, a scale and the scope of both.

mod baseline;
mod credit;
mod scale;

use serde::{Deserialize, Serialize};

pub use baseline::Baseline;
pub use credit::{Credit, Kept};
pub use scale::Scale;

use crate::{
    memory::Memory,
    method_error::{MethodError, Place, Problem},
    registry::Entry,
    trajectory::{Comparison, Role},
};

/// The choices of this axis that a recipe can name.
pub const ENTRIES: &[&Entry] = &[&baseline::NONE, &baseline::MEAN];

/// The estimator: `(reward - baseline) / scale` within each group.
///
/// `mean` with `std` is GRPO's (Shao et al. 2024, arXiv 2402.03300, §4.1.2); `mean` with `none` is
/// Dr. GRPO's (Liu et al. 2025, arXiv 2503.20783, §3.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Advantage {
    pub baseline: Baseline,
    pub scale: Scale,
}

impl Advantage {
    /// Fewest episodes a group must have for the estimator to say anything.
    pub fn least_group(&self) -> usize {
        match (self.baseline, self.scale) {
            (Baseline::None, Scale::None) => 1,
            (Baseline::Mean, _) | (_, Scale::Std { .. }) => 2,
        }
    }

    /// One advantage an episode of a group. An episode without a reward has no part in the
    /// statistics, and advantage 0. A group whose rewards are all equal gets exact zeros.
    pub fn of_rewards(&self, rewards: &[Option<f64>]) -> Vec<f64> {
        let scored: Vec<f64> = rewards.iter().flatten().copied().collect();
        let baseline = self.baseline.of(&scored);
        let scale = self.scale.of(&scored);
        rewards.iter().map(|r| r.map_or(0.0, |r| (r - baseline) / scale)).collect()
    }

    /// The coefficients of every trajectory of a batch, in its shape.
    ///
    /// # Errors
    /// A reward that is not finite, a group with fewer scored episodes than the estimator compares, and a
    /// fact or segment reward that it reads and does not find.
    pub fn credit(&self, groups: &[Comparison], memory: &mut Memory) -> Result<Vec<Vec<Credit>>, MethodError> {
        let _ = memory;
        groups.iter().enumerate().map(|(g, group)| self.of_group(g, group)).collect()
    }

    fn of_group(&self, g: usize, group: &Comparison) -> Result<Vec<Credit>, MethodError> {
        let episodes = group.episodes();
        let rewards: Vec<Option<f64>> = episodes.iter().map(|of| group.trajectories[of[0]].reward).collect();
        for (of, reward) in episodes.iter().zip(&rewards) {
            if let Some(got) = reward.filter(|r| !r.is_finite()) {
                let place = Place::trajectory(g, of[0]);
                return Err(MethodError { place, field: "reward".to_owned(), problem: Problem::NotFinite { got } });
            }
        }
        if episodes.len() < self.least_group() && !episodes.is_empty() {
            return Err(MethodError::too_few(g, self.least_group(), episodes.len()));
        }
        let advantages = self.of_rewards(&rewards);
        let mut credits: Vec<Credit> = group
            .trajectories
            .iter()
            .map(|t| match t.role {
                Role::Auxiliary => Credit::uniform(t.weight.unwrap_or(1.0), t.len()),
                Role::Member => Credit::uniform(0.0, t.len()),
            })
            .collect();
        for (of, advantage) in episodes.iter().zip(advantages) {
            for &t in of {
                credits[t] = Credit::uniform(advantage, group.trajectories[t].len());
            }
        }
        Ok(credits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// From the formula, in the plainest loops.
    fn oracle(rewards: &[f64], ddof: usize, eps: f64) -> Vec<f64> {
        let n = rewards.len();
        let mut mean = 0.0;
        for r in rewards {
            mean += r / n as f64;
        }
        let mut variance = 0.0;
        for r in rewards {
            variance += (r - mean) * (r - mean) / (n - ddof) as f64;
        }
        rewards.iter().map(|r| (r - mean) / (variance.sqrt() + eps)).collect()
    }

    #[test]
    fn grpo_by_hand() {
        // Rewards 1, 0, 0, 1: mean 1/2, sample variance 1/3.
        let got = Advantage::default().of_rewards(&[Some(1.0), Some(0.0), Some(0.0), Some(1.0)]);
        let want = 0.5 / ((1.0f64 / 3.0).sqrt() + 1e-4);
        for (g, sign) in got.iter().zip([1.0, -1.0, -1.0, 1.0]) {
            assert!((g - sign * want).abs() < 1e-15);
        }
    }

    #[test]
    fn the_unscored_stand_aside() {
        let with = Advantage::default().of_rewards(&[Some(1.0), None, Some(0.0)]);
        let without = Advantage::default().of_rewards(&[Some(1.0), Some(0.0)]);
        assert_eq!(with, [without[0], 0.0, without[1]]);
        assert_eq!(Advantage::default().of_rewards(&[None, None]), [0.0, 0.0]);
        assert_eq!(Advantage::default().of_rewards(&[Some(3.0), None]), [0.0, 0.0]);
    }

    proptest! {
        #[test]
        fn agrees_with_the_oracle(rewards in prop::collection::vec(-10.0..10.0f64, 2..20), ddof in 0usize..2) {
            let estimator = Advantage { baseline: Baseline::Mean, scale: Scale::Std { ddof: ddof as u8, eps: 1e-4 } };
            let got = estimator.of_rewards(&rewards.iter().copied().map(Some).collect::<Vec<_>>());
            for (g, w) in got.iter().zip(oracle(&rewards, ddof, 1e-4)) {
                prop_assert!((g - w).abs() <= 1e-9 * w.abs().max(1.0), "{g} {w}");
            }
        }

        #[test]
        fn equal_rewards_give_exact_zeros(reward in -1e6..1e6f64, n in 1usize..30) {
            let got = Advantage::default().of_rewards(&vec![Some(reward); n]);
            prop_assert!(got.iter().all(|&a| a == 0.0), "{got:?}");
        }
    }
}
