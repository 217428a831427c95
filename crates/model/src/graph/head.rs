//! Log-probability and entropy of chosen ids, the densities of soft tokens, and exact divergences from kept distributions, without logits ever standing in
//! memory.

use std::{ops::Range, sync::Arc};

use cohort_kernels::{self as kernels, Distributions, Divergence, HeadColumns, HeadGradients, HeadShape, Team};

use super::{
    operation::{Operation, Values, matrix, sizes, slice},
    parameter::Parameter,
};
use crate::{
    chosen::{Chosen, Lists, Slopes},
    divergence::Measured,
};

/// What is chosen, at which temperature, and what is measured from.
#[derive(Clone, Debug)]
pub(crate) struct Targets {
    pub chosen: Chosen,
    pub inverse_temperature: f32,
    pub measured: Measured,
}

impl Targets {
    /// Columns of the head's output.
    pub(crate) fn columns(&self) -> usize {
        2 + self.measured.0.len()
    }

    /// Those of some rows.
    pub(super) fn part(&self, rows: Range<usize>) -> Self {
        let (chosen, measured) = (self.chosen.part(rows.clone()), self.measured.part(&rows));
        Self { chosen, inverse_temperature: self.inverse_temperature, measured }
    }
}

/// hidden `[rows, width]`, weight `[vocabulary, width]`; the output is `[rows, columns]`: logp, entropy, divergences.
#[derive(Clone, Debug)]
pub(super) struct Head {
    pub hidden: Values,
    pub weight: Parameter,
    pub vocabulary: usize,
    pub targets: Arc<Targets>,
    pub statistics: Statistics,
}

/// What the forward leaves for the backward, a number a row each unless told.
#[derive(Clone, Debug, Default)]
pub(super) struct Statistics {
    log_sum_exp: Vec<f32>,
    entropy: Vec<f32>,
    divergences: Vec<Vec<f32>>,
    /// A number an id that was asked for; nothing where all are tokens.
    relative: Vec<f32>,
}

impl Head {
    fn shape(&self) -> HeadShape {
        let [rows, width] = sizes(&self.hidden);
        HeadShape { rows, width, vocabulary: self.vocabulary }
    }

    /// What the kernel is given.
    fn head<'a>(&'a self, lists: &'a Lists) -> kernels::Head<'a> {
        kernels::Head {
            hidden: slice(&self.hidden),
            weight: self.weight.weight(),
            asked: self.targets.chosen.asked(lists),
            inverse_temperature: self.targets.inverse_temperature,
            shape: self.shape(),
        }
    }

    fn distributions<'a>(&'a self, log_sum_exp: &'a [f32]) -> Distributions<'a> {
        Distributions {
            hidden: slice(&self.hidden),
            weight: self.weight.weight(),
            width: self.shape().width,
            inverse_temperature: self.targets.inverse_temperature,
            log_sum_exp,
        }
    }
}

/// One of `columns` interleaved columns.
fn column(packed: &[f32], columns: usize, index: usize) -> Vec<f32> {
    packed.iter().skip(index).step_by(columns).copied().collect()
}

impl Operation<1> for Head {
    fn forward(&mut self, team: Team) -> Values {
        let shape = self.shape();
        let chosen = &self.targets.chosen;
        let lists = chosen.lists();
        let mut relative = vec![0.0; chosen.asked_count(&lists)];
        let [mut log_sum, mut entropy, mut log_sum_exp] = [0; 3].map(|_| vec![0.0; shape.rows]);
        let columns = HeadColumns {
            relative: &mut relative,
            log_sum: &mut log_sum,
            entropy: &mut entropy,
            log_sum_exp: &mut log_sum_exp,
        };
        team.head_relative(self.head(&lists), columns);
        let logp = chosen.logp(&lists, &relative, &log_sum);
        if chosen.soft.is_empty() {
            relative = Vec::new();
        }
        let p = self.distributions(&log_sum_exp);
        let divergences: Vec<Vec<f32>> = self
            .targets
            .measured
            .0
            .iter()
            .map(|(_, from)| {
                let mut divergence = vec![0.0; shape.rows];
                team.head_divergence(Divergence { p, q: from.get() }, &mut divergence);
                divergence
            })
            .collect();
        let row = |row: usize| [logp[row], entropy[row]].into_iter().chain(divergences.iter().map(move |d| d[row]));
        let rows = (0..shape.rows).flat_map(row).collect();
        self.statistics = Statistics { log_sum_exp, entropy, divergences, relative };
        matrix(rows, shape.rows, self.targets.columns())
    }

    fn backward(self, team: Team, d_out: &[f32], _: [bool; 1]) -> [Option<Values>; 1] {
        let (shape, columns) = (self.shape(), self.targets.columns());
        let (d_logp, d_entropy) = (column(d_out, columns, 0), column(d_out, columns, 1));
        let lists = self.targets.chosen.lists();
        let Slopes { relative, log_sum } = self.targets.chosen.slopes(&lists, &self.statistics.relative, &d_logp);
        let head = self.head(&lists);
        let gradients = HeadGradients {
            relative: &relative,
            log_sum: &log_sum,
            entropy: &d_entropy,
            entropies: &self.statistics.entropy,
            log_sum_exp: &self.statistics.log_sum_exp,
        };
        let mut d_hidden = vec![0.0; shape.rows * shape.width];
        self.differentiate(|d_weight| team.head_relative_backward(head, gradients, &mut d_hidden, d_weight));
        let p = self.distributions(&self.statistics.log_sum_exp);
        for (index, (_, from)) in self.targets.measured.0.iter().enumerate() {
            let d_divergence = column(d_out, columns, 2 + index);
            if d_divergence.iter().all(|&d| d == 0.0) {
                continue;
            }
            let (pair, divergence) = (Divergence { p, q: from.get() }, &self.statistics.divergences[index]);
            let mut more = vec![0.0; d_hidden.len()];
            self.differentiate(|d_weight| {
                team.head_divergence_backward(pair, divergence, &d_divergence, &mut more, d_weight);
            });
            d_hidden.iter_mut().zip(more).for_each(|(d, more)| *d += more);
        }
        [Some(matrix(d_hidden, shape.rows, shape.width))]
    }
}

impl Head {
    /// Runs `backward`, which overwrites the weight's derivative where it is trained.
    fn differentiate(&self, backward: impl FnOnce(Option<&mut [f32]>)) {
        if self.weight.is_trained() {
            self.weight.differentiate(|d_weight| backward(Some(d_weight)));
        } else {
            backward(None);
        }
    }
}
