//! One trajectory as an objective sees it, and what it says of it.

use crate::{
    advantage::Credit,
    metric::Metrics,
    row::{RowGradients, Rows},
    trajectory::Trajectory,
};

/// One trajectory with its rows; every column has one entry an action.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    pub trajectory: &'a Trajectory,
    pub credit: &'a Credit,
    pub rows: &'a Rows,
    /// The trainer's own rows at the first pass over the batch, constant in the derivative.
    pub old_logp: &'a [f64],
}

/// What the objective says of one trajectory.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Evaluation {
    /// Its part of the loss that is minimised.
    pub loss: f64,
    pub gradients: RowGradients,
    pub metrics: Metrics,
}

impl Evaluation {
    pub(super) fn zero(actions: usize) -> Self {
        Self { gradients: RowGradients { logp: vec![0.0; actions], ..RowGradients::default() }, ..Self::default() }
    }

    /// The derivative by every entropy, made where nothing was there.
    pub(super) fn d_entropy(&mut self) -> &mut [f64] {
        let actions = self.gradients.logp.len();
        self.gradients.entropy.get_or_insert_with(|| vec![0.0; actions])
    }

    /// The derivative by every `kl_old`.
    pub(super) fn d_kl_old(&mut self) -> &mut [f64] {
        let actions = self.gradients.logp.len();
        self.gradients.kl_old.get_or_insert_with(|| vec![0.0; actions])
    }

    /// The derivative by every `kl_ref`.
    pub(super) fn d_kl_ref(&mut self) -> &mut [f64] {
        let actions = self.gradients.logp.len();
        self.gradients.kl_ref.get_or_insert_with(|| vec![0.0; actions])
    }
}
