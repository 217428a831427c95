//! One micro-batch: samples that have a derivative go forward with a tape and back, the others forward alone.
//!
//! Which samples have none (a group of equal rewards, without a divergence or an entropy in the loss) is guessed from the rows that
//! the sampler wrote, and then held against the derivatives themselves: a wrong guess costs time, and changes no number. The dead
//! stay in every denominator and statistic.

use cohort_core::{
    Execution, Gradient, Loss, Policy, PolicyError, RowGradients, Rows, Sample, Tape,
    metric::{Metric, Metrics},
    objective::{Evaluation, Scope},
};
use serde::{Deserialize, Serialize};

use super::Batch;
use crate::error::Error;

/// What becomes of samples whose row gradients are all 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeadSamples {
    /// They have rows and no way back.
    #[default]
    Skip,
    /// They go back too, to the same gradient: for comparing.
    Keep,
}

/// What one micro-batch gives, beside its gradient.
pub(super) struct Block {
    pub rows: Vec<Vec<Rows>>,
    pub row_gradients: Vec<Vec<RowGradients>>,
    pub metrics: Metrics,
}

/// What all micro-batches of a pass share.
pub(super) struct Shared<'a, L: Loss> {
    pub policy: &'a dyn Policy,
    pub loss: &'a L,
    pub survey: &'a L::Survey,
    /// Rows of the whole batch, where the loss's scope is the batch.
    pub surveyed: &'a [Vec<Rows>],
    pub old: Option<&'a [Vec<Rows>]>,
    pub execution: Execution,
    pub step: u64,
}

/// The share of samples that had no derivative.
const DEAD: &str = "samples/dead";

fn is_dead(gradients: &RowGradients) -> bool {
    let zero = |column: &[f64]| column.iter().all(|d| *d == 0.0);
    let columns = [&gradients.entropy, &gradients.kl_old, &gradients.kl_ref];
    zero(&gradients.logp) && columns.into_iter().flatten().all(|column| zero(column))
}

/// The items at which `alive` says `which`, in their order.
fn those<T>(items: impl IntoIterator<Item = T>, alive: &[bool], which: bool) -> Vec<T> {
    items.into_iter().zip(alive).filter(|(_, is)| **is == which).map(|(item, _)| item).collect()
}

impl Batch<'_> {
    /// Rows, derivatives and gradient of micro-batch `index`. Where an exact divergence is measured every sample goes back: what
    /// it is measured from is kept of the whole micro-batch, and it gives each a derivative.
    pub(super) fn block<L: Loss>(&self, shared: &Shared<'_, L>, index: usize) -> Result<(Block, Gradient), Error> {
        let (range, against) = (self.blocks[index].clone(), self.against(index));
        let failed = |source| Error::Policy { step: shared.step, source };
        let forward = |samples: &[&Sample]| {
            shared.policy.forward_against(samples, self.spec, shared.execution, &against).map_err(failed)
        };
        let samples: Vec<&Sample> = self.samples[range.clone()].iter().flatten().copied().collect();
        let alive: Vec<bool> = match against.is_nothing() {
            true => range.clone().flat_map(|g| self.guess(shared, g)).collect(),
            false => vec![true; samples.len()],
        };
        let dead = those(samples.iter().copied(), &alive, false);
        let (living_rows, tape) = forward(&those(samples.iter().copied(), &alive, true))?;
        let mut metrics = tape.metrics();
        let (dead_rows, dead_tape): (_, Option<Box<dyn Tape + '_>>) = match self.dead {
            _ if dead.is_empty() => (Vec::new(), None),
            DeadSamples::Skip => (shared.policy.rows(&dead, self.spec).map_err(failed)?, None),
            DeadSamples::Keep => forward(&dead).map(|(rows, tape)| (rows, Some(tape)))?,
        };
        let (mut living_rows, mut dead_rows) = (living_rows.into_iter(), dead_rows.into_iter());
        let rows: Vec<Rows> =
            alive.iter().filter_map(|alive| if *alive { living_rows.next() } else { dead_rows.next() }).collect();
        let not_finite = |(sample, rows): (usize, &Rows)| {
            let (action, column) = rows.first_not_finite()?;
            Some(PolicyError::NotFinite { sample, action, column })
        };
        if let Some(source) = rows.iter().enumerate().find_map(not_finite) {
            return Err(failed(source));
        }
        let mut rows = rows.into_iter();
        let mut block = Block { rows: Vec::new(), row_gradients: Vec::new(), metrics: Metrics::default() };
        for g in range {
            let rows: Vec<Rows> = rows.by_ref().take(self.samples[g].len()).collect();
            let parts = self.evaluate(shared, g, &rows)?;
            parts.iter().for_each(|part| metrics.merge(&part.metrics));
            block.row_gradients.push(parts.into_iter().map(|part| part.gradients).collect());
            block.rows.push(rows);
        }
        let gradients: Vec<RowGradients> = block.row_gradients.iter().flatten().cloned().collect();
        gradients.iter().for_each(|g| metrics.add(DEAD, Metric::mean_of(if is_dead(g) { 1.0 } else { 0.0 })));
        let mut gradient = tape.backward(&those(gradients.iter().cloned(), &alive, true));
        let dead_gradients = those(gradients, &alive, false);
        let dead_tape = match dead_tape {
            None if !dead_gradients.iter().all(is_dead) => Some(forward(&dead)?.1),
            tape => tape,
        };
        if let Some(tape) = dead_tape {
            gradient.add(&tape.backward(&dead_gradients));
        }
        block.metrics = metrics;
        Ok((block, gradient))
    }

    /// The parts of group `g` with these rows.
    fn evaluate<L: Loss>(&self, shared: &Shared<'_, L>, g: usize, rows: &[Rows]) -> Result<Vec<Evaluation>, Error> {
        let group = self.see(g, rows, shared.old.map(|old| old[g].as_slice()));
        shared.loss.evaluate(g, &group, shared.survey).map_err(|source| Error::Method { step: shared.step, source })
    }

    /// Which samples of group `g` will have a derivative, as far as can be told before their rows are computed.
    fn guess<L: Loss>(&self, shared: &Shared<'_, L>, g: usize) -> Vec<bool> {
        let samples = &self.samples[g];
        let all = vec![true; samples.len()];
        let rows: Vec<Rows> = match shared.loss.scope() {
            Scope::Batch => shared.surveyed[g].clone(),
            Scope::Action | Scope::Sequence | Scope::Group => samples.iter().map(|s| s.behaviour.clone()).collect(),
        };
        let fits = |(sample, rows): (&&Sample, &Rows)| {
            rows.logp.len() == sample.actions.len() && rows.entropy.len() == sample.actions.len()
        };
        if !samples.iter().zip(&rows).all(fits) {
            return all;
        }
        self.evaluate(shared, g, &rows)
            .map_or(all, |parts| parts.iter().map(|part| !is_dead(&part.gradients)).collect())
    }
}
