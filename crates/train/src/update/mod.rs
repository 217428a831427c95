//! One optimizer update from a batch of examples: rows, row gradients, backward, sum.

mod block;
mod division;
pub mod ema;
mod gradient_sum;
pub(crate) mod mask;
pub(crate) mod optimizer;
pub(crate) mod relay;
pub(crate) mod worker;

pub use block::DeadSamples;
pub use division::{Division, Parallel};
pub use mask::{MaskSource, Masks};
pub use worker::Workers;

use std::ops::Range;

use cohort_core::{
    Against, Comparison, Gradient, Loss, Policy, PolicyError, RowGradients, RowSpec, Rows, Sample, Trajectory,
    advantage::Credit,
    metric::Metrics,
    objective::{Scope, Seen},
};

use crate::error::Error;
use block::Shared;
use gradient_sum::GradientSum;

/// A batch as an update sees it: groups of samples, with what methods know of them and their coefficients.
pub struct Batch<'a> {
    /// The samples of every group.
    pub samples: Vec<Vec<&'a Sample>>,
    /// In the shape of `samples`.
    pub comparisons: &'a [Comparison],
    pub credits: &'a [Vec<Credit>],
    /// Ranges of groups: the micro-batches, and the leaves of the tree of summation.
    pub blocks: Vec<Range<usize>>,
    pub spec: RowSpec,
    pub dead: DeadSamples,
    /// What exact divergences are measured from, block by block; empty where none is read.
    pub against: Vec<Against>,
}

/// What one pass over a batch gives.
pub struct Pass {
    pub gradient: Gradient,
    /// Group by group, sample by sample.
    pub rows: Vec<Vec<Rows>>,
    pub row_gradients: Vec<Vec<RowGradients>>,
    pub metrics: Metrics,
}

/// What came of a pass: numbers, or the first one that is none.
pub enum Passed {
    Finite(Pass),
    NotFinite(String),
}

/// Ranges of `per_block` groups: the micro-batches of an rl step.
pub fn blocks_of(groups: usize, per_block: usize) -> Vec<Range<usize>> {
    (0..groups).step_by(per_block).map(|start| start..(start + per_block).min(groups)).collect()
}

impl Batch<'_> {
    /// The gradient of a loss, a method's or another. `old` holds the rows of the first pass over the batch; without it this
    /// is the first pass, its own rows are the old ones, and every ratio is exactly 1.
    ///
    /// Weights and statistics are those of the whole batch, whatever the blocks are: where they depend on rows, all rows
    /// are computed first, without a tape.
    pub fn pass<L: Loss>(
        &self,
        policy: &dyn Policy,
        loss: &L,
        old: Option<&[Vec<Rows>]>,
        division: Division,
        step: u64,
    ) -> Result<Passed, Error> {
        let surveyed = match loss.scope() {
            Scope::Batch => match self.rows(policy, division.workers, step) {
                Err(Error::Policy { source: source @ PolicyError::NotFinite { .. }, .. }) => {
                    return Ok(Passed::NotFinite(source.to_string()));
                }
                rows => rows?,
            },
            Scope::Action | Scope::Sequence | Scope::Group => {
                self.samples.iter().map(|group| vec![Rows::default(); group.len()]).collect()
            }
        };
        let unfit = |source| Error::Method { step, source };
        let batch: Vec<Vec<Seen<'_>>> =
            (0..self.samples.len()).map(|g| self.see(g, &surveyed[g], old.map(|old| old[g].as_slice()))).collect();
        let survey = loss.survey(&batch).map_err(unfit)?;
        let sum = GradientSum::new(self.blocks.len());
        let shared =
            Shared { policy, loss, survey: &survey, surveyed: &surveyed, old, execution: division.execution(), step };
        let blocks = division.graphs().map("the training pass", self.blocks.len(), |index| {
            let (block, gradient) = self.block(&shared, index)?;
            sum.put(index, gradient);
            Ok(block)
        });
        let blocks = match blocks {
            Ok(blocks) => blocks,
            Err(Error::Policy { source: source @ PolicyError::NotFinite { .. }, .. }) => {
                return Ok(Passed::NotFinite(source.to_string()));
            }
            Err(Error::Method { source, .. }) if source.is_not_finite() => {
                return Ok(Passed::NotFinite(source.to_string()));
            }
            Err(e) => return Err(e),
        };
        let mut pass = Pass {
            gradient: sum.total().expect("every block put its gradient"),
            rows: Vec::with_capacity(self.samples.len()),
            row_gradients: Vec::with_capacity(self.samples.len()),
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

    fn against(&self, block: usize) -> Against {
        self.against.get(block).cloned().unwrap_or_default()
    }

    /// Group `g` with these rows; without old ones its own are the old ones.
    fn see<'s>(&'s self, g: usize, rows: &'s [Rows], old: Option<&'s [Rows]>) -> Vec<Seen<'s>> {
        let seen = |(t, trajectory): (usize, &'s Trajectory)| Seen {
            trajectory,
            credit: &self.credits[g][t],
            rows: &rows[t],
            old_logp: &old.map_or(&rows[t], |old| &old[t]).logp,
        };
        self.comparisons[g].trajectories.iter().enumerate().map(seen).collect()
    }

    /// The rows of the whole batch, without a tape.
    fn rows(&self, policy: &dyn Policy, workers: Workers, step: u64) -> Result<Vec<Vec<Rows>>, Error> {
        let blocks = workers.map("the survey of a batch", self.blocks.len(), |index| {
            let range = self.blocks[index].clone();
            let samples: Vec<&Sample> = self.samples[range].iter().flatten().copied().collect();
            policy
                .rows_against(&samples, self.spec, &self.against(index))
                .map_err(|source| Error::Policy { step, source })
        })?;
        let mut rows = blocks.into_iter().flatten();
        Ok(self.samples.iter().map(|group| rows.by_ref().take(group.len()).collect()).collect())
    }
}

impl Pass {
    /// A row (sample and action) or a parameter's gradient.
    fn first_not_finite(&self, policy: &dyn Policy) -> Option<String> {
        let row = self.rows.iter().flatten().enumerate().find_map(|(s, rows)| {
            rows.first_not_finite()
                .map(|(action, column)| format!("{column} of action {action} of sample {s} is not finite"))
        });
        row.or_else(|| {
            let index = self.gradient.first_not_finite()?;
            Some(format!("the gradient of `{}` is not finite", policy.parameters()[index].name))
        })
    }
}
