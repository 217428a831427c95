//! What a reward is compared with.

mod batch;
mod constant;
mod leave_one_out;
mod length_weighted;
mod mean;
mod median;
mod running;

use serde::{Deserialize, Serialize};

use super::{
    field::{Field, Part, Per},
    statistic,
};
use crate::{memory::Memory, registry::Entry};

pub(super) const ENTRIES: [&Entry; 8] = [
    &constant::NONE,
    &constant::FIXED,
    &mean::ENTRY,
    &median::ENTRY,
    &leave_one_out::ENTRY,
    &length_weighted::ENTRY,
    &running::ENTRY,
    &batch::ENTRY,
];

/// The number that is taken off a reward.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Baseline {
    /// 0: plain REINFORCE.
    None,
    /// One number for all.
    Fixed {
        #[serde(default = "constant::half")]
        value: f64,
    },
    /// The mean of those compared.
    #[default]
    Mean,
    /// Their lower median.
    Median,
    /// The mean of the others.
    LeaveOneOut,
    /// The mean weighted by trained actions.
    LengthWeighted,
    /// The moving mean of earlier batches.
    Running {
        #[serde(default = "running::decay")]
        decay: f64,
        #[serde(default = "running::per")]
        per: Per,
        /// The baseline while nothing is remembered.
        #[serde(default)]
        start: f64,
    },
    /// The mean over the whole batch.
    Batch,
}

impl Baseline {
    /// Fewest entries that it compares.
    pub(super) fn least(self) -> usize {
        match self {
            Baseline::None | Baseline::Fixed { .. } | Baseline::Running { .. } | Baseline::Batch => 1,
            Baseline::Mean | Baseline::Median | Baseline::LeaveOneOut | Baseline::LengthWeighted => 2,
        }
    }

    /// One baseline an entry.
    pub(super) fn of(self, part: &Part<'_>) -> Vec<f64> {
        let all = |value: f64| vec![value; part.values.len()];
        match self {
            Baseline::None => all(0.0),
            Baseline::Fixed { value } => all(value),
            Baseline::Mean => all(statistic::mean(part.values)),
            Baseline::Median => all(statistic::median(part.values)),
            Baseline::LeaveOneOut => leave_one_out::baselines(part.values),
            Baseline::LengthWeighted => all(length_weighted::baseline(part.values, part.lengths)),
            Baseline::Running { .. } | Baseline::Batch => part.mean.to_vec(),
        }
    }

    /// The mean from beyond the comparison, one a group.
    pub(super) fn outside(self, field: &Field<'_>, memory: &Memory) -> Vec<f64> {
        match self {
            Baseline::Running { per, start, .. } => field.recall("mean", per, start, memory),
            Baseline::Batch => vec![field.batch_mean(); field.keys.len()],
            _ => vec![0.0; field.keys.len()],
        }
    }

    pub(super) fn remember(self, field: &Field<'_>, memory: &mut Memory) {
        if let Baseline::Running { decay, per, .. } = self {
            field.carry("mean", per, decay, statistic::mean, memory);
        }
    }

    /// # Errors
    /// The parameter that is out of range, and the range.
    pub fn check(&self) -> Result<(), (String, String)> {
        match *self {
            Baseline::Fixed { value } if !value.is_finite() => Err(("fixed.value".into(), "must be finite".into())),
            Baseline::Running { decay, .. } if !(0.0..1.0).contains(&decay) => {
                Err(("running.decay".into(), "must lie in [0, 1)".into()))
            }
            Baseline::Running { start, .. } if !start.is_finite() => {
                Err(("running.start".into(), "must be finite".into()))
            }
            _ => Ok(()),
        }
    }
}
