//! Explanations of the right answer, beside the group that looks for it.

use std::sync::Arc;

use cohort_core::{Auxiliary, Context, Controls, Cost, Fact, Group, PolicyError, Request};
use serde::{Deserialize, Serialize};

use crate::{Ask, Desk, Fill, Independent, Phrase, Prompt, Strategy, config::Fault};

/// Independent episodes, and explanations that the policy writes when it is shown the answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExplainedConfig {
    /// What is put behind the prompt: a template over the columns of its row, for example `" ({{ answer }})"`.
    pub ask: String,
    /// Explanations a prompt.
    #[serde(default = "one")]
    pub count: usize,
    /// The cap on one, in tokens; that of a completion unless told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_new_tokens: Option<usize>,
}

fn one() -> usize {
    1
}

impl ExplainedConfig {
    pub(crate) fn check(&self) -> Result<(), Fault> {
        match self {
            Self { ask, .. } if ask.is_empty() => Err(Fault::at("explained.ask", "is empty")),
            Self { count: 0, .. } => Err(Fault::at("explained.count", "must be at least 1")),
            Self { max_new_tokens: Some(0), .. } => Err(Fault::at("explained.max_new_tokens", "must be at least 1")),
            _ => Ok(()),
        }
    }

    pub(crate) fn build<F: Fill>(&self, members: Independent, most: usize, fill: &F) -> Result<Explained, F::Error> {
        let cap = self.max_new_tokens.unwrap_or(most);
        let ask = fill.fill("rollout.strategy.explained.ask", &self.ask, cap)?;
        Ok(Explained { members, ask, count: self.count, cap })
    }
}

/// The strategy of [`ExplainedConfig`].
///
/// An explanation is drawn under prompt and `ask`, and scored under the prompt alone: an auxiliary sample, whose likelihood the
/// objective weighs (`objective.auxiliary`). It is no member of the group and has no reward; one that the cap cut has not come
/// to the answer, and is left out. The fact `explanations` of a group counts those that stayed.
#[derive(Clone, Debug)]
pub struct Explained {
    pub members: Independent,
    pub ask: Phrase,
    pub count: usize,
    pub cap: usize,
}

impl Strategy for Explained {
    fn roll(&self, prompts: &[Prompt], ask: &Ask, desk: Desk<'_>) -> Result<Vec<Group>, PolicyError> {
        let mut groups = self.members.roll(prompts, ask, desk)?;
        let controls = desk.turns.controls(0, &ask.controls);
        let controls = Arc::new(Controls { max_actions: self.cap, ..Controls::clone(&controls) });
        let plain: Vec<Context> = prompts.iter().map(|p| desk.turns.open(&p.context)).collect();
        let request = |(p, plain): (&Prompt, &Context), i: usize| -> Request {
            let mut context = plain.clone();
            context.push_tokens(self.ask.of(p.key));
            ask.request(p, (self.members.group_size + i) as u32, 0, context, controls.clone())
        };
        let asked = prompts.iter().zip(&plain);
        let requests: Vec<Request> =
            asked.flat_map(|of| (0..self.count).map(move |i| (of, i))).map(|(of, i)| request(of, i)).collect();
        let mut samples = desk.sampler.sample(&requests)?.into_iter();
        for (group, plain) in groups.iter_mut().zip(plain) {
            for mut sample in samples.by_ref().take(self.count) {
                group.spent += Cost::of_sample(&sample);
                if sample.stop.is_truncated() {
                    continue;
                }
                sample.scored_under = Some(plain.clone());
                group.auxiliary.push(Auxiliary { sample, coefficient: None });
            }
            group.facts.insert("explanations", Fact::Number(group.auxiliary.len() as f64));
        }
        Ok(groups)
    }

    fn group_size(&self) -> usize {
        self.members.group_size
    }
}
