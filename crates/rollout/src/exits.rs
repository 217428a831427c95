//! A serial group: one chain of thought, left at several places.

use std::sync::Arc;

use cohort_core::{Controls, Cost, Dice, Episode, Fact, Group, PolicyError, Request, StopReason, permutation};
use serde::{Deserialize, Serialize};

use crate::{Ask, Desk, Fill, Phrase, Prompt, Strategy, config::Fault, splice::Splice};

/// One chain of thought a prompt, drawn whole and left at `group_size - 1` places before its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExitsConfig {
    /// The text that ends a chain of thought, for example `</think>`.
    pub ends_with: String,
    /// What is put where a chain is left, so that an answer follows; it ends with what `ends_with` is.
    pub say: String,
    /// The cap on an answer, in tokens.
    pub answer_tokens: usize,
}

impl ExitsConfig {
    pub(crate) fn check(&self, group_size: usize) -> Result<(), Fault> {
        match self {
            Self { ends_with, .. } if ends_with.is_empty() => Err(Fault::at("exits.ends_with", "is empty")),
            Self { say, .. } if say.is_empty() => Err(Fault::at("exits.say", "is empty")),
            Self { answer_tokens: 0, .. } => Err(Fault::at("exits.answer_tokens", "must be at least 1")),
            _ if group_size < 2 => {
                Err(Fault::at("exits", "needs a group_size of at least 2: exits, and the whole chain"))
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn build<F: Fill>(&self, group_size: usize, fill: &F) -> Result<Exits, F::Error> {
        Ok(Exits {
            group_size,
            ends_with: self.ends_with.clone(),
            say: fill.fill("rollout.strategy.exits.say", &self.say, self.answer_tokens)?,
            answer_tokens: self.answer_tokens,
        })
    }
}

/// The strategy of [`ExitsConfig`].
///
/// A chain `T_1 .. T_n` is drawn under the prompt until `ends_with`, and its answer behind it. Exits are distinct places
/// `p` of `1 .. n`, drawn uniformly: the first `p` actions of the chain, `say`, which nobody drew, and an answer that is drawn
/// under them. The group is the exits, earliest first, and the whole chain last; the fact `position` is `p`, and of the
/// whole chain `n`. The chain's actions stand in every episode that has them, and their cost in the last.
///
/// A chain of fewer than `group_size` tokens has fewer exits: the group is short. One that the cap cut has its exits, and is
/// itself truncated.
#[derive(Clone, Debug)]
pub struct Exits {
    pub group_size: usize,
    pub ends_with: String,
    pub say: Phrase,
    pub answer_tokens: usize,
}

/// A chain as it is left, before its answer.
struct Branch {
    prompt: usize,
    member: u32,
    place: usize,
    splice: Splice,
    goes: Goes,
}

/// Whether an answer follows.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Goes {
    On,
    Ended,
}

impl Exits {
    /// Where a chain of `length` is left, in rising order.
    fn places(&self, length: usize, dice: Dice) -> Vec<usize> {
        let inner = length.saturating_sub(1);
        let mut places: Vec<usize> =
            permutation(inner, dice).into_iter().take(self.group_size - 1).map(|place| place + 1).collect();
        places.sort_unstable();
        places
    }
}

impl Strategy for Exits {
    fn roll(&self, prompts: &[Prompt], ask: &Ask, desk: Desk<'_>) -> Result<Vec<Group>, PolicyError> {
        let controls = desk.turns.controls(0, &ask.controls);
        let thinking = Arc::new(Controls { stop_texts: vec![self.ends_with.clone()], ..Controls::clone(&controls) });
        let answering = Arc::new(Controls { max_actions: self.answer_tokens, ..Controls::clone(&controls) });
        let whole: Vec<Request> =
            prompts.iter().map(|p| ask.request(p, 0, 0, desk.turns.open(&p.context), thinking.clone())).collect();
        let chains = desk.sampler.sample(&whole)?;
        let mut branches: Vec<Branch> = Vec::new();
        for (prompt, chain) in chains.iter().enumerate() {
            let (length, p) = (chain.actions.len(), &prompts[prompt]);
            let say = self.say.of(p.key);
            let places = self.places(length, ask.stream.dice(ask.step, p.slot, self.group_size as u32));
            let exits = places.into_iter().map(|place| (place, Splice::of(chain, place).say(say), Goes::On));
            let goes = if matches!(chain.stop, StopReason::Text(_)) { Goes::On } else { Goes::Ended };
            let all = exits.chain([(length, Splice::of(chain, length), goes)]).enumerate();
            branches.extend(all.map(|(i, (place, splice, goes))| Branch {
                prompt,
                member: i as u32 + 1,
                place,
                splice,
                goes,
            }));
        }
        // The answers of all prompts in one call.
        let open = branches.iter().filter(|branch| branch.goes == Goes::On);
        let requests: Vec<Request> = open
            .map(|Branch { prompt, member, splice, .. }| {
                ask.request(&prompts[*prompt], *member, 0, splice.context(), answering.clone())
            })
            .collect();
        let mut answers = desk.sampler.sample(&requests)?.into_iter();
        let mut groups: Vec<Group> = prompts.iter().map(|p| Group::of_episodes(p.key, Vec::new())).collect();
        for Branch { prompt, place, splice, goes, .. } in branches {
            let chain = &chains[prompt];
            let answer = if goes == Goes::On { answers.next() } else { None };
            let mut cost = answer.as_ref().map(Cost::of_sample).unwrap_or_default();
            if place == chain.actions.len() {
                cost += Cost::of_sample(chain);
            }
            let mut sample = match answer {
                Some(answer) => splice.then(answer).done(),
                None => splice.done(),
            };
            sample.scored_under.clone_from(&prompts[prompt].scored);
            let mut episode = Episode { cost, ..Episode::of_samples(vec![sample]) };
            episode.facts.insert("position", Fact::Number(place as f64));
            groups[prompt].episodes.push(episode);
        }
        Ok(groups)
    }

    fn group_size(&self) -> usize {
        self.group_size
    }
}
