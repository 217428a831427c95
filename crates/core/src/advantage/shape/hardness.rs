//! GRPO-S: data hardness times model responsiveness.

use super::{Rows, Table, each_row, statistic::mean};
use crate::{
    method_error::MethodError,
    registry::{Axis, Entry, Parameter},
};

pub(super) const ENTRY: Entry = Entry {
    axis: Axis::Shape,
    name: "hardness",
    summary: "advantages grow with the distance from the demonstration and with the prompt's reward gap",
    formula: "A_i <- a_i m A_i. a_i = sig(d_i) / sig(mean d), d the fact `fact` (1 - similarity to the demonstration). m = sig(mean of the kept gaps) / \
              sig(mean of all gaps); a gap is kept where (gap_i - mean)^2 <= tau; none kept: m = 1. sig(x) = 1/(1 + exp(-x)); both over the scored \
              episodes of the group. Both signs of A grow; a_i lies within about [0.68, 1.46] for d in [0, 1].",
    parameters: &[
        Parameter {
            name: "fact",
            default: "hardness",
            range: "a fact's name",
            meaning: "distance from the demonstration",
        },
        Parameter {
            name: "gap",
            default: "gap",
            range: "a fact's name",
            meaning: "reward of the demonstration minus that of the response",
        },
        Parameter {
            name: "tau",
            default: "1",
            range: "at least 0",
            meaning: "the squared gap from the mean beyond which a gap is an outlier",
        },
    ],
    reads: &["facts.hardness", "facts.gap"],
    source: "DR-IRL (GRPO-S): arXiv 2503.18991",
    unverified: "tau, and the sign of the gap",
    ..Entry::NONE
};

pub(super) fn fact() -> String {
    "hardness".to_owned()
}

pub(super) fn gap() -> String {
    "gap".to_owned()
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// The factors of a group.
fn factors(distances: &[f64], gaps: &[f64], tau: f64) -> Vec<f64> {
    let centre = mean(gaps);
    let kept: Vec<f64> = gaps.iter().copied().filter(|gap| (gap - centre).powi(2) <= tau).collect();
    let responsiveness = if kept.is_empty() { 1.0 } else { sigmoid(mean(&kept)) / sigmoid(centre) };
    let middle = sigmoid(mean(distances));
    distances.iter().map(|d| sigmoid(*d) / middle * responsiveness).collect()
}

pub(super) fn apply(table: &Table<'_>, rows: &mut Rows, fact: &str, gap: &str, tau: f64) -> Result<(), MethodError> {
    let mut of_group = Vec::with_capacity(table.groups.len());
    for (g, episodes) in table.episodes.iter().enumerate() {
        let scored: Vec<usize> = (0..episodes.len()).filter(|&e| table.first(g, e).reward.is_some()).collect();
        let numbers = |name: &str| -> Result<Vec<f64>, MethodError> {
            scored.iter().map(|&e| table.first(g, e).number(name, table.place(g, e))).collect()
        };
        let found = factors(&numbers(fact)?, &numbers(gap)?, tau);
        let mut all = vec![1.0; episodes.len()];
        scored.iter().zip(found).for_each(|(&e, factor)| all[e] = factor);
        of_group.push(all);
    }
    each_row(table, rows, |g, e, _, row| {
        row.iter_mut().for_each(|value| *value *= of_group[g][e]);
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outlier_gap_leaves_the_mean() {
        // Mean gap 0.825; 2.5 and -0.2 are outliers (2.81 and 1.05 above tau), the kept mean 1/2.
        let got = factors(&[0.35, 0.35, 0.9, 0.15], &[-0.2, 0.7, 2.5, 0.3], 1.0);
        let m = sigmoid(0.5) / sigmoid(0.825);
        for (g, d) in got.iter().zip([0.35, 0.35, 0.9, 0.15]) {
            assert!((g - m * sigmoid(d) / sigmoid(0.4375)).abs() < 1e-14);
        }
        assert!(got[2] > got[0] && got[0] > got[3], "further is larger");
        assert_eq!(factors(&[0.5; 3], &[0.1, 0.1, 0.1], 0.0), [1.0; 3]);
        assert_eq!(factors(&[0.5; 2], &[-5.0, 5.0], 1.0), [1.0; 2], "all outliers");
    }
}
