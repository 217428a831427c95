//! The one denominator of a batch.

mod constant;
mod sequence;
mod tokens;

use serde::{Deserialize, Serialize};

use super::{Seen, above_zero, log_ratio::Segments};
use crate::{
    method_error::{MethodError, Place},
    registry::Entry,
};

/// The choices of this axis.
pub(super) const ENTRIES: [&Entry; 6] =
    [&sequence::ENTRY, &tokens::ENTRY, &constant::ENTRY, &constant::FIXED, &tokens::GROUP, &sequence::SEGMENT];

/// What the masked sum over actions is divided by. Computed once from the final mask over the whole
/// optimizer batch, before any backward, so that no split into micro-batches can change it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Denominator {
    /// The mean over sequences of each sequence's mean over its actions. A fully masked sequence counts as one.
    #[default]
    Sequence,
    /// The number of trained actions of the batch.
    Tokens,
    /// The number of sequences times a constant length.
    Constant {
        /// In actions; above 0.
        #[serde(default = "constant::length")]
        length: f64,
    },
    /// A constant.
    Fixed {
        /// Above 0.
        #[serde(default = "constant::divisor")]
        divisor: f64,
    },
    /// The mean over groups of each group's mean over its trained actions.
    GroupTokens,
    /// The mean over sequences of the mean over their segments of each segment's mean over its actions.
    Segment,
}

/// What the batch's masks add up to.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Counts {
    pub groups: f64,
    /// Counted members: not auxiliary, not dropped.
    pub sequences: f64,
    /// The sum of the masks.
    pub tokens: f64,
}

impl Counts {
    pub fn of(masks: &[Vec<Option<Vec<f64>>>]) -> Self {
        let counted = || masks.iter().flatten().flatten();
        Self { groups: masks.len() as f64, sequences: counted().count() as f64, tokens: counted().flatten().sum() }
    }
}

/// A mask over its denominator. A mask of 0 stays 0 where nothing at all is trained.
fn over(mask: f64, denominator: f64) -> f64 {
    if mask == 0.0 { 0.0 } else { mask / denominator }
}

impl Denominator {
    /// Whether the parameters are in range: the key and what is wrong with it.
    pub fn check(&self) -> Result<(), (String, String)> {
        match *self {
            Denominator::Constant { length } => above_zero("constant.length", length),
            Denominator::Fixed { divisor } => above_zero("fixed.divisor", divisor),
            Denominator::Sequence | Denominator::Tokens | Denominator::GroupTokens | Denominator::Segment => Ok(()),
        }
    }

    /// The weight of every action: its mask over the denominator. `masks` holds the whole optimizer batch, group by
    /// group, with `None` for what is not counted, which gets no weight; the result has the same shape.
    ///
    /// # Errors
    /// Segments that are read and not there.
    pub fn weights(
        self,
        masks: &[Vec<Option<Vec<f64>>>],
        batch: &[Vec<Seen<'_>>],
    ) -> Result<Vec<Vec<Option<Vec<f64>>>>, MethodError> {
        let counts = Counts::of(masks);
        let counted_groups = masks.iter().filter(|group| group.iter().any(Option::is_some)).count() as f64;
        let of_group = |(g, masks): (usize, &Vec<Option<Vec<f64>>>)| {
            let group: f64 = masks.iter().flatten().flatten().sum();
            let of = |(t, mask): (usize, &Vec<f64>)| -> Result<Vec<f64>, MethodError> {
                let every = |denominator: f64| Ok(mask.iter().map(|&m| over(m, denominator)).collect());
                match self {
                    Denominator::Sequence => every(mask.iter().sum::<f64>() * counts.sequences),
                    Denominator::Tokens => every(counts.tokens),
                    Denominator::Constant { length } => every(length * counts.sequences),
                    Denominator::Fixed { divisor } => every(divisor),
                    Denominator::GroupTokens => every(group * counted_groups),
                    Denominator::Segment => {
                        let segments = Segments::new(batch[g][t].trajectory, mask, Place::trajectory(g, t))?;
                        Ok(sequence::of_segments(&segments, mask, counts.sequences))
                    }
                }
            };
            let of_trajectory = |(t, mask): (usize, &Option<Vec<f64>>)| mask.as_ref().map(|m| of((t, m))).transpose();
            masks.iter().enumerate().map(of_trajectory).collect::<Result<Vec<_>, _>>()
        };
        masks.iter().enumerate().map(of_group).collect()
    }
}
