//! What an advantage is measured in.

mod constant;
mod leave_one_out;
mod mad;
mod mean;
mod running;
mod std;
mod whitened;

use serde::{Deserialize, Serialize};

use super::{
    field::{Field, Part, Per},
    statistic,
};
use crate::{memory::Memory, registry::Entry};

pub(super) use whitened::{whiten_actions, whiten_episodes};

pub(super) const ENTRIES: [&Entry; 11] = [
    &constant::NONE,
    &constant::FIXED,
    &std::STD,
    &std::FLOORED,
    &std::GLOBAL,
    &mad::ENTRY,
    &mean::ENTRY,
    &leave_one_out::ENTRY,
    &running::ENTRY,
    &whitened::ACTIONS,
    &whitened::EPISODES,
];

/// The number that a centred reward is divided by. What is exactly 0 stays 0; a scale of 0 divides nothing.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Scale {
    /// 1.
    None,
    /// One number for all.
    Fixed {
        #[serde(default = "constant::half")]
        value: f64,
    },
    /// The standard deviation, and eps.
    Std {
        /// 1 for the sample's standard deviation (TRL, PyTorch), 0 for the population's.
        #[serde(default = "std::sample")]
        ddof: u8,
        /// Added to the standard deviation.
        #[serde(default = "std::small")]
        eps: f64,
    },
    /// The standard deviation, but no less than the floor.
    FlooredStd {
        #[serde(default = "std::sample")]
        ddof: u8,
        #[serde(default = "std::floor")]
        floor: f64,
    },
    /// The standard deviation of all raw rewards of the batch, and eps.
    GlobalStd {
        #[serde(default)]
        ddof: u8,
        #[serde(default = "std::small")]
        eps: f64,
    },
    /// The median absolute deviation, and eps.
    Mad {
        #[serde(default = "mad::eps")]
        eps: f64,
        /// The least that the scale can be.
        #[serde(default)]
        floor: f64,
    },
    /// The mean reward, and eps.
    Mean {
        #[serde(default = "mean::eps")]
        eps: f64,
    },
    /// The standard deviation of the others.
    LeaveOneOutStd,
    /// The moving standard deviation of earlier batches.
    Running {
        #[serde(default = "running::decay")]
        decay: f64,
        #[serde(default = "running::per")]
        per: Per,
        #[serde(default = "std::small")]
        eps: f64,
    },
    /// Centred advantages are normalised over the trained actions of the batch.
    Whitened {
        #[serde(default = "whitened::tiny")]
        eps: f64,
    },
    /// Centred advantages are normalised over the episodes of the batch.
    WhitenedEpisodes {
        #[serde(default = "std::sample")]
        ddof: u8,
        #[serde(default = "std::small")]
        eps: f64,
    },
}

impl Default for Scale {
    fn default() -> Self {
        Scale::Std { ddof: std::sample(), eps: std::small() }
    }
}

impl Scale {
    /// Fewest entries that it compares.
    pub(super) fn least(&self) -> usize {
        match self {
            Scale::Std { .. }
            | Scale::FlooredStd { .. }
            | Scale::Mad { .. }
            | Scale::Mean { .. }
            | Scale::LeaveOneOutStd => 2,
            Scale::None
            | Scale::Fixed { .. }
            | Scale::GlobalStd { .. }
            | Scale::Running { .. }
            | Scale::Whitened { .. }
            | Scale::WhitenedEpisodes { .. } => 1,
        }
    }

    /// One scale an entry; for the whitened ones 1, as they act on the batch afterwards.
    pub(super) fn of(&self, part: &Part<'_>) -> Vec<f64> {
        let all = |value: f64| vec![value; part.values.len()];
        match *self {
            Scale::None | Scale::Whitened { .. } | Scale::WhitenedEpisodes { .. } => all(1.0),
            Scale::Fixed { value } => all(value),
            Scale::Std { ddof, eps } => all(statistic::deviation(part.values, ddof) + eps),
            Scale::FlooredStd { ddof, floor } => all(statistic::deviation(part.values, ddof).max(floor)),
            Scale::Mad { eps, floor } => all((mad::mad(part.values) + eps).max(floor)),
            Scale::Mean { eps } => all(statistic::mean(part.values) + eps),
            Scale::LeaveOneOutStd => leave_one_out::deviations(part.values),
            Scale::GlobalStd { eps, .. } | Scale::Running { eps, .. } => {
                part.spread.iter().map(|spread| spread + eps).collect()
            }
        }
    }

    /// The spread from beyond the comparison, one a group.
    pub(super) fn outside(&self, field: &Field<'_>, memory: &Memory) -> Vec<f64> {
        match *self {
            Scale::GlobalStd { ddof, .. } => vec![statistic::deviation(&field.all(), ddof); field.keys.len()],
            Scale::Running { per, .. } => field.recall("std", per, 1.0, memory),
            _ => vec![0.0; field.keys.len()],
        }
    }

    pub(super) fn remember(&self, field: &Field<'_>, memory: &mut Memory) {
        if let Scale::Running { decay, per, .. } = *self {
            field.carry("std", per, decay, |rewards| statistic::deviation(rewards, 0), memory);
        }
    }

    /// # Errors
    /// The parameter that is out of range, and the range.
    pub fn check(&self) -> Result<(), (String, String)> {
        let no = |key: &str, problem: &str| Err((key.to_owned(), problem.to_owned()));
        let fit = |x: f64| x.is_finite() && x >= 0.0;
        let eps = |word: &str, eps: f64| {
            if fit(eps) { Ok(()) } else { Err((format!("{word}.eps"), "must be at least 0 and finite".to_owned())) }
        };
        match *self {
            Scale::Std { ddof, .. } if ddof > 1 => no("std.ddof", "must be 0 or 1"),
            Scale::FlooredStd { ddof, .. } if ddof > 1 => no("floored_std.ddof", "must be 0 or 1"),
            Scale::GlobalStd { ddof, .. } if ddof > 1 => no("global_std.ddof", "must be 0 or 1"),
            Scale::WhitenedEpisodes { ddof, .. } if ddof > 1 => no("whitened_episodes.ddof", "must be 0 or 1"),
            Scale::FlooredStd { floor, .. } if !fit(floor) => no("floored_std.floor", "must be at least 0 and finite"),
            Scale::Mad { floor, .. } if !fit(floor) => no("mad.floor", "must be at least 0 and finite"),
            Scale::Fixed { value } if !(value.is_finite() && value > 0.0) => {
                no("fixed.value", "must be above 0 and finite")
            }
            Scale::Running { decay, .. } if !(0.0..1.0).contains(&decay) => no("running.decay", "must lie in [0, 1)"),
            Scale::None | Scale::Fixed { .. } | Scale::FlooredStd { .. } | Scale::LeaveOneOutStd => Ok(()),
            Scale::Std { eps: e, .. } => eps("std", e),
            Scale::GlobalStd { eps: e, .. } => eps("global_std", e),
            Scale::Mad { eps: e, .. } => eps("mad", e),
            Scale::Mean { eps: e } => eps("mean", e),
            Scale::Running { eps: e, .. } => eps("running", e),
            Scale::Whitened { eps: e } => eps("whitened", e),
            Scale::WhitenedEpisodes { eps: e, .. } => eps("whitened_episodes", e),
        }
    }
}
