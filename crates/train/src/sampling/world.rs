//! Everything outside the policy: the task, its environment, the rewards, the way groups come about.

use std::{collections::BTreeMap, sync::Arc};

use cohort_core::{
    Action, Choice, Context, Controls, Episode, Facts, Group, GroupKey, Method, Outcome, Policy, Sample, StopReason,
    Turns,
};
use cohort_env::{Codec, Item, Split, Task, Verifier, View, judge_timed, text_model::TrainedModels};
use cohort_rollout::{Hints, Prompt, Strategy};

use super::account::Judged;
pub use super::scores::Scores;
use crate::recipe::low::StopInText;

/// A reward term of the recipe.
pub struct Term {
    pub name: String,
    pub weight: f64,
    pub verifier: Box<dyn Verifier>,
    /// Facts that methods read, by their name there and the verifier's name for it.
    pub facts: BTreeMap<String, String>,
}

impl Term {
    /// A term of which methods read its outcome alone.
    pub fn new(name: &str, weight: f64, verifier: Box<dyn Verifier>) -> Self {
        Self { name: name.to_owned(), weight, verifier, facts: BTreeMap::new() }
    }

    /// What methods read of a verdict.
    fn told(&self, facts: &Facts) -> Facts {
        let mut told = Facts::default();
        for (name, of_verifier) in &self.facts {
            if let Some(fact) = facts.get(of_verifier) {
                told.insert(name, fact.clone());
            }
        }
        told
    }
}

/// What a policy meets.
pub struct World {
    pub task: Task,
    pub codec: Arc<dyn Codec>,
    pub turns: Box<dyn Turns>,
    pub strategy: Box<dyn Strategy>,
    /// What hints say, where the curriculum gives any.
    pub hints: Option<Hints>,
    pub terms: Vec<Term>,
    /// Index of the term that says whether a completion is right.
    pub correct: usize,
    /// How completions are drawn and where they end. A step or an evaluation has its own decoding, cap and version.
    pub controls: Controls,
    /// What of a completion that a stop string ended is its text.
    pub stop_in_text: StopInText,
    /// What the score of a prompt is, where the recipe says so.
    pub scores: Option<Scores>,
    /// Where its terms find the models that the run trains.
    pub trained: TrainedModels,
}

impl World {
    /// The prompts at `indices` of a split, in slots `0..`.
    pub fn prompts(&self, split: Split, indices: &[usize]) -> Vec<Prompt> {
        self.prompts_from(split, indices, 0)
    }

    /// A recipe's method with the weights of this world's terms, which may be others than the recipe's.
    pub fn method(&self, method: &Method) -> Method {
        let mut method = method.clone();
        method.reward.weights = self.terms.iter().map(|term| (term.name.clone(), term.weight)).collect();
        method
    }

    /// The names of the reward terms, in their order.
    pub fn term_names(&self) -> Vec<&str> {
        self.terms.iter().map(|t| t.name.as_str()).collect()
    }

    /// The same for prompts that follow `first` others of their step.
    pub fn prompts_from(&self, split: Split, indices: &[usize], first: usize) -> Vec<Prompt> {
        let items = self.task.items(split);
        indices
            .iter()
            .enumerate()
            .map(|(slot, &index)| Prompt {
                key: GroupKey(index as u64),
                slot: (first + slot) as u32,
                context: items[index].context.clone(),
                scored: None,
            })
            .collect()
    }

    pub fn item(&self, split: Split, key: GroupKey) -> &Item {
        &self.task.items(split)[key.0 as usize]
    }

    /// What rewards and people read of a sample: its text, up to the stop string that ended it unless the recipe
    /// includes it. What is trained are its actions, whatever their text.
    pub fn completion(&self, sample: &Sample) -> String {
        let text = self.text(&sample.actions);
        match self.stop_in_text {
            StopInText::Exclude => self.controls.without_stop(text, sample.stop),
            StopInText::Include => text,
        }
    }

    /// How many completions its terms can be asked about at once, beyond one a core.
    pub fn at_once(&self) -> usize {
        self.terms.iter().map(|term| term.verifier.at_once()).max().unwrap_or(1)
    }

    /// The text of all that the policy wrote in one sample.
    pub fn text(&self, actions: &[Action]) -> String {
        let tokens: Vec<u32> = actions.iter().filter_map(Action::token).collect();
        self.codec.decode(&tokens)
    }

    /// The text of a context's ids.
    pub fn context_text(&self, context: &Context) -> String {
        context.as_tokens().map_or(String::new(), |tokens| self.codec.decode(tokens))
    }

    /// Every term's verdict on every episode of a group, episode by episode.
    pub fn judge(&self, split: Split, step: u64, group: &Group, policy: &dyn Policy) -> Vec<Vec<Judged>> {
        let item = self.item(split, group.key);
        let shown: Vec<Shown> = group.episodes.iter().map(|episode| self.show(episode, policy)).collect();
        let views: Vec<View> = shown.iter().map(|shown| shown.view(item, step)).collect();
        let mut all: Vec<Vec<Judged>> = vec![Vec::with_capacity(self.terms.len()); views.len()];
        for term in &self.terms {
            let verdicts = judge_timed(term.verifier.as_ref(), &views);
            for (of_episode, (verdict, seconds)) in all.iter_mut().zip(verdicts) {
                let facts = term.told(&verdict.facts);
                of_episode.push(Judged { outcome: verdict.outcome, seconds, asked: verdict.asked, facts });
            }
        }
        all
    }

    fn show(&self, episode: &Episode, policy: &dyn Policy) -> Shown {
        let actions = || episode.samples.iter().flat_map(|s| &s.actions);
        Shown {
            completion: episode.samples.last().map_or(String::new(), |s| self.completion(s)),
            tokens: actions().filter_map(Action::token).collect(),
            payloads: actions().filter_map(|a| payload(a, policy)).collect(),
            stop: episode.samples.last().map_or(StopReason::Complete, |s| s.stop),
            turns: episode.samples.len(),
        }
    }

    /// The answer that the deciding term reads in an episode; empty where there is none, `None` where the term is not about
    /// answers.
    pub fn answer(&self, episode: &Episode) -> Option<String> {
        let text = episode.samples.last().map_or(String::new(), |sample| self.completion(sample));
        self.terms[self.correct].verifier.answer(&text)
    }

    /// Whether the deciding term gave an episode its full mark.
    pub fn is_correct(&self, episode: &Episode) -> bool {
        let full = self.terms[self.correct].verifier.range().1;
        episode.rewards.get(self.correct).and_then(Outcome::value).is_some_and(|value| value >= full)
    }
}

/// What a verifier is shown of an episode.
struct Shown {
    completion: String,
    tokens: Vec<u32>,
    payloads: Vec<Vec<f32>>,
    stop: StopReason,
    turns: usize,
}

impl Shown {
    fn view<'a>(&'a self, item: &'a Item, step: u64) -> View<'a> {
        let Self { completion, tokens, payloads, stop, turns } = self;
        View { item, completion, tokens, stop: *stop, turns: *turns, payloads, step }
    }
}

/// What an action chose, where that is no token: a point, or the number of an option.
fn payload(action: &Action, policy: &dyn Policy) -> Option<Vec<f32>> {
    match action.choice {
        Choice::Token(_) => None,
        Choice::Option(option) => Some(vec![option as f32]),
        Choice::Payload(key) => policy.payload(key),
    }
}
