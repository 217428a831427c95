//! `[log]`: what is written beside the metrics.

use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LogSection {
    /// What else the metrics are written as.
    pub also: Vec<Also>,
}

impl LogSection {
    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// Metrics for other tools; `cohort export` makes the same of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Also {
    /// `tensorboard/` of the run directory: an event file that grows with each commit.
    Tensorboard,
    /// `metrics.csv`: a table, written when the run is complete.
    Csv,
}
