//! Everything outside the policy: the task, its environment, the rewards, the way groups come about.

use std::sync::Arc;

use cohort_core::{Action, Choice, Context, Episode, Group, GroupKey, Method, Outcome, Policy, StopReason, Turns};
use cohort_env::{Codec, Item, Split, Task, Verifier, View, judge};
use cohort_rollout::{Prompt, Strategy};

/// A reward term of the recipe.
pub struct Term {
    pub name: String,
    pub weight: f64,
    pub verifier: Box<dyn Verifier>,
}

/// What a policy meets.
pub struct World {
    pub task: Task,
    pub codec: Arc<dyn Codec>,
    pub turns: Box<dyn Turns>,
    pub strategy: Box<dyn Strategy>,
    pub terms: Vec<Term>,
    /// Index of the term that says whether a completion is right.
    pub correct: usize,
    /// Ids that end a completion.
    pub stop: Vec<u32>,
    /// Ids that are never drawn.
    pub forbidden: Vec<u32>,
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
            })
            .collect()
    }

    pub fn item(&self, split: Split, key: GroupKey) -> &Item {
        &self.task.items(split)[key.0 as usize]
    }

    /// The text of what the policy wrote in one sample.
    pub fn text(&self, actions: &[Action]) -> String {
        let tokens: Vec<u32> = actions.iter().filter_map(Action::token).collect();
        self.codec.decode(&tokens)
    }

    /// The text of a context's ids.
    pub fn context_text(&self, context: &Context) -> String {
        context.as_tokens().map_or(String::new(), |tokens| self.codec.decode(tokens))
    }

    /// Every term's verdict on every episode of a group.
    pub fn judge(&self, split: Split, group: &Group, policy: &dyn Policy) -> Vec<Vec<Outcome>> {
        let item = self.item(split, group.key);
        group.episodes.iter().map(|episode| self.judge_episode(item, episode, policy)).collect()
    }

    fn judge_episode(&self, item: &Item, episode: &Episode, policy: &dyn Policy) -> Vec<Outcome> {
        let actions = || episode.samples.iter().flat_map(|s| &s.actions);
        let tokens: Vec<u32> = actions().filter_map(Action::token).collect();
        let payloads: Vec<Vec<f32>> = actions().filter_map(|a| payload(a, policy)).collect();
        let completion = episode.samples.last().map_or(String::new(), |s| self.text(&s.actions));
        let view = View {
            item,
            completion: &completion,
            tokens: &tokens,
            stop: episode.samples.last().map_or(StopReason::Complete, |s| s.stop),
            turns: episode.samples.len(),
            payloads: &payloads,
        };
        self.terms.iter().map(|term| judge(term.verifier.as_ref(), &view)).collect()
    }

    /// Whether the deciding term gave an episode its full mark.
    pub fn is_correct(&self, episode: &Episode) -> bool {
        let full = self.terms[self.correct].verifier.range().1;
        episode.rewards.get(self.correct).and_then(Outcome::value).is_some_and(|value| value >= full)
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
