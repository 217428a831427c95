//! Log-softmax statistics of one row of logits, by blocks with an online log-sum-exp merged in order.

use crate::exp::exp_lane;
use crate::level::dispatch;
use crate::reduce::{dot, max, sum};

/// What one pass over the logits of a row leaves: `z = logit * inverse_temperature`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Statistics {
    /// `ln sum_j e^{z_j}`.
    pub log_sum_exp: f32,
    /// `-sum_j p_j ln p_j`, in nats.
    pub entropy: f32,
}

/// Logits whose sums are taken at once; the sums of blocks are merged in order.
pub(crate) const BLOCK: usize = 1024;

/// Over the ids so far: the largest `z`, `sum e^{z - max}` and `sum (z - max) e^{z - max}`.
#[derive(Clone, Copy)]
pub(crate) struct Partial {
    max: f32,
    sum: f32,
    weighted: f32,
}

pub(crate) const EMPTY: Partial = Partial { max: f32::MIN, sum: 0.0, weighted: 0.0 };

#[inline(always)]
fn partial_body<const FMA: bool>(logits: &[f32], inverse_temperature: f32) -> Partial {
    let mut shifted = [0.0; BLOCK];
    let mut powers = [0.0; BLOCK];
    let shifted = &mut shifted[..logits.len()];
    let powers = &mut powers[..logits.len()];
    for (z, logit) in shifted.iter_mut().zip(logits) {
        *z = *logit * inverse_temperature;
    }
    let max = max(shifted);
    for (z, power) in shifted.iter_mut().zip(powers.iter_mut()) {
        let difference = *z - max;
        *power = exp_lane::<FMA>(difference);
        // A logit of minus infinity has no part in the entropy; the product would be NaN.
        *z = if *power == 0.0 { 0.0 } else { difference };
    }
    Partial { max, sum: sum(powers), weighted: dot::<FMA>(powers, shifted) }
}

#[inline(always)]
fn merge_body<const FMA: bool>(a: Partial, b: Partial) -> Partial {
    let max = if b.max > a.max { b.max } else { a.max };
    let part = |x: Partial| {
        let difference = x.max - max;
        let factor = exp_lane::<FMA>(difference);
        let weighted = if factor == 0.0 { 0.0 } else { factor * (x.weighted + x.sum * difference) };
        (factor * x.sum, weighted)
    };
    let (a, b) = (part(a), part(b));
    Partial { max, sum: a.0 + b.0, weighted: a.1 + b.1 }
}

dispatch! { pub(crate) fn partial(logits: &[f32], inverse_temperature: f32) -> Partial = partial_body }
dispatch! { pub(crate) fn merge(a: Partial, b: Partial) -> Partial = merge_body }

impl Partial {
    pub(crate) fn statistics(self) -> Statistics {
        let log_sum = self.sum.ln();
        Statistics { log_sum_exp: self.max + log_sum, entropy: log_sum - self.weighted / self.sum }
    }

    /// A scaled logit less the largest.
    pub(crate) fn relative(self, z: f32) -> f32 {
        z - self.max
    }

    /// `ln sum_j e^{z_j - max}`.
    pub(crate) fn log_sum(self) -> f32 {
        self.sum.ln()
    }

    /// The log-probability of a scaled logit; the maximum goes first, since it is what cancels.
    pub(crate) fn logp(self, z: f32) -> f32 {
        self.relative(z) - self.log_sum()
    }
}

fn over_row(logits: &[f32], inverse_temperature: f32) -> Partial {
    logits.chunks(BLOCK).fold(EMPTY, |state, block| merge(state, partial(block, inverse_temperature)))
}

/// `(logp, entropy)` of an id under one row of logits `[vocabulary]`: bit for bit those of [`head_rows`](crate::head_rows).
pub fn logits_row(logits: &[f32], id: u32, inverse_temperature: f32) -> (f32, f32) {
    assert!((id as usize) < logits.len(), "logits_row: id {id} in a vocabulary of {}", logits.len());
    let state = over_row(logits, inverse_temperature);
    (state.logp(logits[id as usize] * inverse_temperature), state.statistics().entropy)
}

/// Scaled logits of some ids less the largest of the row `[vocabulary]`: bit for bit the `relative` of
/// [`head_relative`](crate::head_relative).
pub fn logits_relative(logits: &[f32], ids: &[u32], inverse_temperature: f32) -> Vec<f32> {
    let state = over_row(logits, inverse_temperature);
    ids.iter().map(|&id| state.relative(logits[id as usize] * inverse_temperature)).collect()
}

/// Log-sum-exp and entropy of one row of logits `[vocabulary]`: bit for bit those of [`head_rows`](crate::head_rows).
pub fn logits_statistics(logits: &[f32], inverse_temperature: f32) -> Statistics {
    over_row(logits, inverse_temperature).statistics()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extreme_logits() {
        let (logp, entropy) = logits_row(&[f32::NEG_INFINITY, 0.0, 0.0, f32::NEG_INFINITY], 1, 1.0);
        assert!((logp + 2f32.ln()).abs() < 1e-6 && (entropy - 2f32.ln()).abs() < 1e-6, "{logp} {entropy}");
        let (logp, entropy) = logits_row(&[1e4, 0.0, -1e4], 0, 1.0);
        assert_eq!((logp, entropy), (0.0, 0.0));
        assert_eq!(logits_row(&[1e4, 0.0, -1e4], 2, 1.0).0, -2e4);
        let mut late = vec![f32::NEG_INFINITY; 3000];
        late[2999] = 5.0;
        assert_eq!(logits_row(&late, 2999, 1.0), (0.0, 0.0));
        assert!(logits_row(&[f32::NAN, 0.0], 1, 1.0).0.is_nan());
        assert!(logits_statistics(&[0.0, f32::INFINITY], 1.0).entropy.is_nan());
    }
}
