//! The mask of trained actions, from what the sampler recorded.

use serde::{Deserialize, Serialize};

use crate::{
    action::Author,
    facts::Fact,
    method_error::{MethodError, Place},
    registry::{Axis, Entry},
    sample::Sample,
    trajectory::Trajectory,
};

/// Why the neutral words of the keys are the same function.
pub(super) const NEUTRAL: &str = "the neutral word of another key of [weight]: it changes nothing either";

pub(super) const KEEP: Entry = Entry {
    axis: Axis::Weight,
    name: "keep",
    summary: "truncated samples and malformed spans are trained like any others",
    formula: "weight.truncated = \"keep\" and weight.malformed = \"keep\": m_t as it was recorded, times the sample's own \
              weight where it has one.",
    source: "GRPO: Shao et al. 2024, arXiv 2402.03300, equation 3, which treats all outputs alike",
    equals: &[("all", NEUTRAL), ("policy", NEUTRAL), ("one", NEUTRAL)],
    ..Entry::NONE
};

pub(super) const MASK: Entry = Entry {
    axis: Axis::Weight,
    name: "mask",
    summary: "no action of a truncated sample is trained",
    formula: "weight.truncated = \"mask\": m_t = 0 for every action of a sample whose flag `truncated` is set. Its reward \
              stays in the group's statistics, and a mean over sequences still counts it as one. Absent flag: not cut.",
    reads: &["truncated"],
    source: "DAPO: Yu et al. 2025, arXiv 2503.14476, section 3.4 (overlong filtering); TRL's mask_truncated_completions",
    ..Entry::NONE
};

/// What becomes of a sample that was cut at the cap on new actions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Truncated {
    /// It is trained like any other.
    #[default]
    Keep,
    /// None of its actions is trained (DAPO, arXiv 2503.14476, §3.4, overlong filtering).
    Mask,
}

impl Truncated {
    /// Whether this trajectory is left out.
    pub(super) fn cuts(self, trajectory: &Trajectory, place: Place) -> Result<bool, MethodError> {
        match (self, trajectory.facts.get("truncated")) {
            (Truncated::Keep, _) | (Truncated::Mask, None) => Ok(false),
            (Truncated::Mask, Some(Fact::Flag(flag))) => Ok(*flag),
            (Truncated::Mask, Some(_)) => Ok(trajectory.number("truncated", place)? != 0.0),
        }
    }
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
            truncated_logp: None,
            alternatives: None,
            mixtures: None,
            policy_version: 0,
            stop,
        }
    }

    #[test]
    fn authors_and_stop_reasons_decide_and_never_ids() {
        assert_eq!(loss_mask(&sample(StopReason::End(1)), Truncated::Mask), [1.0, 0.0, 1.0]);
        assert_eq!(loss_mask(&sample(StopReason::Text(0)), Truncated::Mask), [1.0, 0.0, 1.0]);
        assert_eq!(loss_mask(&sample(StopReason::Length), Truncated::Keep), [1.0, 0.0, 1.0]);
        assert_eq!(loss_mask(&sample(StopReason::Length), Truncated::Mask), [0.0; 3]);
    }

    #[test]
    fn a_flag_that_is_no_flag_is_an_error_and_an_absent_one_is_not() {
        let mut trajectory = Trajectory::default();
        assert_eq!(Truncated::Mask.cuts(&trajectory, Place::default()), Ok(false));
        trajectory.facts.insert("truncated", Fact::Number(1.0));
        assert_eq!(Truncated::Mask.cuts(&trajectory, Place::default()), Ok(true));
        assert_eq!(Truncated::Keep.cuts(&trajectory, Place::default()), Ok(false));
        trajectory.facts.insert("truncated", Fact::Text("yes".to_owned()));
        assert!(Truncated::Mask.cuts(&trajectory, Place::default()).is_err());
    }
}
