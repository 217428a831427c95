//! What stops an update from going too far.

use serde::{Deserialize, Serialize};

/// The gate on `ratio * advantage`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Gate {
    /// No gate: the bare ratio.
    None,
    /// `min(r A, clip(r, 1 - low, 1 + high) A)` (PPO: Schulman et al. 2017, arXiv 1707.06347, eq. 7;
    /// `high > low` is DAPO's clip-higher, arXiv 2503.14476, §3.1).
    Clip {
        /// In (0, 1].
        low: f64,
        /// Above 0.
        high: f64,
    },
}

impl Default for Gate {
    fn default() -> Self {
        Gate::Clip { low: 0.2, high: 0.2 }
    }
}

/// A gated term at one ratio.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Gated {
    pub value: f64,
    /// Derivative by the ratio. At a kink: that of the inner side, where the gate is open.
    pub slope: f64,
    pub closed: bool,
}

impl Gate {
    pub(super) fn of(self, ratio: f64, advantage: f64) -> Gated {
        let open = Gated { value: ratio * advantage, slope: advantage, closed: false };
        match self {
            Gate::None => open,
            Gate::Clip { low, high } => {
                let bound = if advantage >= 0.0 { 1.0 + high } else { 1.0 - low };
                let beyond = if advantage >= 0.0 { ratio > bound } else { ratio < bound };
                if beyond && advantage != 0.0 {
                    Gated { value: bound * advantage, slope: 0.0, closed: true }
                } else {
                    open
                }
            }
        }
    }
}
