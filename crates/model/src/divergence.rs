//! The distributions of a pass, kept to measure exact divergences from.
//!
//! Kept are the hidden states of the scored positions and the head: `[rows, width]` and shared storage. Logits are computed from
//! them a block at a time, so no `[rows, vocabulary]` tensor stands in memory.

use std::{ops::Range, sync::Arc};

use cohort_core::{Against, Distributions as Opaque, PolicyError};
use cohort_kernels::Distributions;

use crate::weights::View;

/// The distributions of some rows.
#[derive(Debug)]
pub(crate) struct Kept {
    /// After the last norm, `[rows, width]`.
    pub hidden: Vec<f32>,
    pub log_sum_exp: Vec<f32>,
    pub width: usize,
    pub inverse_temperature: f32,
    /// The head's weight as it was: a later change of it is of another storage.
    pub weight: View,
}

/// Some of the rows of a [`Kept`].
#[derive(Clone, Debug)]
pub(crate) struct KeptRows {
    kept: Arc<Kept>,
    rows: Range<usize>,
}

impl KeptRows {
    pub(crate) fn get(&self) -> Distributions<'_> {
        let Kept { hidden, log_sum_exp, width, inverse_temperature, weight } = &*self.kept;
        Distributions {
            hidden: &hidden[self.rows.start * width..self.rows.end * width],
            weight: weight.weight(),
            width: *width,
            inverse_temperature: *inverse_temperature,
            log_sum_exp: &log_sum_exp[self.rows.clone()],
        }
    }
}

/// A column of exact divergences.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Column {
    Old,
    Reference,
}

/// What the divergences of the rows of one pack are measured from, in the order of the columns.
#[derive(Clone, Debug, Default)]
pub(crate) struct Measured(pub Vec<(Column, KeptRows)>);

impl Measured {
    /// Those of some of the rows.
    pub(crate) fn part(&self, rows: &Range<usize>) -> Self {
        let part = |(column, all): &(Column, KeptRows)| {
            let rows = all.rows.start + rows.start..all.rows.start + rows.end;
            (*column, KeptRows { kept: Arc::clone(&all.kept), rows })
        };
        Self(self.0.iter().map(part).collect())
    }
}

/// What `against` holds of all samples of a call.
pub(crate) struct Read(Vec<(Column, Arc<Kept>)>);

impl Read {
    /// # Errors
    /// It is another kind of policy's, or of another number of rows than `rows`.
    pub(crate) fn of(against: &Against, rows: usize, vocabulary: usize) -> Result<Self, PolicyError> {
        let unsupported = |what: String| PolicyError::Unsupported { what };
        let column = |(column, opaque): (Column, &Opaque)| {
            let kept: Arc<Kept> = opaque
                .get()
                .ok_or_else(|| unsupported("divergence: the distributions are of another kind of policy".to_owned()))?;
            let (found, ids) = (kept.log_sum_exp.len(), kept.weight.matrix().len() / kept.width.max(1));
            if (found, ids) != (rows, vocabulary) {
                let what = format!("divergence of {rows} rows over {vocabulary} ids from {found} rows over {ids}");
                return Err(unsupported(what));
            }
            Ok((column, kept))
        };
        let old = against.old.iter().map(|old| (Column::Old, old));
        let reference = against.reference.iter().map(|reference| (Column::Reference, reference));
        Ok(Self(old.chain(reference).map(column).collect::<Result<_, _>>()?))
    }

    /// Those of some rows.
    pub(crate) fn rows(&self, rows: &Range<usize>) -> Measured {
        let part =
            |(column, kept): &(Column, Arc<Kept>)| (*column, KeptRows { kept: Arc::clone(kept), rows: rows.clone() });
        Measured(self.0.iter().map(part).collect())
    }
}
