//! One optimizer update from a batch of examples: rows, row gradients, backward, sum.

mod gradient_sum;
pub(crate) mod optimizer;
pub(crate) mod worker;

pub use worker::Workers;

use std::ops::Range;

use cohort_core::{
    Gradient, Policy, PolicyError, RowGradients, RowSpec, Rows, Sample,
    metric::Metrics,
    objective::{Objective, Trajectory},
};

use crate::error::Error;
use gradient_sum::GradientSum;

/// A sample with what the objective needs beside its rows; every vector has one entry an action.
pub struct Example<'a> {
    pub sample: &'a Sample,
    pub coefficient: Vec<f64>,
    pub mask: Vec<f64>,
    pub ref_logp: Option<Vec<f64>>,
}

/// A batch as an update sees it.
pub struct Batch<'a> {
    pub examples: &'a [Example<'a>],
    /// Whole groups each: the micro-batches, and the leaves of the tree of summation.
    pub blocks: &'a [Range<usize>],
    pub spec: RowSpec,
}

/// What one pass over a batch gives.
pub struct Pass {
    pub gradient: Gradient,
    pub rows: Vec<Rows>,
    pub row_gradients: Vec<RowGradients>,
    pub metrics: Metrics,
}

/// What came of a pass: numbers, or the first one that is none.
pub enum Passed {
    Finite(Pass),
    NotFinite(String),
}

struct Block {
    rows: Vec<Rows>,
    row_gradients: Vec<RowGradients>,
    metrics: Metrics,
}

impl Batch<'_> {
    /// The gradient of the objective. `old` holds the rows of the first pass over the batch; without it this
    /// is the first pass, its own rows are the old ones, and every ratio is exactly 1.
    ///
    /// The denominator is that of the whole batch, whatever the blocks are.
    pub fn pass(
        &self,
        policy: &dyn Policy,
        objective: &Objective,
        old: Option<&[Rows]>,
        workers: Workers,
        step: u64,
    ) -> Result<Passed, Error> {
        let masks: Vec<Vec<f64>> = self.examples.iter().map(|e| e.mask.clone()).collect();
        let weights = objective.denominator.weights(&masks);
        let sum = GradientSum::new(self.blocks.len());
        let blocks = workers.map("the training pass", self.blocks.len(), |index| {
            let range = self.blocks[index].clone();
            let samples: Vec<&Sample> = self.examples[range.clone()].iter().map(|e| e.sample).collect();
            let failed = |source| Error::Policy { step, source };
            let (rows, tape) = policy.forward(&samples, self.spec).map_err(failed)?;
            let mut block = Block { rows, row_gradients: Vec::with_capacity(range.len()), metrics: Metrics::default() };
            for (i, rows) in range.zip(&block.rows) {
                let example = &self.examples[i];
                let trajectory = Trajectory {
                    rows,
                    old_logp: old.map_or(&rows.logp, |old| &old[i].logp),
                    ref_logp: example.ref_logp.as_deref(),
                    coefficient: &example.coefficient,
                    weight: &weights[i],
                };
                let evaluation = objective
                    .evaluate(&trajectory)
                    .expect("the recipe asked for a reference wherever its objective reads one");
                block.metrics.merge(&evaluation.metrics);
                block.row_gradients.push(evaluation.gradients);
            }
            sum.put(index, tape.backward(&block.row_gradients));
            Ok(block)
        });
        let blocks = match blocks {
            Ok(blocks) => blocks,
            Err(Error::Policy { source: source @ PolicyError::NotFinite { .. }, .. }) => {
                return Ok(Passed::NotFinite(source.to_string()));
            }
            Err(e) => return Err(e),
        };
        let mut pass = Pass {
            gradient: sum.total().expect("every block put its gradient"),
            rows: Vec::with_capacity(self.examples.len()),
            row_gradients: Vec::with_capacity(self.examples.len()),
            metrics: Metrics::default(),
        };
        for block in blocks {
            pass.rows.extend(block.rows);
            pass.row_gradients.extend(block.row_gradients);
            pass.metrics.merge(&block.metrics);
        }
        Ok(match pass.first_not_finite(policy) {
            Some(what) => Passed::NotFinite(what),
            None => Passed::Finite(pass),
        })
    }
}

impl Pass {
    /// A row (sample and action) or a parameter's gradient.
    fn first_not_finite(&self, policy: &dyn Policy) -> Option<String> {
        let row = self.rows.iter().enumerate().find_map(|(s, rows)| {
            rows.first_not_finite()
                .map(|(action, column)| format!("{column} of action {action} of sample {s} is not finite"))
        });
        row.or_else(|| {
            let index = self.gradient.first_not_finite()?;
            Some(format!("the gradient of `{}` is not finite", policy.parameters()[index].name))
        })
    }
}
