//! The parts of a mixture of experts: which experts take a row and with what weight, and the sum of what they give.

use crate::exp::exp_lane;
use crate::level::dispatch;
use crate::reduce::{dot, max, sum};

/// How a row of router logits becomes weights. With `p = softmax(logits)`, the `top_k` experts of the largest `p` are
/// chosen, the lower index first among equals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoutingShape {
    pub experts: usize,
    /// Experts that take a row, `1 ..= experts`.
    pub top_k: usize,
    pub weights: RoutingWeights,
}

/// The weight of a chosen expert `c`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoutingWeights {
    /// `p_c`.
    AsTheyAre,
    /// `p_c / sum of p over the chosen` (`norm_topk_prob`).
    Normalised,
}

impl RoutingShape {
    fn check(&self, name: &str, logits: usize, chosen: usize, weights: usize) {
        let Self { experts, top_k, .. } = *self;
        assert!(top_k > 0 && top_k <= experts, "{name}: {top_k} of {experts} experts");
        assert!(
            logits.is_multiple_of(experts) && chosen == logits / experts * top_k && weights == chosen,
            "{name}: slices of {logits}, {chosen} and {weights} for {top_k} of {experts} experts"
        );
    }
}

#[inline(always)]
fn softmax_body<const FMA: bool>(logits: &[f32], out: &mut [f32]) {
    let largest = max(logits);
    for (out, logit) in out.iter_mut().zip(logits) {
        *out = exp_lane::<FMA>(*logit - largest);
    }
    let total = sum(out);
    for out in out {
        *out /= total;
    }
}

dispatch! { fn softmax(logits: &[f32], out: &mut [f32]) = softmax_body }

/// Routes rows: logits and probabilities `[rows, experts]`, chosen experts and their weights `[rows, top_k]`, those of a
/// row in falling order of probability. A row depends on its own logits alone.
pub fn route(logits: &[f32], shape: RoutingShape, probabilities: &mut [f32], chosen: &mut [u32], weights: &mut [f32]) {
    shape.check("route", logits.len(), chosen.len(), weights.len());
    assert_eq!(probabilities.len(), logits.len(), "route: probabilities of as many logits");
    let RoutingShape { experts, top_k, .. } = shape;
    let rows = logits.chunks_exact(experts).zip(probabilities.chunks_exact_mut(experts));
    let places = chosen.chunks_exact_mut(top_k).zip(weights.chunks_exact_mut(top_k));
    for ((logits, p), (chosen, weights)) in rows.zip(places) {
        softmax(logits, p);
        for (slot, weight) in weights.iter_mut().enumerate() {
            let (taken, left) = chosen.split_at_mut(slot);
            let free = (0..experts).filter(|&e| !taken.contains(&(e as u32)));
            // Comparisons that a NaN fails leave the first that is free: a row of NaN stays one, and is found in its rows.
            let best = free.reduce(|best, e| if p[e] > p[best] { e } else { best });
            left[0] = best.unwrap_or_default() as u32;
            *weight = p[left[0] as usize];
        }
        if shape.weights == RoutingWeights::Normalised {
            let total = sum(weights);
            weights.iter_mut().for_each(|weight| *weight /= total);
        }
    }
}

/// The gradient of the weights of [`route`] for the logits, overwriting `d_logits`; the choice is a constant. With `d_c`
/// the gradient of the weight `w_c` of a chosen expert:
///
/// as they are, `d_logit_i = w_i d_i - p_i * sum_c w_c d_c` (the first term for the chosen alone);
/// normalised, `d_logit_i = w_i (d_i - sum_c w_c d_c)` for the chosen and 0 else.
pub fn route_backward(
    shape: RoutingShape,
    probabilities: &[f32],
    chosen: &[u32],
    weights: &[f32],
    d_weights: &[f32],
    d_logits: &mut [f32],
) {
    shape.check("route_backward", d_logits.len(), chosen.len(), weights.len());
    assert!(
        probabilities.len() == d_logits.len() && d_weights.len() == weights.len(),
        "route_backward: slices of {} and {}",
        probabilities.len(),
        d_weights.len()
    );
    let RoutingShape { experts, top_k, .. } = shape;
    let rows = probabilities.chunks_exact(experts).zip(d_logits.chunks_exact_mut(experts));
    let places = chosen.chunks_exact(top_k).zip(weights.chunks_exact(top_k)).zip(d_weights.chunks_exact(top_k));
    for ((p, d_logits), ((chosen, weights), d_weights)) in rows.zip(places) {
        let mean: f32 = weights.iter().zip(d_weights).map(|(w, d)| w * d).sum();
        match shape.weights {
            RoutingWeights::AsTheyAre => d_logits.iter_mut().zip(p).for_each(|(d, p)| *d = -p * mean),
            RoutingWeights::Normalised => {
                d_logits.fill(0.0);
                chosen.iter().zip(weights).for_each(|(&c, w)| d_logits[c as usize] = -w * mean);
            }
        }
        for ((&c, w), d) in chosen.iter().zip(weights).zip(d_weights) {
            d_logits[c as usize] += w * d;
        }
    }
}

#[inline(always)]
fn combine_body<const FMA: bool>(y: &[f32], weights: &[f32], places: &[u32], width: usize, out: &mut [f32]) {
    let top_k = weights.len() / (out.len() / width);
    let slots = weights.chunks_exact(top_k).zip(places.chunks_exact(top_k));
    for (out, (weights, places)) in out.chunks_exact_mut(width).zip(slots) {
        out.fill(0.0);
        for (weight, &place) in weights.iter().zip(places) {
            for (out, y) in out.iter_mut().zip(&y[place as usize * width..][..width]) {
                *out = crate::level::fma::<FMA>(*weight, *y, *out);
            }
        }
    }
}

dispatch! { fn combine_rows(y: &[f32], weights: &[f32], places: &[u32], width: usize, out: &mut [f32]) = combine_body }

fn check_combine(name: &str, y: usize, weights: usize, places: &[u32], width: usize, out: usize) {
    assert!(
        width > 0 && out.is_multiple_of(width) && weights == places.len() && y == weights * width,
        "{name}: slices of {y}, {weights}, {} and {out} for rows of {width}",
        places.len()
    );
    let rows = out / width;
    assert!(rows == 0 || weights.is_multiple_of(rows), "{name}: {weights} weights for {rows} rows");
}

/// `out[r] = sum over slots s of weights[r, s] * y[places[r, s]]`, in the order of the slots: y `[rows * top_k, width]` holds
/// what the experts gave, one expert after the other, and `places` where each row's stand.
pub fn combine(y: &[f32], weights: &[f32], places: &[u32], width: usize, out: &mut [f32]) {
    check_combine("combine", y.len(), weights.len(), places, width, out.len());
    if !out.is_empty() {
        combine_rows(y, weights, places, width, out);
    }
}

#[inline(always)]
fn combine_backward_body<const FMA: bool>(
    y: &[f32],
    weights: &[f32],
    places: &[u32],
    width: usize,
    d_out: &[f32],
    d_y: &mut [f32],
    d_weights: &mut [f32],
) {
    let top_k = weights.len() / (d_out.len() / width);
    let slots = weights.chunks_exact(top_k).zip(places.chunks_exact(top_k)).zip(d_weights.chunks_exact_mut(top_k));
    for (d_out, ((weights, places), d_weights)) in d_out.chunks_exact(width).zip(slots) {
        for ((weight, &place), d_weight) in weights.iter().zip(places).zip(d_weights) {
            let at = place as usize * width;
            *d_weight = dot::<FMA>(&y[at..at + width], d_out);
            for (d_y, d_out) in d_y[at..at + width].iter_mut().zip(d_out) {
                *d_y = *weight * *d_out;
            }
        }
    }
}

dispatch! {
    fn combine_rows_backward(
        y: &[f32],
        weights: &[f32],
        places: &[u32],
        width: usize,
        d_out: &[f32],
        d_y: &mut [f32],
        d_weights: &mut [f32],
    ) = combine_backward_body
}

/// The gradients of [`combine`], overwriting `d_y` and `d_weights`: `d_y[place] = weight * d_out[r]`,
/// `d_weight = <y[place], d_out[r]>`. `places` is a permutation, so every row of `d_y` is written.
pub fn combine_backward(
    y: &[f32],
    weights: &[f32],
    places: &[u32],
    width: usize,
    d_out: &[f32],
    d_y: &mut [f32],
    d_weights: &mut [f32],
) {
    check_combine("combine_backward", y.len(), weights.len(), places, width, d_out.len());
    assert!(
        d_y.len() == y.len() && d_weights.len() == weights.len(),
        "combine_backward: slices of {} and {}",
        d_y.len(),
        d_weights.len()
    );
    if !d_out.is_empty() {
        combine_rows_backward(y, weights, places, width, d_out, d_y, d_weights);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_close, assert_levels_agree, bits, differences, numbers, wide};

    const RULES: [RoutingWeights; 2] = [RoutingWeights::AsTheyAre, RoutingWeights::Normalised];

    struct Routed {
        probabilities: Vec<f32>,
        chosen: Vec<u32>,
        weights: Vec<f32>,
    }

    fn routed(logits: &[f32], shape: RoutingShape) -> Routed {
        let slots = logits.len() / shape.experts * shape.top_k;
        let (mut probabilities, mut weights) = (vec![f32::NAN; logits.len()], vec![f32::NAN; slots]);
        let mut chosen = vec![u32::MAX; slots];
        route(logits, shape, &mut probabilities, &mut chosen, &mut weights);
        Routed { probabilities, chosen, weights }
    }

    /// The weights of every expert, 0 where it is not chosen, with the choice held.
    fn reference(logits: &[f64], experts: usize, chosen: &[u32], rule: RoutingWeights) -> Vec<f64> {
        let top_k = chosen.len() / (logits.len() / experts);
        let mut out = Vec::new();
        for (logits, chosen) in logits.chunks(experts).zip(chosen.chunks(top_k)) {
            let total: f64 = logits.iter().map(|x| x.exp()).sum();
            let p: Vec<f64> = chosen.iter().map(|&c| logits[c as usize].exp() / total).collect();
            let by = if rule == RoutingWeights::Normalised { p.iter().sum() } else { 1.0 };
            out.extend(p.iter().map(|p| p / by));
        }
        out
    }

    #[test]
    fn the_largest_are_chosen_the_first_among_equals() {
        let shape = RoutingShape { experts: 5, top_k: 3, weights: RoutingWeights::AsTheyAre };
        let Routed { chosen, weights, probabilities } = routed(&[0.0, 2.0, 2.0, -1.0, 0.0], shape);
        assert_eq!(chosen, [1, 2, 0]);
        assert_eq!(bits(&weights), bits(&[probabilities[1], probabilities[2], probabilities[0]]));
        assert!((probabilities.iter().sum::<f32>() - 1.0).abs() < 1e-6);
    }

    #[test]
    fn weights_and_gradients_agree_with_the_formula() {
        for weights in RULES {
            let shape = RoutingShape { experts: 7, top_k: 3, weights };
            let logits: Vec<f32> = numbers(1, 5 * 7).iter().map(|x| x * 2.0).collect();
            let found = routed(&logits, shape);
            assert_close(&found.weights, &reference(&wide(&logits), 7, &found.chosen, weights), 1e-6);
            let d_weights = numbers(2, 15);
            let mut d_logits = vec![f32::NAN; 35];
            route_backward(shape, &found.probabilities, &found.chosen, &found.weights, &d_weights, &mut d_logits);
            let loss = |logits: &[f64]| {
                reference(logits, 7, &found.chosen, weights)
                    .iter()
                    .zip(&d_weights)
                    .map(|(w, d)| w * f64::from(*d))
                    .sum()
            };
            assert_close(&d_logits, &differences(&logits, loss), 1e-5);
        }
    }

    #[test]
    fn a_row_does_not_see_its_neighbours_and_levels_agree() {
        for weights in RULES {
            let shape = RoutingShape { experts: 19, top_k: 4, weights };
            let logits = numbers(3, 6 * 19);
            let all = routed(&logits, shape);
            for (i, logits) in logits.chunks(19).enumerate() {
                let alone = routed(logits, shape);
                assert_eq!(alone.chosen, all.chosen[i * 4..][..4]);
                assert_eq!(bits(&alone.weights), bits(&all.weights[i * 4..][..4]));
            }
            assert_levels_agree(|| routed(&logits, shape).weights);
        }
    }

    #[test]
    fn outputs_are_summed_by_slot_and_go_back() {
        let (width, places) = (20, [3, 0, 1, 5, 4, 2]);
        let (y, weights, d_out) = (numbers(1, 120), numbers(2, 6), numbers(3, 60));
        let reference = |y: &[f64], weights: &[f64]| -> Vec<f64> {
            let value = |at: usize| {
                let (row, column) = (at / width, at % width);
                (0..2).map(|s| weights[row * 2 + s] * y[places[row * 2 + s] as usize * width + column]).sum()
            };
            (0..60).map(value).collect()
        };
        let mut out = vec![f32::NAN; 60];
        combine(&y, &weights, &places, width, &mut out);
        assert_close(&out, &reference(&wide(&y), &wide(&weights)), 1e-6);
        let (mut d_y, mut d_weights) = (vec![f32::NAN; 120], vec![f32::NAN; 6]);
        combine_backward(&y, &weights, &places, width, &d_out, &mut d_y, &mut d_weights);
        let dot = |out: Vec<f64>| crate::testing::dot(&out, &d_out);
        assert_close(&d_y, &differences(&y, |y| dot(reference(y, &wide(&weights)))), 1e-5);
        assert_close(&d_weights, &differences(&weights, |w| dot(reference(&wide(&y), w))), 1e-5);
        assert_levels_agree(|| {
            let mut out = vec![f32::NAN; 60];
            combine(&y, &weights, &places, width, &mut out);
            out
        });
    }

    #[test]
    #[should_panic(expected = "route: 3 of 2 experts")]
    fn more_than_all_experts_is_refused() {
        routed(&[0.0, 0.0], RoutingShape { experts: 2, top_k: 3, weights: RoutingWeights::AsTheyAre });
    }
}
