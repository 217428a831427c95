//! REINFORCE++'s normalisation of centred advantages over the batch.

use super::statistic::{deviation, mean};
use crate::registry::{Axis, Entry, Parameter};

pub(super) const ACTIONS: Entry = Entry {
    axis: Axis::Scale,
    name: "whitened",
    summary: "centred advantages are normalised over all trained actions of the batch",
    formula: "x = r - baseline at every action; A = (x - mean x) / sqrt(var x + eps), mean and variance (ddof 1) over the trained actions \
              (mask above 0) of all scored episodes: long episodes weigh more. With baseline none it is REINFORCE++, with mean \
              REINFORCE++-baseline. Whole batch of equal x: exactly 0; a group of equal rewards keeps -mean x / s. Biased: baseline and scale \
              contain the sample. Fewer than 2 trained actions: x - mean x.",
    parameters: &[Parameter { name: "eps", default: "1e-8", range: "at least 0", meaning: "added to the variance" }],
    reads: &["mask"],
    source: "REINFORCE++: Hu 2025, arXiv 2501.03262; verl `reinforce_plus_plus`, `reinforce_plus_plus_baseline`",
    ..Entry::NONE
};

pub(super) const EPISODES: Entry = Entry {
    axis: Axis::Scale,
    name: "whitened_episodes",
    summary: "centred advantages are normalised over the episodes of the batch",
    formula: "x_i = r_i - b_i; A_i = (x_i - mean x) / (std x + eps), mean and standard deviation over the scored episodes of the batch, each \
              weighing alike. Biased: baseline and scale contain the sample.",
    parameters: &[
        Parameter { name: "ddof", default: "1", range: "0 or 1", meaning: "1 for the sample's standard deviation" },
        Parameter { name: "eps", default: "1e-4", range: "at least 0", meaning: "added to the standard deviation" },
    ],
    source: "TRL RLOOTrainer `normalize_advantages`; OpenRLHF `reinforce_baseline`",
    ..Entry::NONE
};

pub(super) fn tiny() -> f64 {
    1e-8
}

/// Normalises the scored numbers of a batch in place.
pub(in crate::advantage) fn whiten_episodes(advantages: &mut [Vec<f64>], scored: &[Vec<bool>], ddof: u8, eps: f64) {
    let each = || advantages.iter().flatten().zip(scored.iter().flatten());
    let values: Vec<f64> = each().filter(|(_, scored)| **scored).map(|(value, _)| *value).collect();
    let (centre, scale) = (mean(&values), deviation(&values, ddof) + eps);
    for (value, _) in advantages.iter_mut().flatten().zip(scored.iter().flatten()).filter(|(_, scored)| **scored) {
        *value = super::super::field::divided(*value - centre, scale);
    }
}

/// Normalises rows of a batch in place; each comes with its mask.
pub(in crate::advantage) fn whiten_actions(rows: &mut [(&mut Vec<f64>, &[f64])], eps: f64) {
    let mut values = Vec::with_capacity(rows.iter().map(|(row, _)| row.len()).sum());
    for (row, mask) in rows.iter() {
        values.extend(row.iter().zip(*mask).filter(|(_, m)| **m > 0.0).map(|(value, _)| *value));
    }
    let centre = mean(&values);
    let scale = if values.len() > 1 { (deviation(&values, 1).powi(2) + eps).sqrt() } else { 0.0 };
    for value in rows.iter_mut().flat_map(|(row, _)| row.iter_mut()) {
        *value = super::super::field::divided(*value - centre, scale);
    }
}

#[cfg(test)]
mod tests {
    use super::super::Scale;
    use crate::{
        advantage::{Advantage, Baseline, tests::group},
        memory::Memory,
    };

    #[test]
    fn reinforce_plus_plus_weighs_by_length() {
        // One action of reward 1, three of reward 0: mean 1/4, sample variance 1/4.
        let mut batch = group(&[1.0, 0.0]);
        batch.trajectories[1].mask = vec![1.0; 3];
        let scale = Scale::Whitened { eps: 0.0 };
        let advantage = Advantage { baseline: Baseline::None, scale, ..Advantage::default() };
        let credits = advantage.credit(&[batch], &mut Memory::default()).unwrap();
        assert_eq!(credits[0][0].coefficient, [1.5]);
        assert_eq!(credits[0][1].coefficient, [-0.5; 3]);
    }

    #[test]
    fn equal_rewards_everywhere_are_exact_zeros() {
        for scale in [Scale::Whitened { eps: 1e-8 }, Scale::WhitenedEpisodes { ddof: 1, eps: 1e-4 }] {
            let advantage = Advantage { baseline: Baseline::None, scale, ..Advantage::default() };
            let credits = advantage.credit(&[group(&[0.1; 3]), group(&[0.1; 4])], &mut Memory::default()).unwrap();
            assert!(credits.iter().flatten().all(|c| c.coefficient == [0.0]));
        }
    }
}
