//! Prompts with a hint behind them.

use std::sync::Arc;

use cohort_core::{Controls, Cost, PolicyError, Request, Sampler, StopReason};
use serde::{Deserialize, Serialize};

use crate::{Ask, Fill, Phrase, Prompt, config::Fault};

/// What hints say; when a prompt has one, and of which level, is `curriculum.hint`'s. Evaluations have none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HintConfig {
    /// What a hint of level 1, 2, .. is.
    pub levels: HintSource,
    /// Under which prompt a hinted answer is trained.
    #[serde(default)]
    pub scored: ScoredUnder,
}

/// Where a hint comes from. Every text is a template over the columns of the prompt's row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum HintSource {
    /// The recipe's own words, a text a level.
    Texts(Vec<String>),
    /// The policy writes it, anew for every group.
    Written {
        /// What is put behind the prompt to have a hint written, a text a level.
        asks: Vec<String>,
        /// What is put between the prompt and the hint.
        #[serde(default)]
        before: String,
        /// What is put behind the hint.
        #[serde(default)]
        after: String,
        /// Texts that end a hint; they are a part of it.
        #[serde(default)]
        stop: Vec<String>,
        /// The cap on a hint, in tokens.
        max_new_tokens: usize,
        /// What a hint must not hold, for example `"{{ answer }}"`: one that does is left away.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        leak: Option<String>,
    },
}

/// Which prompt the rows of a hinted answer are taken under.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ScoredUnder {
    /// The one that it was drawn under.
    #[default]
    Hinted,
    /// The one without the hint; `objective.context` says which ratio.
    Plain,
}

const LEVELS: &str = "rollout.hint.levels";

impl HintConfig {
    /// How many levels there are.
    pub fn levels(&self) -> usize {
        match &self.levels {
            HintSource::Texts(texts) => texts.len(),
            HintSource::Written { asks, .. } => asks.len(),
        }
    }

    /// # Errors
    /// A key below `rollout`, and what is wrong with it.
    pub fn check(&self) -> Result<(), Fault> {
        match &self.levels {
            HintSource::Written { max_new_tokens: 0, .. } => {
                Err(Fault::at("hint.levels.written.max_new_tokens", "must be at least 1"))
            }
            HintSource::Written { stop, .. } if stop.iter().any(String::is_empty) => {
                Err(Fault::at("hint.levels.written.stop", "holds an empty text"))
            }
            _ if self.levels() == 0 => Err(Fault::at("hint.levels", "has no level")),
            _ => Ok(()),
        }
    }

    /// # Errors
    /// What `fill` finds.
    pub fn build<F: Fill>(&self, room: usize, fill: &F) -> Result<Hints, F::Error> {
        let of = |source: &String| fill.fill(LEVELS, source, room);
        let source = match &self.levels {
            HintSource::Texts(texts) => Source::Texts(texts.iter().map(of).collect::<Result<_, _>>()?),
            HintSource::Written { asks, before, after, stop, max_new_tokens, leak } => {
                Source::Written(Box::new(Written {
                    asks: asks.iter().map(|ask| fill.fill(LEVELS, ask, *max_new_tokens)).collect::<Result<_, _>>()?,
                    before: fill.fill(LEVELS, before, room + max_new_tokens)?,
                    after: fill.fill(LEVELS, after, room)?,
                    stop: stop.clone(),
                    cap: *max_new_tokens,
                    leak: leak.as_ref().map(|leak| fill.fill(LEVELS, leak, 0)).transpose()?,
                }))
            }
        };
        Ok(Hints { source, scored: self.scored })
    }
}

/// The hints of a recipe.
#[derive(Clone, Debug)]
pub struct Hints {
    source: Source,
    scored: ScoredUnder,
}

#[derive(Clone, Debug)]
enum Source {
    Texts(Vec<Phrase>),
    Written(Box<Written>),
}

#[derive(Clone, Debug)]
struct Written {
    asks: Vec<Phrase>,
    before: Phrase,
    after: Phrase,
    stop: Vec<String>,
    cap: usize,
    leak: Option<Phrase>,
}

impl Hints {
    /// The prompts with a hint of their level each, and what it took to write them. Level 0 is the prompt as it is.
    ///
    /// # Errors
    /// The sampler's.
    pub fn hinted(
        &self,
        prompts: &[Prompt],
        levels: &[u32],
        ask: &Ask,
        sampler: &dyn Sampler,
    ) -> Result<Vec<(Prompt, Cost)>, PolicyError> {
        let mut hinted: Vec<(Prompt, Cost)> = prompts.iter().map(|p| (p.clone(), Cost::default())).collect();
        let wanted: Vec<(usize, usize)> = levels
            .iter()
            .enumerate()
            .filter(|(_, level)| **level > 0)
            .map(|(i, level)| (i, *level as usize - 1))
            .collect();
        match &self.source {
            Source::Texts(texts) => {
                for (i, level) in wanted {
                    let ids = texts[level].of(prompts[i].key);
                    self.put(&mut hinted[i].0, &[ids]);
                }
            }
            Source::Written(written) => {
                let controls = Controls { max_actions: written.cap, ..Controls::clone(&ask.controls) };
                let stop_texts = controls.stop_texts.iter().chain(&written.stop).cloned().collect();
                let controls = Arc::new(Controls { stop_texts, ..controls });
                let request = |&(i, level): &(usize, usize)| -> Request {
                    let mut context = prompts[i].context.clone();
                    context.push_tokens(written.asks[level].of(prompts[i].key));
                    ask.request(&prompts[i], level as u32, 0, context, controls.clone())
                };
                let samples = sampler.sample(&wanted.iter().map(request).collect::<Vec<_>>())?;
                for ((i, _), sample) in wanted.into_iter().zip(samples) {
                    let (prompt, cost) = &mut hinted[i];
                    *cost += Cost::of_sample(&sample);
                    let mut ids: Vec<u32> = sample.tokens().collect();
                    if let StopReason::End(_) = sample.stop {
                        ids.pop();
                    }
                    let leak = written.leak.as_ref().map_or(&[][..], |leak| leak.of(prompt.key));
                    if !holds(&ids, leak) {
                        let (before, after) = (written.before.of(prompt.key), written.after.of(prompt.key));
                        self.put(prompt, &[before, &ids, after]);
                    }
                }
            }
        }
        Ok(hinted)
    }

    fn put(&self, prompt: &mut Prompt, ids: &[&[u32]]) {
        if self.scored == ScoredUnder::Plain {
            prompt.scored = Some(prompt.context.clone());
        }
        ids.iter().for_each(|ids| prompt.context.push_tokens(ids));
    }
}

/// Whether `ids` has `part` in it; nothing has no part.
fn holds(ids: &[u32], part: &[u32]) -> bool {
    !part.is_empty() && ids.windows(part.len()).any(|window| window == part)
}
