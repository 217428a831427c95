//! AdamW over the parameters of a policy.

use cohort_core::{Gradient, ParameterInfo, Policy, schedule::Budget};
use cohort_kernels::{AdamW, Team};

use crate::{mask::Masks, recipe::OptimizerConfig};

/// The moments of every parameter, and the number of updates made.
pub struct Optimizer {
    config: OptimizerConfig,
    first: Vec<Vec<f32>>,
    second: Vec<Vec<f32>>,
    pub updates: u64,
}

impl Optimizer {
    pub fn new(config: OptimizerConfig, parameters: &[ParameterInfo]) -> Self {
        let zeros = || parameters.iter().map(|p| vec![0.0; p.element_count()]).collect();
        Self { config, first: zeros(), second: zeros(), updates: 0 }
    }

    /// The learning rate of `step` (from 1) of a stage with this budget.
    pub fn learning_rate(&self, step: u64, budget: Budget) -> f64 {
        self.config.lr * self.config.schedule.factor(step, budget)
    }

    /// One update: the gradient is scaled down to the clipping norm, then AdamW, in place. `norm` is the gradient's. What
    /// `masks` leave out keeps its bits.
    pub fn apply(
        &mut self,
        policy: &mut dyn Policy,
        gradient: &Gradient,
        masks: &Masks,
        norm: f64,
        lr: f64,
        team: Team,
    ) {
        self.updates += 1;
        let scale = if norm > self.config.clip_norm { self.config.clip_norm / norm } else { 1.0 };
        let rule = AdamW {
            lr,
            beta1: self.config.betas[0],
            beta2: self.config.betas[1],
            eps: self.config.eps,
            weight_decay: self.config.weight_decay,
            step: self.updates,
        };
        for (index, values) in gradient.0.iter().enumerate() {
            let (first, second) = (&mut self.first[index], &mut self.second[index]);
            policy.write(index, &mut |weights| {
                masks.change(index, weights, |weights| team.adamw(weights, values, scale as f32, first, second, &rule));
            });
        }
    }

    /// Name, shape and values of every moment.
    pub fn tensors(&self, parameters: &[ParameterInfo]) -> Vec<(String, Vec<usize>, &[f32])> {
        [("first", &self.first), ("second", &self.second)]
            .into_iter()
            .flat_map(|(which, moments)| {
                let name = move |p: &ParameterInfo| format!("{}.{which}", p.name);
                parameters.iter().zip(moments).map(move |(p, m)| (name(p), p.shape.clone(), m.as_slice()))
            })
            .collect()
    }

    /// Puts back moment `index` of [`Optimizer::tensors`].
    pub fn restore(&mut self, index: usize, values: &[f32]) {
        let n = self.first.len();
        let slot = if index < n { &mut self.first[index] } else { &mut self.second[index - n] };
        slot.copy_from_slice(values);
    }
}
