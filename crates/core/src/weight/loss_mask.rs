//! The mask of trained actions, from what the sampler recorded.

use serde::{Deserialize, Serialize};

use crate::{action::Author, sample::Sample};

/// What becomes of a sample that was cut at the cap on new actions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Truncated {
    /// It is trained like any other.
    #[default]
    Keep,
    /// None of its actions is trained (DAPO, arXiv 2503.14476, §3.4, overlong filtering).
    Mask,
}

/// 1 for each action of the policy, 0 for what an environment wrote; all 0 for a truncated sample
/// under [`Truncated::Mask`]. Given actions count: they are there to be trained on.
/// Never reads an id: padding and end-of-sequence cannot be confused.
pub fn loss_mask(sample: &Sample, truncated: Truncated) -> Vec<f64> {
    let cut = truncated == Truncated::Mask && sample.stop.is_truncated();
    sample.actions.iter().map(|action| if cut || action.author == Author::Environment { 0.0 } else { 1.0 }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{action::Action, context::Context, row::Rows, sample::StopReason};

    fn sample(stop: StopReason) -> Sample {
        let observation = Action { author: Author::Environment, ..Action::sampled(1) };
        Sample {
            sampled_under: Context::of_tokens([0]),
            scored_under: None,
            actions: vec![Action::sampled(1), observation, Action::sampled(1)],
            behaviour: Rows::default(),
            policy_version: 0,
            stop,
        }
    }

    #[test]
    fn authors_and_stop_reasons_decide_and_never_ids() {
        assert_eq!(loss_mask(&sample(StopReason::End(1)), Truncated::Mask), [1.0, 0.0, 1.0]);
        assert_eq!(loss_mask(&sample(StopReason::Length), Truncated::Keep), [1.0, 0.0, 1.0]);
        assert_eq!(loss_mask(&sample(StopReason::Length), Truncated::Mask), [0.0; 3]);
    }
}
