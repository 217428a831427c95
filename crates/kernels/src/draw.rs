//! One id from one row of logits.

use crate::exp::exp_lane;
use crate::level::dispatch;
use crate::reduce::max;
use crate::truncation::Truncation;

/// The first id of the largest logit among those that are not forbidden. Where no allowed logit compares (all NaN), the
/// first allowed id. Panics when every id is forbidden.
pub fn greedy(logits: &[f32], forbidden: &[u32]) -> u32 {
    let mut best: Option<usize> = None;
    for (id, logit) in logits.iter().enumerate() {
        let better = match best {
            None => true,
            Some(best) => *logit > logits[best] || (logits[best].is_nan() && !logit.is_nan()),
        };
        if better && !forbidden.contains(&(id as u32)) {
            best = Some(id);
        }
    }
    best.unwrap_or_else(|| panic!("all {} ids are forbidden", logits.len())) as u32
}

#[inline(always)]
fn powers_body<const FMA: bool>(z: &mut [f32]) {
    let max = max(z);
    for z in z {
        *z = exp_lane::<FMA>(*z - max);
    }
}

dispatch! { fn powers(z: &mut [f32]) = powers_body }

/// A drawn id.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Drawn {
    pub id: u32,
    /// Its log-probability under the distribution that it was drawn from, what was forbidden and truncated left out:
    /// the weights in f32, their sum in f64. 0 where the draw fell back to [`greedy`].
    pub logp: f64,
}

/// An id drawn by inverse distribution function from `softmax(logits * inverse_temperature)` over the ids that are not
/// forbidden and that the truncation keeps of them: the first whose running sum (f64, in the order of ids) exceeds
/// `uniform` times the total.
///
/// Total for every uniform in `[0, 1)`; never a forbidden id, never one of probability 0. Logits that are no
/// distribution (NaN, infinity) fall back to [`greedy`]. Panics when every id is forbidden.
pub fn categorical(
    logits: &[f32],
    inverse_temperature: f32,
    truncation: Truncation,
    forbidden: &[u32],
    uniform: f64,
) -> Drawn {
    let mut weights: Vec<f32> = logits.iter().map(|logit| logit * inverse_temperature).collect();
    for &id in forbidden {
        if let Some(weight) = weights.get_mut(id as usize) {
            *weight = f32::NEG_INFINITY;
        }
    }
    powers(&mut weights);
    let sum = |weights: &[f32]| weights.iter().fold(0.0, |sum, &weight| sum + f64::from(weight));
    let mut total = sum(&weights);
    if !(total > 0.0 && total.is_finite()) {
        return Drawn { id: greedy(logits, forbidden), logp: 0.0 };
    }
    if truncation != Truncation::OFF {
        truncation.apply(&mut weights, &mut Vec::new());
        total = sum(&weights);
    }
    let target = uniform * total;
    let (mut running, mut last) = (0.0, 0);
    for (id, &weight) in weights.iter().enumerate() {
        if weight > 0.0 {
            running += f64::from(weight);
            last = id;
            if running > target {
                break;
            }
        }
    }
    Drawn { id: last as u32, logp: (f64::from(weights[last]) / total).ln() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::numbers;
    use proptest::prelude::*;

    fn categorical(logits: &[f32], inverse_temperature: f32, forbidden: &[u32], uniform: f64) -> u32 {
        super::categorical(logits, inverse_temperature, Truncation::OFF, forbidden, uniform).id
    }

    #[test]
    fn greedy_takes_the_first_maximum() {
        assert_eq!(greedy(&[1.0, 3.0, 3.0, 2.0], &[]), 1);
        assert_eq!(greedy(&[1.0, 3.0, 3.0, 2.0], &[1]), 2);
        assert_eq!(greedy(&[1.0, 3.0, 3.0, 2.0], &[2, 1]), 3);
        assert_eq!(greedy(&[f32::NAN, -5.0, f32::NAN], &[]), 1);
        assert_eq!(greedy(&[f32::NAN, f32::NAN], &[0]), 1);
        assert_eq!(greedy(&[f32::NEG_INFINITY, f32::NEG_INFINITY], &[]), 0);
    }

    #[test]
    #[should_panic(expected = "all 2 ids are forbidden")]
    fn nothing_left_to_choose() {
        categorical(&[0.0, 1.0], 1.0, &[0, 1], 0.5);
    }

    #[test]
    fn shares_of_the_unit_interval_are_probabilities() {
        let logits: Vec<f32> = numbers(1, 12).iter().map(|x| x * 2.0).collect();
        let (inverse_temperature, forbidden) = (1.7f32, [3, 7]);
        let weight = |id: usize| {
            if forbidden.contains(&(id as u32)) { 0.0 } else { f64::from(logits[id] * inverse_temperature).exp() }
        };
        let total: f64 = (0..12).map(weight).sum();
        let steps = 100_000;
        let mut counts = [0u32; 12];
        for i in 0..steps {
            let uniform = (f64::from(i) + 0.5) / f64::from(steps);
            counts[categorical(&logits, inverse_temperature, &forbidden, uniform) as usize] += 1;
        }
        for (id, count) in counts.into_iter().enumerate() {
            let share = f64::from(count) / f64::from(steps);
            assert!((share - weight(id) / total).abs() < 2e-5, "id {id}: {share} for {}", weight(id) / total);
        }
    }

    #[test]
    fn ends_of_the_interval_and_logits_that_are_no_distribution() {
        let last = 1.0 - f64::EPSILON / 2.0;
        let logits = [f32::NEG_INFINITY, 0.0, -1e9, 0.0, -1e9, f32::NEG_INFINITY];
        assert_eq!(categorical(&logits, 1.0, &[], 0.0), 1);
        assert_eq!(categorical(&logits, 1.0, &[], last), 3);
        assert_eq!(categorical(&logits, 1.0, &[1], 0.0), 3);
        assert_eq!(categorical(&logits, 1.0, &[3], last), 1);
        assert_eq!(categorical(&[0.0, f32::NAN, 2.0], 1.0, &[], 0.9), 2);
        assert_eq!(categorical(&[0.0, f32::INFINITY, 2.0], 1.0, &[], 0.0), 1);
        assert_eq!(categorical(&[f32::NEG_INFINITY; 3], 1.0, &[0], 0.5), 1);
    }

    proptest! {
        #[test]
        fn never_forbidden_never_impossible(
            mut logits in prop::collection::vec(-200f32..200.0, 2..40),
            holes in prop::collection::vec(0usize..40, 0..5),
            forbidden in prop::collection::vec(1u32..50, 0..20),
            inverse_temperature in 0.01f32..10.0,
            uniform in 0f64..1.0,
        ) {
            for hole in holes {
                if hole > 0 && hole < logits.len() {
                    logits[hole] = f32::NEG_INFINITY;
                }
            }
            let id = categorical(&logits, inverse_temperature, &forbidden, uniform);
            prop_assert!(!forbidden.contains(&id));
            prop_assert!(logits[id as usize] > f32::NEG_INFINITY);
        }
    }
}
