//! A conversation whose other side says the same every time: plan then chain, rounds with a bounded context, think twice.

use std::sync::Arc;

use cohort_core::{Context, Controls, GroupKey, Sample, StopReason, Turn, Turns};
use serde::{Deserialize, Serialize};

use crate::{Fill, Phrase, config::Fault};

/// One round of an episode.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RoundConfig {
    /// What is said before the policy acts; the same for all prompts.
    pub say: String,
    /// What of the rounds before stands there still; nothing is before the first.
    pub carry: Carry,
    /// Texts that end the round; those of `rollout.stop` unless told.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stop: Vec<String>,
    /// The cap on the round, in tokens; that of `rollout.max_new_tokens` unless told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_new_tokens: Option<usize>,
}

/// What a round sees of the rounds before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Carry {
    /// Everything.
    #[default]
    All,
    /// The prompt and the latest completion alone: the context stays bounded.
    Latest,
}

impl RoundConfig {
    /// The most tokens that a round adds, where its words have `said`.
    fn longest(&self, said: usize, most: usize) -> usize {
        said + self.max_new_tokens.unwrap_or(most)
    }

    /// # Errors
    /// A key below `rollout`, and what is wrong with it.
    pub fn check(&self) -> Result<(), Fault> {
        if self.max_new_tokens == Some(0) {
            return Err(Fault::at("rounds.max_new_tokens", "must be at least 1"));
        }
        if self.stop.iter().any(String::is_empty) {
            return Err(Fault::at("rounds.stop", "holds an empty text"));
        }
        if self.say.contains("{{") || self.say.contains("{%") {
            return Err(Fault::at("rounds.say", "must be the same for all prompts: it is a text and no template"));
        }
        Ok(())
    }
}

/// A round in ids.
#[derive(Clone, Debug)]
pub struct Round {
    pub say: Vec<u32>,
    pub carry: Carry,
    pub stop: Vec<String>,
    pub max_actions: Option<usize>,
}

/// The environment of [`RoundConfig`]s. It reads no row: an evaluation has the same rounds.
#[derive(Clone, Debug)]
pub struct Rounds {
    pub rounds: Vec<Round>,
}

impl Rounds {
    /// # Errors
    /// A text without ids.
    pub fn build<F: Fill>(configs: &[RoundConfig], fill: &F) -> Result<Self, F::Error> {
        let round = |config: &RoundConfig| {
            let say = match config.say.as_str() {
                "" => Vec::new(),
                say => match fill.fill("rollout.rounds.say", say, 0)? {
                    Phrase::Same(ids) => ids,
                    Phrase::Each(_) => Vec::new(),
                },
            };
            Ok(Round { say, carry: config.carry, stop: config.stop.clone(), max_actions: config.max_new_tokens })
        };
        Ok(Self { rounds: configs.iter().map(round).collect::<Result<_, _>>()? })
    }

    /// The most tokens behind the prompt, of rounds whose cap is `most` unless they say otherwise. `words` counts a text's.
    pub fn longest(configs: &[RoundConfig], most: usize, words: impl Fn(&str) -> usize) -> usize {
        configs.iter().map(|round| round.longest(words(&round.say), most)).sum::<usize>().max(most)
    }
}

impl Turns for Rounds {
    fn turn(&self, _: GroupKey, samples: &[Sample]) -> Turn {
        let (Some(next), Some(first), Some(last)) = (self.rounds.get(samples.len()), samples.first(), samples.last())
        else {
            return Turn::End;
        };
        let mut context = match next.carry {
            Carry::All => last.sampled_under.clone(),
            Carry::Latest => first.sampled_under.clone(),
        };
        let mut wrote: Vec<u32> = last.tokens().collect();
        // The id that ends a completion ends the whole text where it stands.
        if let StopReason::End(_) = last.stop {
            wrote.pop();
        }
        context.push_tokens(&wrote);
        context.push_tokens(&next.say);
        Turn::Continue(context)
    }

    fn open(&self, context: &Context) -> Context {
        let mut context = context.clone();
        self.rounds.first().into_iter().for_each(|round| context.push_tokens(&round.say));
        context
    }

    fn controls(&self, turn: usize, of: &Arc<Controls>) -> Arc<Controls> {
        match self.rounds.get(turn) {
            Some(round) if round.max_actions.is_some() || !round.stop.is_empty() => {
                let mut controls = Controls::clone(of);
                controls.max_actions = round.max_actions.unwrap_or(controls.max_actions);
                if !round.stop.is_empty() {
                    controls.stop_texts.clone_from(&round.stop);
                }
                Arc::new(controls)
            }
            _ => of.clone(),
        }
    }
}
