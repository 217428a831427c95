//! The head for one id a row and its log-probability: the density of an ordinary token.

use crate::head::{Asked, Head, HeadColumns, HeadGradients, HeadShape};
use crate::team::Team;
use crate::weight::Weight;

/// Scores rows without a `[rows, vocabulary]` tensor. With `z = (hidden . weight) * inverse_temperature`:
/// `log_sum_exp = ln sum e^z`, `logp = z[id] - log_sum_exp`, `entropy = log_sum_exp - sum p z`.
///
/// hidden `[rows, width]`, weight `[vocabulary, width]`; ids and the three columns `[rows]`. The numbers of
/// [`head_relative`](crate::head_relative), and bit for bit those of [`logits_row`](crate::logits_row).
#[allow(clippy::too_many_arguments)]
pub fn head_rows<'a>(
    hidden: &[f32],
    weight: impl Into<Weight<'a>>,
    ids: &[u32],
    inverse_temperature: f32,
    shape: HeadShape,
    logp: &mut [f32],
    entropy: &mut [f32],
    log_sum_exp: &mut [f32],
) {
    Team::ALONE.head_rows(hidden, weight, ids, inverse_temperature, shape, logp, entropy, log_sum_exp);
}

/// The gradients of [`head_rows`], overwriting d_hidden `[rows, width]` and d_weight `[vocabulary, width]`:
/// `dz_j = g_logp (1[j = id] - p_j) - g_entropy p_j (ln p_j + entropy)`, times the inverse temperature. `log_sum_exp` and
/// `entropy` are what [`head_rows`] gave.
#[allow(clippy::too_many_arguments)]
pub fn head_backward<'a>(
    hidden: &[f32],
    weight: impl Into<Weight<'a>>,
    ids: &[u32],
    inverse_temperature: f32,
    shape: HeadShape,
    log_sum_exp: &[f32],
    entropy: &[f32],
    g_logp: &[f32],
    g_entropy: &[f32],
    d_hidden: &mut [f32],
    d_weight: &mut [f32],
) {
    Team::ALONE.head_backward(
        hidden,
        weight,
        ids,
        inverse_temperature,
        shape,
        log_sum_exp,
        entropy,
        g_logp,
        g_entropy,
        d_hidden,
        d_weight,
    );
}

impl Team {
    /// [`head_rows`].
    #[allow(clippy::too_many_arguments)]
    pub fn head_rows<'a>(
        &self,
        hidden: &[f32],
        weight: impl Into<Weight<'a>>,
        ids: &[u32],
        inverse_temperature: f32,
        shape: HeadShape,
        logp: &mut [f32],
        entropy: &mut [f32],
        log_sum_exp: &mut [f32],
    ) {
        let head = Head { hidden, weight: weight.into(), asked: Asked::One(ids), inverse_temperature, shape };
        let mut log_sum = vec![0.0; shape.rows];
        self.head_relative(head, HeadColumns { relative: logp, log_sum: &mut log_sum, entropy, log_sum_exp });
        for (logp, log_sum) in logp.iter_mut().zip(&log_sum) {
            *logp -= log_sum;
        }
    }

    /// [`head_backward`].
    #[allow(clippy::too_many_arguments)]
    pub fn head_backward<'a>(
        &self,
        hidden: &[f32],
        weight: impl Into<Weight<'a>>,
        ids: &[u32],
        inverse_temperature: f32,
        shape: HeadShape,
        log_sum_exp: &[f32],
        entropy: &[f32],
        g_logp: &[f32],
        g_entropy: &[f32],
        d_hidden: &mut [f32],
        d_weight: &mut [f32],
    ) {
        let head = Head { hidden, weight: weight.into(), asked: Asked::One(ids), inverse_temperature, shape };
        let by_log_sum: Vec<f32> = g_logp.iter().map(|g| -g).collect();
        let gradients = HeadGradients {
            relative: g_logp,
            log_sum: &by_log_sum,
            entropy: g_entropy,
            entropies: entropy,
            log_sum_exp,
        };
        self.head_relative_backward(head, gradients, d_hidden, Some(d_weight));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logits::logits_row;
    use crate::testing::{assert_close, bits, differences, numbers, wide};

    #[test]
    fn logp_is_that_of_a_row_of_logits() {
        let shape = HeadShape { rows: 9, width: 24, vocabulary: 1100 };
        let (hidden, weight) = (numbers(1, 9 * 24), numbers(2, 1100 * 24));
        let ids: Vec<u32> = (0..9).map(|row| row * 119).collect();
        let [mut logp, mut entropy, mut log_sum_exp] = [0; 3].map(|_| vec![f32::NAN; 9]);
        head_rows(&hidden, &weight, &ids, 1.3, shape, &mut logp, &mut entropy, &mut log_sum_exp);
        let mut logits = vec![f32::NAN; 9 * 1100];
        crate::head_logits(&hidden, &weight, shape, &mut logits);
        let (expected, entropies): (Vec<f32>, Vec<f32>) =
            logits.chunks(1100).zip(&ids).map(|(logits, &id)| logits_row(logits, id, 1.3)).unzip();
        assert_eq!((bits(&logp), bits(&entropy)), (bits(&expected), bits(&entropies)));
    }

    #[test]
    fn backward_agrees_with_differences() {
        let shape = HeadShape { rows: 4, width: 6, vocabulary: 11 };
        let (hidden, weight) = (numbers(1, 24), numbers(2, 66));
        let (ids, g_logp, g_entropy) = ([3, 0, 10, 3], numbers(3, 4), numbers(4, 4));
        let [mut logp, mut entropy, mut log_sum_exp] = [0; 3].map(|_| vec![f32::NAN; 4]);
        head_rows(&hidden, &weight, &ids, 0.8, shape, &mut logp, &mut entropy, &mut log_sum_exp);
        let (mut d_hidden, mut d_weight) = (vec![f32::NAN; 24], vec![f32::NAN; 66]);
        #[rustfmt::skip]
        head_backward(
            &hidden, &weight, &ids, 0.8, shape, &log_sum_exp, &entropy, &g_logp, &g_entropy, &mut d_hidden, &mut d_weight,
        );
        let loss = |hidden: &[f64], weight: &[f64]| {
            let row = |(r, hidden): (usize, &[f64])| {
                let z = |id: usize| {
                    0.8f32 as f64 * weight[id * 6..][..6].iter().zip(hidden).map(|(w, h)| w * h).sum::<f64>()
                };
                let log_sum_exp = (0..11).map(|id| z(id).exp()).sum::<f64>().ln();
                let entropy = log_sum_exp - (0..11).map(|id| (z(id) - log_sum_exp).exp() * z(id)).sum::<f64>();
                f64::from(g_logp[r]) * (z(ids[r] as usize) - log_sum_exp) + f64::from(g_entropy[r]) * entropy
            };
            hidden.chunks(6).enumerate().map(row).sum::<f64>()
        };
        assert_close(&d_hidden, &differences(&hidden, |hidden| loss(hidden, &wide(&weight))), 1e-5);
        assert_close(&d_weight, &differences(&weight, |weight| loss(&wide(&hidden), weight)), 1e-5);
    }
}
