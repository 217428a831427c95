//! One stretch of actions under one context: what is trained.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{
    action::Action,
    context::Context,
    row::Rows,
    soft::{Mixture, Mixtures},
};

/// Why a sample ended, as its sampler recorded it. Masks come from this, never from comparing ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    /// An end-of-sequence id was sampled; it is the last action.
    End(u32),
    /// The text came to contain a stop string, by its place in [`Controls::stop_texts`](crate::Controls::stop_texts): of
    /// several the one that begins first. Its last action is the one that completed it.
    Text(u32),
    /// The cap on new actions was reached: the sample is truncated.
    Length,
    /// The policy takes exactly this many actions (a bandit, a one-step policy).
    Complete,
    /// The actions were given and not sampled.
    Given,
}

impl StopReason {
    /// Whether the sample was cut and not ended.
    pub fn is_truncated(self) -> bool {
        self == StopReason::Length
    }
}

/// An action that could have been drawn, and how probable it was: of the distribution at temperature 1, before any truncation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Alternative {
    pub id: u32,
    /// Its log-probability, in nats.
    pub logp: f32,
}

impl Alternative {
    /// In [0, 1].
    pub fn probability(self) -> f64 {
        f64::from(self.logp).exp()
    }
}

/// Actions under a context, with the row of the distribution that drew them.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// The context at sampling time.
    pub sampled_under: Context,
    /// The context that training scores it under, where a hint, an answer or a
    /// stripped thought came between; `None` means the same one.
    pub scored_under: Option<Context>,
    pub actions: Vec<Action>,
    /// The sampler's own row. Kept to measure the gap to the trainer's, never the
    /// ratio's denominator; empty for given actions.
    pub behaviour: Rows,
    /// The log-probability of every action under the distribution that was left to draw from, where a
    /// [`Truncation`](crate::Truncation) was on. Never below the row's.
    pub truncated_logp: Option<Vec<f64>>,
    /// The most probable actions at each position, the most probable first, where they were asked for
    /// ([`Controls::alternatives`](crate::Controls::alternatives)).
    pub alternatives: Option<Vec<Vec<Alternative>>>,
    /// What was drawn and fed in place of a token, action by action, where the sample has soft tokens
    /// ([`Controls::soft`](crate::Controls::soft)); the action is the token that is recorded.
    pub mixtures: Option<Mixtures>,
    /// Number of optimizer updates behind the weights that sampled it.
    pub policy_version: u64,
    pub stop: StopReason,
}

impl Sample {
    /// A worked solution, for likelihood training: nothing was sampled.
    pub fn given(context: Context, tokens: &[u32]) -> Self {
        Self {
            sampled_under: context,
            scored_under: None,
            actions: tokens.iter().map(|&id| Action::given(id)).collect(),
            behaviour: Rows::default(),
            truncated_logp: None,
            alternatives: None,
            mixtures: None,
            policy_version: 0,
            stop: StopReason::Given,
        }
    }

    /// The context that rows are computed under.
    pub fn scored_context(&self) -> &Context {
        self.scored_under.as_ref().unwrap_or(&self.sampled_under)
    }

    /// Whether a sampler outside this process drew it: one that gives log-probabilities and no entropies.
    pub fn is_from_outside(&self) -> bool {
        self.behaviour.entropy.is_empty() && !self.behaviour.logp.is_empty()
    }

    /// The soft token that action `index` is, if it is one.
    pub fn mixture(&self, index: usize) -> Option<&Arc<Mixture>> {
        self.mixtures.as_ref()?.get(index)?.as_ref()
    }

    /// The ids of its token actions.
    pub fn tokens(&self) -> impl Iterator<Item = u32> + '_ {
        self.actions.iter().filter_map(Action::token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_of_the_context_that_training_scores_under() {
        let (drawn, scored) = (Context::of_tokens([1, 2]), Context::of_tokens([2]));
        let mut sample = Sample::given(drawn.clone(), &[3]);
        assert_eq!(*sample.scored_context(), drawn);
        sample.scored_under = Some(scored.clone());
        assert_eq!(*sample.scored_context(), scored);
    }
}
