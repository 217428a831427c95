//! Forking actions are kept inside a band of entropies.

use crate::{
    objective::Evaluation,
    registry::{Axis, Entry, Parameter},
};

pub(in crate::objective) const ENTRY: Entry = Entry {
    axis: Axis::Entropy,
    name: "band",
    summary: "a penalty on forking actions whose entropy lies outside a band of quantiles",
    formula: "weight (1/N) sum_samples (1/|S|) sum_{i in S} (max(0, H_i - H_high) + max(0, H_low - H_i)); S: the trained actions of the sample with H_i >= the (1 - fraction) quantile of its trained actions; H_low, H_high: the `low` and `high` quantiles of H over S; quantiles interpolate linearly and are constant in the derivative; derivative 0 at a hinge; N sequences of the batch, whatever the objective's denominator; a sample's own weight plays no part",
    parameters: &[
        Parameter { name: "low", default: "0.1", range: "in [0, 1)", meaning: "the lower quantile" },
        Parameter { name: "high", default: "0.5", range: "above low, at most 1", meaning: "the upper quantile" },
        Parameter { name: "weight", default: "0.1", range: "above 0", meaning: "of the penalty, per nat" },
        Parameter { name: "fraction", default: "0.2", range: "in (0, 1]", meaning: "how much of a sample forks" },
    ],
    reads: &["entropy"],
    source: "SPINE: arXiv 2511.17938, entropy-band regulariser",
    unverified: "the weights of the two hinges and of the band, and the normalisation over samples",
    ..Entry::NONE
};

pub(super) fn low() -> f64 {
    0.1
}

pub(super) fn high() -> f64 {
    0.5
}

pub(super) fn weight() -> f64 {
    0.1
}

pub(super) fn fraction() -> f64 {
    0.2
}

/// The thresholds of one sample.
#[derive(Debug, PartialEq)]
pub(super) struct Band {
    /// An action forks from here on.
    fork: f64,
    low: f64,
    high: f64,
    forks: f64,
}

impl Band {
    /// Of the entropies of the trained actions; `None` where there are none.
    pub fn of(mut entropies: Vec<f64>, low: f64, high: f64, fraction: f64) -> Option<Self> {
        let fork = quantile(&mut entropies, 1.0 - fraction)?;
        // Equal entropies fork together.
        entropies.retain(|h| *h >= fork);
        let mut at = |q: f64| quantile(&mut entropies, q);
        let (low, high) = (at(low)?, at(high)?);
        Some(Self { fork, low, high, forks: entropies.len() as f64 })
    }
}

/// Between the two neighbours of place `q (n - 1)` of the numbers in order; `None` of none.
fn quantile(values: &mut [f64], q: f64) -> Option<f64> {
    let place = q * values.len().checked_sub(1)? as f64;
    let (_, &mut first, above) = values.select_nth_unstable_by(place as usize, f64::total_cmp);
    let second = above.iter().copied().min_by(f64::total_cmp);
    Some(match second {
        Some(second) if place.fract() > 0.0 => first + place.fract() * (second - first),
        _ => first,
    })
}

pub(super) fn evaluate(band: &Band, share: f64, entropy: &[f64], weight: &[f64], part: &mut Evaluation) {
    let share = share / band.forks;
    let mut sum = 0.0;
    let forking = |(_, (h, w)): &(usize, (&f64, &f64))| **w != 0.0 && **h >= band.fork;
    let slopes = part.d_entropy();
    for (i, (&h, _)) in entropy.iter().zip(weight).enumerate().filter(forking) {
        if h > band.high {
            sum += h - band.high;
            slopes[i] += share;
        } else if h < band.low {
            sum += band.low - h;
            slopes[i] -= share;
        }
    }
    part.loss += share * sum;
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: [f64; 10] = [0.05, 0.1, 0.2, 0.4, 0.8, 1.2, 1.5, 2.0, 2.2, 2.4];

    #[test]
    fn thresholds_and_loss_of_the_worked_list() {
        let band = Band::of(LIST.to_vec(), 0.1, 0.5, 1.0).unwrap();
        assert!((band.low - 0.095).abs() < 1e-15 && (band.high - 1.0).abs() < 1e-15);
        let mut part = Evaluation::zero(10);
        evaluate(&band, 1.0, &LIST, &[1.0; 10], &mut part);
        assert!((part.loss - 0.4345).abs() < 1e-15, "{}", part.loss);
        let slopes = part.gradients.entropy.unwrap();
        assert_eq!(slopes[..5], [-0.1, 0.0, 0.0, 0.0, 0.0], "inside the band nothing pulls");
        assert_eq!(slopes[5..], [0.1; 5]);
    }

    #[test]
    fn only_the_upper_part_forks_and_equals_fork_together() {
        let band = Band::of(LIST.to_vec(), 0.0, 1.0, 0.2).unwrap();
        assert_eq!((band.low, band.high, band.forks), (2.2, 2.4, 2.0));
        let band = Band::of(vec![1.0; 7], 0.1, 0.5, 0.2).unwrap();
        assert_eq!((band.fork, band.low, band.high, band.forks), (1.0, 1.0, 1.0, 7.0));
        assert_eq!(Band::of(Vec::new(), 0.1, 0.5, 0.2), None);
        assert_eq!(Band::of(vec![0.7], 0.1, 0.5, 0.2).unwrap().forks, 1.0);
    }
}
