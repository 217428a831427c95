//! Log-probability and entropy of chosen ids, without logits ever standing in memory.

use std::sync::Arc;

use cohort_kernels::{self as kernels, Asked, HeadGradients, HeadShape, Team};

use super::{
    operation::{Operation, Values, matrix, sizes, slice},
    parameter::Parameter,
};

/// What is chosen, and at which temperature.
#[derive(Clone, Debug)]
pub(crate) struct Targets {
    pub ids: Arc<Vec<u32>>,
    pub inverse_temperature: f32,
}

/// hidden `[rows, width]`, weight `[vocabulary, width]`; the output is `[rows, 2]`: logp, entropy.
#[derive(Clone, Debug)]
pub(super) struct Head {
    pub hidden: Values,
    pub weight: Parameter,
    pub vocabulary: usize,
    pub targets: Arc<Targets>,
    pub statistics: Statistics,
}

/// What the forward leaves for the backward, a number a row each.
#[derive(Clone, Debug, Default)]
pub(super) struct Statistics {
    log_sum_exp: Vec<f32>,
    entropy: Vec<f32>,
}

impl Head {
    fn shape(&self) -> HeadShape {
        let [rows, width] = sizes(&self.hidden);
        HeadShape { rows, width, vocabulary: self.vocabulary }
    }
}

impl Operation<1> for Head {
    fn forward(&mut self, team: Team) -> Values {
        let shape = self.shape();
        let [mut logp, mut entropy, mut log_sum_exp] = [0; 3].map(|_| vec![0.0; shape.rows]);
        team.head_rows(
            slice(&self.hidden),
            self.weight.matrix(),
            &self.targets.ids,
            self.targets.inverse_temperature,
            shape,
            &mut logp,
            &mut entropy,
            &mut log_sum_exp,
        );
        let rows = logp.iter().zip(&entropy).flat_map(|(&logp, &entropy)| [logp, entropy]).collect();
        self.statistics = Statistics { log_sum_exp, entropy };
        matrix(rows, shape.rows, 2)
    }

    fn backward(self, team: Team, d_out: &[f32], _: [bool; 1]) -> [Option<Values>; 1] {
        let shape = self.shape();
        let d_logp: Vec<f32> = d_out.iter().step_by(2).copied().collect();
        let d_entropy: Vec<f32> = d_out.iter().skip(1).step_by(2).copied().collect();
        let d_log_sum: Vec<f32> = d_logp.iter().map(|d| -d).collect();
        let head = kernels::Head {
            hidden: slice(&self.hidden),
            weight: self.weight.matrix(),
            asked: Asked::One(&self.targets.ids),
            inverse_temperature: self.targets.inverse_temperature,
            shape,
        };
        let gradients = HeadGradients {
            relative: &d_logp,
            log_sum: &d_log_sum,
            entropy: &d_entropy,
            entropies: &self.statistics.entropy,
            log_sum_exp: &self.statistics.log_sum_exp,
        };
        let mut d_hidden = vec![0.0; shape.rows * shape.width];
        if self.weight.is_trained() {
            let backward = |d_weight: &mut [f32]| {
                team.head_relative_backward(head, gradients, &mut d_hidden, Some(d_weight));
            };
            self.weight.differentiate(backward);
        } else {
            team.head_relative_backward(head, gradients, &mut d_hidden, None);
        }
        [Some(matrix(d_hidden, shape.rows, shape.width))]
    }
}
