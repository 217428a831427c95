//! An average of the weights over the updates: the actor with `update = ema(decay, every)`.

use cohort_core::Policy;
use serde::{Deserialize, Serialize};

/// `train.ema`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EmaSection {
    /// How much of the average stays; in [0, 1).
    pub decay: f64,
    /// Optimizer updates between two moves of it; at least 1.
    #[serde(default = "one")]
    pub every: u64,
    /// Splits that it is evaluated on beside the policy.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evaluate: Vec<HeldOut>,
}

fn one() -> u64 {
    1
}

/// A split that nothing is trained on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HeldOut {
    /// Whenever the policy is looked at on dev.
    Dev,
    /// When the run ends.
    Test,
}

/// The averaged weights of a policy: `e <- decay e + (1 - decay) w` for each trained entry, every `every` updates, from
/// the weights that the stage starts with. Computed in f64 and kept in f32, entry by entry: no worker has a part in it.
pub struct Ema {
    decay: f64,
    every: u64,
    average: Box<dyn Policy>,
}

impl Ema {
    pub fn new(section: &EmaSection, policy: &dyn Policy) -> Self {
        Self { decay: section.decay, every: section.every, average: policy.duplicate() }
    }

    /// A policy with the averaged weights.
    pub fn policy(&self) -> &dyn Policy {
        self.average.as_ref()
    }

    pub fn policy_mut(&mut self) -> &mut dyn Policy {
        self.average.as_mut()
    }

    /// Moves the average after update number `updates` (from 1) of `policy`.
    pub fn follow(&mut self, policy: &dyn Policy, updates: u64) {
        if !updates.is_multiple_of(self.every) {
            return;
        }
        let (average, decay, share) = (&mut self.average, self.decay, 1.0 - self.decay);
        for index in 0..policy.parameters().len() {
            policy.read(index, &mut |weights| {
                average.write(index, &mut |entries| {
                    for (e, w) in entries.iter_mut().zip(weights) {
                        *e = (decay * f64::from(*e) + share * f64::from(*w)) as f32;
                    }
                });
            });
        }
    }
}
