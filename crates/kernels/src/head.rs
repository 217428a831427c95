//! The vocabulary head fused with log-softmax, gather and entropy.

use crate::exp::exp_lane;
use crate::level::dispatch;
use crate::linear::{LinearShape, linear};
use crate::matrix::{View, multiply};
use crate::reduce::{dot, max, sum};

/// The sizes of a head: hidden rows `[rows, width]` and a weight `[vocabulary, width]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadShape {
    /// Rows to score.
    pub rows: usize,
    /// Width of a hidden row.
    pub width: usize,
    /// Number of ids.
    pub vocabulary: usize,
}

impl HeadShape {
    fn check(&self, name: &str, hidden: usize, weight: usize, ids: &[u32], per_row: &[usize]) {
        let HeadShape { rows, width, vocabulary } = *self;
        assert!(
            hidden == rows * width && weight == vocabulary * width && vocabulary > 0,
            "{name}: slices of {hidden} and {weight} for hidden [{rows}, {width}], weight [{vocabulary}, {width}]"
        );
        assert!(
            ids.len() == rows && per_row.iter().all(|&len| len == rows),
            "{name}: {} ids and columns of {per_row:?} for {rows} rows",
            ids.len()
        );
        let last = ids.iter().max().copied().unwrap_or(0) as usize;
        assert!(last < vocabulary, "{name}: id {last} in a vocabulary of {vocabulary}");
    }

    fn linear(&self, rows: usize, outputs: usize) -> LinearShape {
        LinearShape { rows, inputs: self.width, outputs }
    }
}

/// What one pass over the logits of a row leaves: `z = logit * inverse_temperature`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Statistics {
    /// `ln sum_j e^{z_j}`.
    pub log_sum_exp: f32,
    /// `-sum_j p_j ln p_j`, in nats.
    pub entropy: f32,
}

/// Logits whose sums are taken at once; the sums of blocks are merged in order.
const BLOCK: usize = 1024;
/// Rows of a tile of logits.
const ROW_BLOCK: usize = 256;

/// Over the ids so far: the largest `z`, `sum e^{z - max}` and `sum (z - max) e^{z - max}`.
#[derive(Clone, Copy)]
struct Partial {
    max: f32,
    sum: f32,
    weighted: f32,
}

const EMPTY: Partial = Partial { max: f32::MIN, sum: 0.0, weighted: 0.0 };

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

dispatch! { fn partial(logits: &[f32], inverse_temperature: f32) -> Partial = partial_body }
dispatch! { fn merge(a: Partial, b: Partial) -> Partial = merge_body }

impl Partial {
    fn statistics(self) -> Statistics {
        let log_sum = self.sum.ln();
        Statistics { log_sum_exp: self.max + log_sum, entropy: log_sum - self.weighted / self.sum }
    }

    /// The log-probability of a scaled logit; the maximum goes first, since it is what cancels.
    fn logp(self, z: f32) -> f32 {
        (z - self.max) - self.sum.ln()
    }
}

fn over_row(logits: &[f32], inverse_temperature: f32) -> Partial {
    logits.chunks(BLOCK).fold(EMPTY, |state, block| merge(state, partial(block, inverse_temperature)))
}

/// Scores rows without a `[rows, vocabulary]` tensor. With `z = (hidden . weight) * inverse_temperature`:
/// `log_sum_exp = ln sum e^z`, `logp = z[id] - log_sum_exp`, `entropy = log_sum_exp - sum p z`.
///
/// hidden `[rows, width]`, weight `[vocabulary, width]`; ids and the three columns `[rows]`. The vocabulary is taken
/// in blocks of 1024 with an online log-sum-exp merged in order, so a row's numbers depend on that row alone, and
/// [`logits_row`] on the logits of [`head_logits`] gives the same bits.
#[allow(clippy::too_many_arguments)]
pub fn head_rows(
    hidden: &[f32],
    weight: &[f32],
    ids: &[u32],
    inverse_temperature: f32,
    shape: HeadShape,
    logp: &mut [f32],
    entropy: &mut [f32],
    log_sum_exp: &mut [f32],
) {
    let columns = [logp.len(), entropy.len(), log_sum_exp.len()];
    shape.check("head_rows", hidden.len(), weight.len(), ids, &columns);
    let HeadShape { rows, width, vocabulary } = shape;
    let mut tile = vec![0.0; ROW_BLOCK.min(rows) * BLOCK.min(vocabulary)];
    for top in (0..rows).step_by(ROW_BLOCK) {
        let height = ROW_BLOCK.min(rows - top);
        let hidden = &hidden[top * width..][..height * width];
        let mut states = [EMPTY; ROW_BLOCK];
        let mut chosen = [0.0; ROW_BLOCK];
        for left in (0..vocabulary).step_by(BLOCK) {
            let ids_here = BLOCK.min(vocabulary - left);
            let tile = &mut tile[..height * ids_here];
            linear(hidden, &weight[left * width..][..ids_here * width], None, shape.linear(height, ids_here), tile);
            for (r, logits) in tile.chunks_exact(ids_here).enumerate() {
                states[r] = merge(states[r], partial(logits, inverse_temperature));
                if let Some(logit) = (ids[top + r] as usize).checked_sub(left).and_then(|at| logits.get(at)) {
                    chosen[r] = logit * inverse_temperature;
                }
            }
        }
        for r in 0..height {
            let statistics = states[r].statistics();
            logp[top + r] = states[r].logp(chosen[r]);
            entropy[top + r] = statistics.entropy;
            log_sum_exp[top + r] = statistics.log_sum_exp;
        }
    }
}

/// The logits themselves, unscaled, `[rows, vocabulary]`: what a sampler draws from.
pub fn head_logits(hidden: &[f32], weight: &[f32], shape: HeadShape, logits: &mut [f32]) {
    linear(hidden, weight, None, shape.linear(shape.rows, shape.vocabulary), logits);
}

/// `(logp, entropy)` of an id under one row of logits `[vocabulary]`: bit for bit those of [`head_rows`].
pub fn logits_row(logits: &[f32], id: u32, inverse_temperature: f32) -> (f32, f32) {
    assert!((id as usize) < logits.len(), "logits_row: id {id} in a vocabulary of {}", logits.len());
    let state = over_row(logits, inverse_temperature);
    (state.logp(logits[id as usize] * inverse_temperature), state.statistics().entropy)
}

/// Log-sum-exp and entropy of one row of logits `[vocabulary]`: bit for bit those of [`head_rows`].
pub fn logits_statistics(logits: &[f32], inverse_temperature: f32) -> Statistics {
    over_row(logits, inverse_temperature).statistics()
}

/// What the gradient of a row's logits needs.
#[derive(Clone, Copy)]
struct RowGradient {
    log_sum_exp: f32,
    entropy: f32,
    g_logp: f32,
    g_entropy: f32,
    inverse_temperature: f32,
}

/// Turns logits into their gradients, all but the term of the chosen id.
#[inline(always)]
fn gradient_body<const FMA: bool>(logits: &mut [f32], row: RowGradient) {
    for logit in logits {
        let log_p = *logit * row.inverse_temperature - row.log_sum_exp;
        let p = exp_lane::<FMA>(log_p);
        let log_p = if p == 0.0 { 0.0 } else { log_p };
        *logit = -p * (row.g_logp + row.g_entropy * (log_p + row.entropy)) * row.inverse_temperature;
    }
}

dispatch! { fn gradient(logits: &mut [f32], row: RowGradient) = gradient_body }

/// The gradients of [`head_rows`], overwriting d_hidden `[rows, width]` and d_weight `[vocabulary, width]`:
/// `dz_j = g_logp (1[j = id] - p_j) - g_entropy p_j (ln p_j + entropy)`, times the inverse temperature. Logits are
/// computed again; `log_sum_exp` and `entropy` are what [`head_rows`] gave.
#[allow(clippy::too_many_arguments)]
pub fn head_backward(
    hidden: &[f32],
    weight: &[f32],
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
    let columns = [log_sum_exp.len(), entropy.len(), g_logp.len(), g_entropy.len()];
    shape.check("head_backward", hidden.len(), weight.len(), ids, &columns);
    shape.check("head_backward's gradients", d_hidden.len(), d_weight.len(), ids, &columns);
    let HeadShape { rows, width, vocabulary } = shape;
    d_hidden.fill(0.0);
    d_weight.fill(0.0);
    let mut tile = vec![0.0; ROW_BLOCK.min(rows) * BLOCK.min(vocabulary)];
    for left in (0..vocabulary).step_by(BLOCK) {
        let ids_here = BLOCK.min(vocabulary - left);
        let weight = &weight[left * width..][..ids_here * width];
        let d_weight = &mut d_weight[left * width..][..ids_here * width];
        for top in (0..rows).step_by(ROW_BLOCK) {
            let height = ROW_BLOCK.min(rows - top);
            let hidden = &hidden[top * width..][..height * width];
            let tile = &mut tile[..height * ids_here];
            linear(hidden, weight, None, shape.linear(height, ids_here), tile);
            for (r, logits) in tile.chunks_exact_mut(ids_here).enumerate() {
                let row = RowGradient {
                    log_sum_exp: log_sum_exp[top + r],
                    entropy: entropy[top + r],
                    g_logp: g_logp[top + r],
                    g_entropy: g_entropy[top + r],
                    inverse_temperature,
                };
                gradient(logits, row);
                if let Some(at) = (ids[top + r] as usize).checked_sub(left)
                    && at < ids_here
                {
                    logits[at] += row.g_logp * inverse_temperature;
                }
            }
            let dz = View::rows(tile, height, ids_here, ids_here);
            let d_hidden = &mut d_hidden[top * width..][..height * width];
            multiply(d_hidden, width, true, dz, View::rows(weight, ids_here, width, width));
            multiply(d_weight, width, true, dz.transposed(), View::rows(hidden, height, width, width));
        }
    }
}
