//! The learning rate over a stage.

use serde::{Deserialize, Serialize};

/// Shape after the warm-up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Decay {
    /// Stays where it is.
    #[default]
    Constant,
    /// Straight down to 0 at the last step.
    Linear,
    /// Half a cosine down to 0 at the last step.
    Cosine,
}

/// Linear warm-up, then a decay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Schedule {
    pub warmup_steps: u64,
    pub decay: Decay,
}

/// What a stage has to spend, and so what its decay runs over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Budget {
    /// So many steps.
    Steps { total: u64 },
    /// So many sampled tokens, of which `spent` were sampled before the step.
    Tokens { spent: u64, total: u64 },
}

impl Schedule {
    /// The factor on the peak learning rate at `step` (from 1): `step / warmup` while it is at most the warm-up, then the
    /// decay over the share of the budget that is spent (of the steps, over what remains after the warm-up). In [0, 1],
    /// above 0 until the end.
    pub fn factor(&self, step: u64, budget: Budget) -> f64 {
        if step <= self.warmup_steps {
            return step as f64 / self.warmup_steps as f64;
        }
        let done = match budget {
            // The first step after the warm-up still has the full rate.
            Budget::Steps { total } => {
                let span = total.saturating_sub(self.warmup_steps).max(1) as f64;
                (step - self.warmup_steps - 1) as f64 / span
            }
            Budget::Tokens { spent, total } => spent as f64 / total.max(1) as f64,
        };
        let done = done.min(1.0);
        match self.decay {
            Decay::Constant => 1.0,
            Decay::Linear => 1.0 - done,
            Decay::Cosine => 0.5 * (1.0 + (std::f64::consts::PI * done).cos()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warms_up_then_decays() {
        let s = Schedule { warmup_steps: 4, decay: Decay::Linear };
        let f: Vec<f64> = (1..=8).map(|t| s.factor(t, Budget::Steps { total: 8 })).collect();
        assert_eq!(f, [0.25, 0.5, 0.75, 1.0, 1.0, 0.75, 0.5, 0.25]);
        let c = Schedule { warmup_steps: 0, decay: Decay::Cosine };
        let two = Budget::Steps { total: 2 };
        assert_eq!(c.factor(1, two), 1.0);
        assert!((c.factor(2, two) - 0.5).abs() < 1e-15);
        assert_eq!(Schedule::default().factor(1000, Budget::Steps { total: 10 }), 1.0);
    }

    #[test]
    fn a_budget_of_tokens_decays_by_what_was_sampled() {
        let s = Schedule { warmup_steps: 1, decay: Decay::Linear };
        let at = |step, spent| s.factor(step, Budget::Tokens { spent, total: 400 });
        assert_eq!([at(1, 0), at(2, 100), at(3, 300), at(9, 500)], [1.0, 0.75, 0.25, 0.0]);
    }
}
