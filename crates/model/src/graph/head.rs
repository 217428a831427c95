//! Log-probability and entropy of chosen ids, without logits ever standing in memory.

use std::sync::Arc;

use cohort_kernels::{HeadShape, head_backward, head_rows};

use super::operation::{Operation, Values, matrix, sizes, slice};

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
    pub weight: Values,
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
        let ([rows, width], [vocabulary, _]) = (sizes(&self.hidden), sizes(&self.weight));
        HeadShape { rows, width, vocabulary }
    }
}

impl Operation<2> for Head {
    fn forward(&mut self) -> Values {
        let shape = self.shape();
        let [mut logp, mut entropy, mut log_sum_exp] = [0; 3].map(|_| vec![0.0; shape.rows]);
        head_rows(
            slice(&self.hidden),
            slice(&self.weight),
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

    fn backward(self, d_out: &[f32], _: [bool; 2]) -> [Option<Values>; 2] {
        let shape = self.shape();
        let d_logp: Vec<f32> = d_out.iter().step_by(2).copied().collect();
        let d_entropy: Vec<f32> = d_out.iter().skip(1).step_by(2).copied().collect();
        let mut d_hidden = vec![0.0; shape.rows * shape.width];
        let mut d_weight = vec![0.0; shape.vocabulary * shape.width];
        head_backward(
            slice(&self.hidden),
            slice(&self.weight),
            &self.targets.ids,
            self.targets.inverse_temperature,
            shape,
            &self.statistics.log_sum_exp,
            &self.statistics.entropy,
            &d_logp,
            &d_entropy,
            &mut d_hidden,
            &mut d_weight,
        );
        [Some(matrix(d_hidden, shape.rows, shape.width)), Some(matrix(d_weight, shape.vocabulary, shape.width))]
    }
}
