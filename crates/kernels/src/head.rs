//! The vocabulary head fused with log-softmax, gather and entropy.

use std::ops::Range;

use crate::exp::exp_lane;
use crate::level::dispatch;
use crate::linear::{LinearShape, linear};
use crate::logits::{BLOCK, EMPTY, merge, partial};
use crate::matrix::{View, multiply};
use crate::stored::Matrix;

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
    pub(crate) fn check(&self, name: &str, hidden: usize, weight: usize, ids: &[u32], per_row: &[usize]) {
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

    pub(crate) fn linear(&self, rows: usize, outputs: usize) -> LinearShape {
        LinearShape { rows, inputs: self.width, outputs }
    }
}

/// Rows of a tile of logits.
pub(crate) const ROW_BLOCK: usize = 256;

/// Scores rows without a `[rows, vocabulary]` tensor. With `z = (hidden . weight) * inverse_temperature`:
/// `log_sum_exp = ln sum e^z`, `logp = z[id] - log_sum_exp`, `entropy = log_sum_exp - sum p z`.
///
/// hidden `[rows, width]`, weight `[vocabulary, width]` in f32 or bf16; ids and the three columns `[rows]`. The vocabulary is taken
/// in blocks of 1024 with an online log-sum-exp merged in order, so a row's numbers depend on that row alone, and
/// [`logits_row`](crate::logits_row) on the logits of [`head_logits`] gives the same bits.
#[allow(clippy::too_many_arguments)]
pub fn head_rows<'a>(
    hidden: &[f32],
    weight: impl Into<Matrix<'a>>,
    ids: &[u32],
    inverse_temperature: f32,
    shape: HeadShape,
    logp: &mut [f32],
    entropy: &mut [f32],
    log_sum_exp: &mut [f32],
) {
    let weight = weight.into();
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
            linear(hidden, weight.rows(left..left + ids_here, width), None, shape.linear(height, ids_here), tile);
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
pub fn head_logits<'a>(hidden: &[f32], weight: impl Into<Matrix<'a>>, shape: HeadShape, logits: &mut [f32]) {
    linear(hidden, weight, None, shape.linear(shape.rows, shape.vocabulary), logits);
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

/// What the gradients of a pack's logits are made from, a number a row each.
pub(crate) struct RowGradients<'a> {
    pub(crate) ids: &'a [u32],
    pub(crate) inverse_temperature: f32,
    pub(crate) log_sum_exp: &'a [f32],
    pub(crate) entropy: &'a [f32],
    pub(crate) g_logp: &'a [f32],
    pub(crate) g_entropy: &'a [f32],
}

impl RowGradients<'_> {
    /// The gradients of the logits of `rows` and of the ids `block`, `[rows, block]`; `hidden` and `weight` are those of
    /// these rows and ids.
    pub(crate) fn fill(
        &self,
        rows: Range<usize>,
        block: Range<usize>,
        hidden: &[f32],
        weight: &[f32],
        width: usize,
        tile: &mut [f32],
    ) {
        linear(hidden, weight, None, LinearShape { rows: rows.len(), inputs: width, outputs: block.len() }, tile);
        for (r, logits) in rows.zip(tile.chunks_exact_mut(block.len())) {
            let row = RowGradient {
                log_sum_exp: self.log_sum_exp[r],
                entropy: self.entropy[r],
                g_logp: self.g_logp[r],
                g_entropy: self.g_entropy[r],
                inverse_temperature: self.inverse_temperature,
            };
            gradient(logits, row);
            if let Some(at) = (self.ids[r] as usize).checked_sub(block.start)
                && at < block.len()
            {
                logits[at] += row.g_logp * self.inverse_temperature;
            }
        }
    }
}

/// `d_hidden += dz * weight` for a tile dz `[rows, ids]`.
pub(crate) fn add_d_hidden(tile: &[f32], weight: &[f32], width: usize, d_hidden: &mut [f32]) {
    let (rows, ids) = (d_hidden.len() / width, weight.len() / width);
    multiply(d_hidden, width, true, View::rows(tile, rows, ids, ids), View::rows(weight, ids, width, width));
}

/// `d_weight += dz' * hidden` for a tile dz `[rows, ids]`.
pub(crate) fn add_d_weight(tile: &[f32], hidden: &[f32], width: usize, d_weight: &mut [f32]) {
    let (rows, ids) = (hidden.len() / width, d_weight.len() / width);
    let dz = View::rows(tile, rows, ids, ids);
    multiply(d_weight, width, true, dz.transposed(), View::rows(hidden, rows, width, width));
}

/// The gradients of [`head_rows`], overwriting d_hidden `[rows, width]` and d_weight `[vocabulary, width]`:
/// `dz_j = g_logp (1[j = id] - p_j) - g_entropy p_j (ln p_j + entropy)`, times the inverse temperature. Logits are
/// computed again; `log_sum_exp` and `entropy` are what [`head_rows`] gave.
#[allow(clippy::too_many_arguments)]
pub fn head_backward<'a>(
    hidden: &[f32],
    weight: impl Into<Matrix<'a>>,
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
    let weight = weight.into();
    let columns = [log_sum_exp.len(), entropy.len(), g_logp.len(), g_entropy.len()];
    shape.check("head_backward", hidden.len(), weight.len(), ids, &columns);
    shape.check("head_backward's gradients", d_hidden.len(), d_weight.len(), ids, &columns);
    let HeadShape { rows, width, vocabulary } = shape;
    d_hidden.fill(0.0);
    d_weight.fill(0.0);
    let given = RowGradients { ids, inverse_temperature, log_sum_exp, entropy, g_logp, g_entropy };
    let mut tile = vec![0.0; ROW_BLOCK.min(rows) * BLOCK.min(vocabulary)];
    let mut widened = Vec::new();
    for left in (0..vocabulary).step_by(BLOCK) {
        let ids_here = BLOCK.min(vocabulary - left);
        let weight = weight.rows(left..left + ids_here, width).widened(&mut widened);
        let d_weight = &mut d_weight[left * width..][..ids_here * width];
        for top in (0..rows).step_by(ROW_BLOCK) {
            let height = ROW_BLOCK.min(rows - top);
            let hidden = &hidden[top * width..][..height * width];
            let tile = &mut tile[..height * ids_here];
            given.fill(top..top + height, left..left + ids_here, hidden, weight, width, tile);
            add_d_hidden(tile, weight, width, &mut d_hidden[top * width..][..height * width]);
            add_d_weight(tile, hidden, width, d_weight);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logits::{logits_row, logits_statistics};
    use crate::stored::tests::narrow;
    use crate::testing::{assert_close, assert_levels_agree, bits, differences, dot as weighted, numbers, wide};

    struct Case {
        shape: HeadShape,
        inverse_temperature: f32,
        hidden: Vec<f32>,
        weight: Vec<f32>,
        ids: Vec<u32>,
        columns: [Vec<f32>; 3],
    }

    impl Case {
        fn new(rows: usize, width: usize, vocabulary: usize, inverse_temperature: f32) -> Self {
            let shape = HeadShape { rows, width, vocabulary };
            let hidden: Vec<f32> = numbers(1, rows * width).iter().map(|x| x * 3.0).collect();
            let ids = (0..rows).map(|r| (r * 7919 % vocabulary) as u32).collect();
            let columns = [vec![f32::NAN; rows], vec![f32::NAN; rows], vec![f32::NAN; rows]];
            let mut case =
                Case { shape, inverse_temperature, hidden, weight: numbers(2, vocabulary * width), ids, columns };
            case.columns = case.rows(0, rows);
            case
        }

        fn rows(&self, from: usize, to: usize) -> [Vec<f32>; 3] {
            let count = to - from;
            let mut columns = [vec![f32::NAN; count], vec![f32::NAN; count], vec![f32::NAN; count]];
            let [logp, entropy, log_sum_exp] = &mut columns;
            head_rows(
                &self.hidden[from * self.shape.width..to * self.shape.width],
                &self.weight,
                &self.ids[from..to],
                self.inverse_temperature,
                HeadShape { rows: count, ..self.shape },
                logp,
                entropy,
                log_sum_exp,
            );
            columns
        }

        /// logp, entropy and log-sum-exp of every row.
        fn reference(&self, hidden: &[f64], weight: &[f64]) -> [Vec<f64>; 3] {
            let width = self.shape.width;
            let mut columns = [Vec::new(), Vec::new(), Vec::new()];
            for (hidden, id) in hidden.chunks(width).zip(&self.ids) {
                let logit = |row: &[f64]| row.iter().zip(hidden).map(|(w, h)| w * h).sum::<f64>();
                let z: Vec<f64> =
                    weight.chunks(width).map(|row| logit(row) * f64::from(self.inverse_temperature)).collect();
                let log_sum_exp = z.iter().map(|z| z.exp()).sum::<f64>().ln();
                columns[0].push(z[*id as usize] - log_sum_exp);
                columns[1].push(log_sum_exp - z.iter().map(|z| (z - log_sum_exp).exp() * z).sum::<f64>());
                columns[2].push(log_sum_exp);
            }
            columns
        }
    }

    #[test]
    fn agrees_with_the_formula() {
        for (rows, width, vocabulary, inverse_temperature) in
            [(1, 3, 1, 1.0), (5, 16, 40, 1.0), (300, 8, 70, 0.7), (9, 20, 1024, 1.4), (4, 33, 2500, 1.0)]
        {
            let case = Case::new(rows, width, vocabulary, inverse_temperature);
            let expected = case.reference(&wide(&case.hidden), &wide(&case.weight));
            for (actual, expected) in case.columns.iter().zip(&expected) {
                assert_close(actual, expected, 3e-6);
            }
        }
    }

    #[test]
    fn the_sampler_row_is_the_trainer_row() {
        for (rows, vocabulary) in [(1, 512), (3, 40), (300, 70), (7, 1024), (5, 2500)] {
            let case = Case::new(rows, 24, vocabulary, 1.3);
            for batch in [1, 2, rows] {
                for from in (0..rows).step_by(batch) {
                    let to = rows.min(from + batch);
                    let shape = HeadShape { rows: to - from, ..case.shape };
                    let mut logits = vec![f32::NAN; (to - from) * vocabulary];
                    head_logits(&case.hidden[from * 24..to * 24], &case.weight, shape, &mut logits);
                    for (row, logits) in (from..to).zip(logits.chunks(vocabulary)) {
                        let (logp, entropy) = logits_row(logits, case.ids[row], 1.3);
                        let statistics = logits_statistics(logits, 1.3);
                        assert_eq!(logp.to_bits(), case.columns[0][row].to_bits());
                        assert_eq!(entropy.to_bits(), case.columns[1][row].to_bits());
                        assert_eq!(statistics.entropy.to_bits(), case.columns[1][row].to_bits());
                        assert_eq!(statistics.log_sum_exp.to_bits(), case.columns[2][row].to_bits());
                    }
                }
            }
        }
    }

    #[test]
    fn a_row_does_not_see_its_neighbours() {
        let case = Case::new(520, 16, 1300, 0.9);
        for (from, to) in [(0, 1), (255, 257), (3, 10), (100, 420), (519, 520)] {
            for (part, all) in case.rows(from, to).iter().zip(&case.columns) {
                assert_eq!(bits(part), bits(&all[from..to]));
            }
        }
    }

    #[test]
    fn backward_agrees_with_differences() {
        for (rows, width, vocabulary, inverse_temperature) in
            [(1, 3, 2, 1.0), (4, 6, 11, 0.8), (3, 2, 1030, 1.5), (260, 1, 3, 1.0)]
        {
            let case = Case::new(rows, width, vocabulary, inverse_temperature);
            let (g_logp, g_entropy) = (numbers(5, rows), numbers(6, rows));
            let mut d_hidden = vec![f32::NAN; case.hidden.len()];
            let mut d_weight = vec![f32::NAN; case.weight.len()];
            head_backward(
                &case.hidden,
                &case.weight,
                &case.ids,
                inverse_temperature,
                case.shape,
                &case.columns[2],
                &case.columns[1],
                &g_logp,
                &g_entropy,
                &mut d_hidden,
                &mut d_weight,
            );
            let loss = |hidden: &[f64], weight: &[f64]| {
                let [logp, entropy, _] = case.reference(hidden, weight);
                weighted(&logp, &g_logp) + weighted(&entropy, &g_entropy)
            };
            let (hidden, weight) = (wide(&case.hidden), wide(&case.weight));
            assert_close(&d_hidden, &differences(&case.hidden, |hidden| loss(hidden, &weight)), 1e-5);
            assert_close(&d_weight, &differences(&case.weight, |weight| loss(&hidden, weight)), 1e-5);
        }
    }

    #[test]
    fn a_weight_in_bf16_is_the_same_weight_widened() {
        for (rows, width, vocabulary) in [(1, 40, 30), (270, 12, 2100)] {
            let case = Case::new(rows, width, vocabulary, 0.9);
            let (narrow, wide) = narrow(7, vocabulary * width);
            let run = |weight: Matrix| {
                let mut all = [rows, rows, rows, rows * width, vocabulary * width, rows * vocabulary]
                    .map(|count| vec![f32::NAN; count]);
                let [logp, entropy, log_sum_exp, d_hidden, d_weight, logits] = &mut all;
                head_rows(&case.hidden, weight, &case.ids, 0.9, case.shape, logp, entropy, log_sum_exp);
                let (g_logp, g_entropy) = (numbers(5, rows), numbers(6, rows));
                #[rustfmt::skip]
                head_backward(
                    &case.hidden, weight, &case.ids, 0.9, case.shape, log_sum_exp, entropy, &g_logp, &g_entropy, d_hidden, d_weight,
                );
                head_logits(&case.hidden, weight, case.shape, logits);
                all.map(|all| bits(&all))
            };
            assert!(run(Matrix::from(&narrow)) == run(Matrix::from(&wide)), "{:?}", case.shape);
        }
    }

    #[test]
    fn levels_agree() {
        assert_levels_agree(|| Case::new(9, 16, 1100, 0.9).columns.concat());
    }
}
