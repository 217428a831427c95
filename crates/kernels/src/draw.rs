//! One id from one row of logits.

use crate::exp::exp_lane;
use crate::level::dispatch;
use crate::reduce::max;

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

/// An id drawn by inverse distribution function from `softmax(logits * inverse_temperature)` over the ids that are not
/// forbidden: the first whose running sum (f64, in the order of ids) exceeds `uniform` times the total.
///
/// Total for every uniform in `[0, 1)`; never a forbidden id, never one of probability 0. Logits that are no
/// distribution (NaN, infinity) fall back to [`greedy`]. Panics when every id is forbidden.
pub fn categorical(logits: &[f32], inverse_temperature: f32, forbidden: &[u32], uniform: f64) -> u32 {
    let mut weights: Vec<f32> = logits.iter().map(|logit| logit * inverse_temperature).collect();
    for &id in forbidden {
        if let Some(weight) = weights.get_mut(id as usize) {
            *weight = f32::NEG_INFINITY;
        }
    }
    powers(&mut weights);
    let total = weights.iter().fold(0.0, |sum, &weight| sum + f64::from(weight));
    if !(total > 0.0 && total.is_finite()) {
        return greedy(logits, forbidden);
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
    last as u32
}
