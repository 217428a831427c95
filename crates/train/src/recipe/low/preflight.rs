//! `[preflight]`: a look before the rl stage.

use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PreflightSection {
    /// Prompts that are sampled before the rl stage.
    pub prompts: usize,
    /// What happens when no group shows any difference in reward.
    pub no_signal: NoSignal,
}

impl Default for PreflightSection {
    fn default() -> Self {
        Self { prompts: 16, no_signal: NoSignal::Stop }
    }
}

/// What happens when no group shows any difference in reward.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NoSignal {
    /// The run ends with exit status 4.
    Stop,
    /// The run says so and goes on.
    Warn,
}
