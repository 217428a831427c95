//! The vocabulary head fused with what densities are built from, without a `[rows, vocabulary]` tensor.

use std::ops::Range;

use crate::bf16::{self, Write};
use crate::exp::exp_lane;
use crate::level::dispatch;
use crate::linear::{LinearShape, linear};
use crate::logits::{BLOCK, EMPTY, merge, partial};
use crate::matrix::{View, multiply};
use crate::weight::{Arithmetic, Weight};

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

/// The ids whose logits are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked<'a> {
    /// One id a row: an ordinary token.
    One(&'a [u32]),
    /// A list a row, of any length and with repetitions: soft tokens, alternatives. The list of row `r` is
    /// `ids[starts[r] - starts[0] .. starts[r + 1] - starts[0]]`; there is one start more than there are rows.
    Lists {
        /// All lists, one after the other.
        ids: &'a [u32],
        /// Where lists begin; the last one is the end.
        starts: &'a [usize],
    },
}

impl<'a> Asked<'a> {
    /// All ids, row after row.
    pub fn ids(&self) -> &'a [u32] {
        match self {
            Asked::One(ids) | Asked::Lists { ids, .. } => ids,
        }
    }

    /// Where the ids of a row stand among all.
    #[inline(always)]
    pub(crate) fn of(&self, row: usize) -> Range<usize> {
        match self {
            Asked::One(_) => row..row + 1,
            Asked::Lists { starts, .. } => starts[row] - starts[0]..starts[row + 1] - starts[0],
        }
    }

    /// Where the ids of some rows stand among all.
    pub(crate) fn span(&self, rows: &Range<usize>) -> Range<usize> {
        match self {
            Asked::One(_) => rows.clone(),
            Asked::Lists { starts, .. } => starts[rows.start] - starts[0]..starts[rows.end] - starts[0],
        }
    }

    /// What is asked of some rows.
    pub(crate) fn rows(&self, rows: &Range<usize>) -> Self {
        let ids = &self.ids()[self.span(rows)];
        match self {
            Asked::One(_) => Asked::One(ids),
            Asked::Lists { starts, .. } => Asked::Lists { ids, starts: &starts[rows.start..=rows.end] },
        }
    }
}

/// What a head is applied to.
#[derive(Clone, Copy, Debug)]
pub struct Head<'a> {
    /// `[rows, width]`.
    pub hidden: &'a [f32],
    /// `[vocabulary, width]`.
    pub weight: Weight<'a>,
    /// The ids of each row.
    pub asked: Asked<'a>,
    /// Logits are multiplied by it.
    pub inverse_temperature: f32,
    /// The sizes.
    pub shape: HeadShape,
}

impl HeadShape {
    pub(crate) fn linear(&self, rows: usize, outputs: usize) -> LinearShape {
        LinearShape { rows, inputs: self.width, outputs }
    }
}

impl<'a> Head<'a> {
    pub(crate) fn check(&self, name: &str, per_id: &[usize], per_row: &[usize]) {
        let HeadShape { rows, width, vocabulary } = self.shape;
        let (hidden, weight) = (self.hidden.len(), self.weight.len());
        assert!(
            hidden == rows * width && weight == vocabulary * width && vocabulary > 0,
            "{name}: slices of {hidden} and {weight} for hidden [{rows}, {width}], weight [{vocabulary}, {width}]"
        );
        let ids = self.asked.ids();
        let lists_fit = match self.asked {
            Asked::One(_) => ids.len() == rows,
            Asked::Lists { starts, .. } => {
                starts.len() == rows + 1 && starts.is_sorted() && starts[rows] - starts[0] == ids.len()
            }
        };
        assert!(lists_fit, "{name}: {} ids in lists that do not fit {rows} rows", ids.len());
        assert!(
            per_row.iter().all(|&len| len == rows) && per_id.iter().all(|&len| len == ids.len()),
            "{name}: columns of {per_id:?} and {per_row:?} for {} ids and {rows} rows",
            ids.len()
        );
        let last = ids.iter().max().copied().unwrap_or(0) as usize;
        assert!(last < vocabulary, "{name}: id {last} in a vocabulary of {vocabulary}");
    }

    /// The same head over some of the rows.
    pub(crate) fn rows(&self, rows: &Range<usize>) -> Self {
        let width = self.shape.width;
        Head {
            hidden: &self.hidden[rows.start * width..rows.end * width],
            asked: self.asked.rows(rows),
            shape: HeadShape { rows: rows.len(), ..self.shape },
            ..*self
        }
    }
}

/// Rows of a tile of logits.
pub(crate) const ROW_BLOCK: usize = 256;

/// What [`head_relative`] fills: with `z = (hidden . weight) * inverse_temperature` and `m` the largest `z` of a row.
#[derive(Debug)]
pub struct HeadColumns<'a> {
    /// `z[id] - m` for each id asked for, row after row.
    pub relative: &'a mut [f32],
    /// `ln sum_j e^(z_j - m)`, a number a row.
    pub log_sum: &'a mut [f32],
    /// `-sum_j p_j ln p_j` in nats, a number a row.
    pub entropy: &'a mut [f32],
    /// `m + log_sum`, a number a row: what the backward takes, and a statistic.
    pub log_sum_exp: &'a mut [f32],
}

/// Logits of the asked ids relative to the row's largest, the logarithm of the sum that normalises them, and the entropy,
/// in one pass over blocks of the vocabulary.
///
/// Densities are built above it: the log-probability of an id is `relative - log_sum`, and any other parametrisation over
/// the ids a function of `relative` alone. The largest logit is taken off because it is what cancels: in f32 the
/// difference of two numbers near 30 keeps no more than six digits.
///
/// The vocabulary is taken in blocks of 1024 with an online log-sum-exp merged in order, so a row's numbers depend on that
/// row alone, and [`logits_row`](crate::logits_row) on the logits of [`head_logits`] gives the same bits.
pub fn head_relative(head: Head, out: HeadColumns) {
    let HeadColumns { relative, log_sum, entropy, log_sum_exp } = out;
    head.check("head_relative", &[relative.len()], &[log_sum.len(), entropy.len(), log_sum_exp.len()]);
    let HeadShape { rows, width, vocabulary } = head.shape;
    let mut tile = vec![0.0; ROW_BLOCK.min(rows) * BLOCK.min(vocabulary)];
    for top in (0..rows).step_by(ROW_BLOCK) {
        let height = ROW_BLOCK.min(rows - top);
        let hidden = &head.hidden[top * width..][..height * width];
        let mut states = [EMPTY; ROW_BLOCK];
        for left in (0..vocabulary).step_by(BLOCK) {
            let ids_here = BLOCK.min(vocabulary - left);
            let tile = &mut tile[..height * ids_here];
            let weight = head.weight.rows(left..left + ids_here, width);
            linear(hidden, weight, None, head.shape.linear(height, ids_here), tile);
            for (r, logits) in tile.chunks_exact(ids_here).enumerate() {
                states[r] = merge(states[r], partial(logits, head.inverse_temperature));
                for at in head.asked.of(top + r) {
                    if let Some(logit) = (head.asked.ids()[at] as usize).checked_sub(left).and_then(|id| logits.get(id))
                    {
                        relative[at] = logit * head.inverse_temperature;
                    }
                }
            }
        }
        for r in 0..height {
            for relative in &mut relative[head.asked.of(top + r)] {
                *relative = states[r].relative(*relative);
            }
            let statistics = states[r].statistics();
            log_sum[top + r] = states[r].log_sum();
            entropy[top + r] = statistics.entropy;
            log_sum_exp[top + r] = statistics.log_sum_exp;
        }
    }
}

/// The logits themselves, unscaled, `[rows, vocabulary]`: what a sampler draws from.
pub fn head_logits<'a>(hidden: &[f32], weight: impl Into<Weight<'a>>, shape: HeadShape, logits: &mut [f32]) {
    linear(hidden, weight, None, shape.linear(shape.rows, shape.vocabulary), logits);
}

/// The derivatives of a loss by the columns of [`HeadColumns`], and what the forward left for the backward.
#[derive(Clone, Copy, Debug)]
pub struct HeadGradients<'a> {
    /// By `relative`, a number an id.
    pub relative: &'a [f32],
    /// By `log_sum`, a number a row.
    pub log_sum: &'a [f32],
    /// By `entropy`, a number a row.
    pub entropy: &'a [f32],
    /// What the forward gave for [`HeadColumns::entropy`].
    pub entropies: &'a [f32],
    /// What the forward gave for [`HeadColumns::log_sum_exp`].
    pub log_sum_exp: &'a [f32],
}

impl HeadGradients<'_> {
    pub(crate) fn check(&self, name: &str, head: &Head) {
        let per_row = [self.log_sum.len(), self.entropy.len(), self.entropies.len(), self.log_sum_exp.len()];
        head.check(name, &[self.relative.len()], &per_row);
    }

    /// The gradients of the logits of `rows` and of the ids `block`, `[rows, block]`; `weight` is that of these ids.
    pub(crate) fn fill(&self, head: &Head, rows: Range<usize>, block: Range<usize>, weight: Weight, tile: &mut [f32]) {
        let width = head.shape.width;
        let hidden = &head.hidden[rows.start * width..rows.end * width];
        linear(hidden, weight, None, head.shape.linear(rows.len(), block.len()), tile);
        for (r, logits) in rows.zip(tile.chunks_exact_mut(block.len())) {
            let row = RowGradient {
                log_sum_exp: self.log_sum_exp[r],
                entropy: self.entropies[r],
                g_log_sum: self.log_sum[r],
                g_entropy: self.entropy[r],
                inverse_temperature: head.inverse_temperature,
            };
            gradient(logits, row);
            for at in head.asked.of(r) {
                if let Some(id) = (head.asked.ids()[at] as usize).checked_sub(block.start)
                    && id < block.len()
                {
                    logits[id] += self.relative[at] * head.inverse_temperature;
                }
            }
        }
    }
}

/// What the gradient of a row's logits needs.
#[derive(Clone, Copy)]
struct RowGradient {
    log_sum_exp: f32,
    entropy: f32,
    g_log_sum: f32,
    g_entropy: f32,
    inverse_temperature: f32,
}

/// Turns logits into their gradients, all but the terms of the asked ids.
#[inline(always)]
fn gradient_body<const FMA: bool>(logits: &mut [f32], row: RowGradient) {
    for logit in logits {
        let log_p = *logit * row.inverse_temperature - row.log_sum_exp;
        let p = exp_lane::<FMA>(log_p);
        let log_p = if p == 0.0 { 0.0 } else { log_p };
        *logit = p * (row.g_log_sum - row.g_entropy * (log_p + row.entropy)) * row.inverse_temperature;
    }
}

dispatch! { fn gradient(logits: &mut [f32], row: RowGradient) = gradient_body }

/// `d_hidden += dz * weight` for a tile dz `[rows, ids]`.
pub(crate) fn add_d_hidden(tile: &[f32], weight: Weight, width: usize, d_hidden: &mut [f32]) {
    let (rows, ids) = (d_hidden.len() / width, weight.len() / width);
    match weight {
        Weight::Single(stored) => {
            let mut wide = Vec::new();
            let weight = View::rows(stored.widened(&mut wide), ids, width, width);
            multiply(d_hidden, width, true, View::rows(tile, rows, ids, ids), weight);
        }
        Weight::Rounded { stored, .. } => {
            let shape = LinearShape { rows, inputs: width, outputs: ids };
            bf16::grad_input(0..width, tile, stored, shape, d_hidden, Write::Add);
        }
    }
}

/// `d_weight += dz' * hidden` for a tile dz `[rows, ids]`.
pub(crate) fn add_d_weight(arithmetic: Arithmetic, tile: &[f32], hidden: &[f32], width: usize, d_weight: &mut [f32]) {
    let (rows, ids) = (hidden.len() / width, d_weight.len() / width);
    if arithmetic == Arithmetic::Bf16 {
        let shape = LinearShape { rows, inputs: width, outputs: ids };
        return bf16::grad_weight(0..ids, 0..width, tile, hidden, shape, d_weight, Write::Add);
    }
    let dz = View::rows(tile, rows, ids, ids);
    multiply(d_weight, width, true, dz.transposed(), View::rows(hidden, rows, width, width));
}

/// The gradients of [`head_relative`], overwriting d_hidden `[rows, width]` and, unless the weight is frozen, d_weight
/// `[vocabulary, width]`. Logits are computed again, a block at a time.
///
/// `dz_j = sum_k g_relative_k 1[j = id_k] + g_log_sum p_j - g_entropy p_j (ln p_j + entropy)`, times the inverse
/// temperature. The derivative through the largest logit, which `relative` and `log_sum` both take off, is left out:
/// in a density, a function of their differences, it cancels. The gradient of a loss that is no such function is wrong by
/// that term.
pub fn head_relative_backward(
    head: Head,
    gradients: HeadGradients,
    d_hidden: &mut [f32],
    d_weight: Option<&mut [f32]>,
) {
    gradients.check("head_relative_backward", &head);
    check_outputs(&head, d_hidden, d_weight.as_deref());
    let fill = |rows: Range<usize>, block: Range<usize>, weight: Weight, tile: &mut [f32]| {
        gradients.fill(&head, rows, block, weight, tile);
    };
    accumulate(head.hidden, head.weight, head.shape.width, fill, d_hidden, d_weight);
}

/// `d_hidden = dz * weight` and `d_weight = dz' * hidden`, where `fill(rows, ids, weight, tile)` gives dz a tile at a time,
/// from the weight of these ids.
pub(crate) fn accumulate(
    hidden: &[f32],
    weight: Weight,
    width: usize,
    fill: impl Fn(Range<usize>, Range<usize>, Weight, &mut [f32]),
    d_hidden: &mut [f32],
    mut d_weight: Option<&mut [f32]>,
) {
    let (rows, vocabulary) = (hidden.len() / width.max(1), weight.len() / width.max(1));
    d_hidden.fill(0.0);
    let mut tile = vec![0.0; ROW_BLOCK.min(rows) * BLOCK.min(vocabulary)];
    let mut widened = Vec::new();
    for left in (0..vocabulary).step_by(BLOCK) {
        let block = left..vocabulary.min(left + BLOCK);
        let weight = weight.rows(block.clone(), width).widened(&mut widened);
        let mut d_weight = d_weight.as_mut().map(|d_weight| &mut d_weight[block.start * width..block.end * width]);
        if let Some(d_weight) = &mut d_weight {
            d_weight.fill(0.0);
        }
        for top in (0..rows).step_by(ROW_BLOCK) {
            let height = ROW_BLOCK.min(rows - top);
            let tile = &mut tile[..height * block.len()];
            fill(top..top + height, block.clone(), weight, tile);
            add_d_hidden(tile, weight, width, &mut d_hidden[top * width..][..height * width]);
            if let Some(d_weight) = &mut d_weight {
                add_d_weight(weight.arithmetic(), tile, &hidden[top * width..][..height * width], width, d_weight);
            }
        }
    }
}

pub(crate) fn check_outputs(head: &Head, d_hidden: &[f32], d_weight: Option<&[f32]>) {
    assert!(
        d_hidden.len() == head.hidden.len() && d_weight.is_none_or(|d_weight| d_weight.len() == head.weight.len()),
        "head_relative_backward: gradients of {} and {:?} for {:?}",
        d_hidden.len(),
        d_weight.map(<[f32]>::len),
        head.shape
    );
}

#[cfg(test)]
#[path = "head_tests.rs"]
pub(crate) mod tests;
