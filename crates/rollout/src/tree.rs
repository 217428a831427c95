//! A tree that branches where the policy is uncertain, and keeps what goes another way.

use std::sync::Arc;

use cohort_core::{
    Action, Alternative, Controls, Cost, Decoding, Dice, Episode, Fact, Group, PolicyError, Request, StopReason,
    distance::levenshtein,
};
use serde::{Deserialize, Serialize};

use crate::{Ask, Desk, Independent, Prompt, Strategy, config::Fault, splice::Splice};

/// A share of the group comes from a tree of greedy branches, the rest is drawn independently.
///
/// A branch takes the most probable token; another of the `top` most probable ones begins a branch of its own where
/// `branch_at` says so. A branch that comes to look like the one that it left is pruned.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TreeConfig {
    /// The share of the group that comes from the tree: `[[step, share], ..]`, each from its step on, in rising order.
    pub share: Vec<(u32, f64)>,
    /// How many of the most probable tokens are looked at; at least 2.
    #[serde(default = "two")]
    pub top: usize,
    /// Where a branch begins.
    pub branch_at: BranchAt,
    /// Which branches are given up; none unless told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prune: Option<Prune>,
    /// The tree grows for at most so many tokens; then its branches are sampled to their ends.
    pub until: usize,
}

fn two() -> usize {
    2
}

/// Where a branch begins.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum BranchAt {
    /// At a token more probable than `above` and less than `within` behind the most probable one.
    Uncertain {
        /// In [0, 1].
        above: f64,
        /// In (0, 1].
        within: f64,
    },
    /// Anywhere with this probability, for a control.
    Random {
        /// In (0, 1].
        rate: f64,
    },
}

/// A branch is given up, with all that left it, when it is `ages` tokens old and so far as near to the branch that it left:
/// Levenshtein distance of their tokens at the same positions over the age below `below`. Not where one of the two has ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Prune {
    /// Tokens since the branch began, rising.
    pub ages: Vec<usize>,
    /// In (0, 1].
    pub below: f64,
}

impl TreeConfig {
    pub(crate) fn check(&self, temperature: f32) -> Result<(), Fault> {
        let unit = |x: f64| x > 0.0 && x <= 1.0;
        let fault = |key: &str, problem: &str| Err(Fault::at(format!("tree.{key}"), problem));
        if self.share.is_empty()
            || !self.share.is_sorted_by(|a, b| a.0 < b.0)
            || self.share.iter().any(|(_, share)| !(0.0..=1.0).contains(share))
        {
            return fault("share", "must list steps in rising order, each with a share in [0, 1]");
        }
        if self.top < 2 {
            return fault("top", "must be at least 2: the most probable token, and another");
        }
        match self.branch_at {
            BranchAt::Uncertain { above, within } if !((0.0..=1.0).contains(&above) && unit(within)) => {
                return fault("branch_at.uncertain", "must have above in [0, 1] and within in (0, 1]");
            }
            BranchAt::Random { rate } if !unit(rate) => return fault("branch_at.random.rate", "must lie in (0, 1]"),
            BranchAt::Uncertain { .. } | BranchAt::Random { .. } => {}
        }
        if let Some(Prune { ages, below }) = &self.prune
            && (ages.is_empty() || ages[0] == 0 || !ages.is_sorted_by(|a, b| a < b) || !unit(*below))
        {
            return fault("prune", "must have rising ages of at least 1, and below in (0, 1]");
        }
        if self.until == 0 {
            return fault("until", "must be at least 1");
        }
        if temperature != 1.0 {
            return fault("share", "wants rollout.temperature = 1: its branches are scored as the policy is");
        }
        Ok(())
    }

    pub(crate) fn build(&self, members: Independent) -> Tree {
        Tree { config: self.clone(), members }
    }

    /// Branches of a group of `group_size` at `step`: `round(share * group_size)`.
    fn capacity(&self, step: u32, group_size: usize) -> usize {
        let share = self.share.iter().rev().find(|(from, _)| *from <= step).map_or(0.0, |(_, share)| *share);
        (share * group_size as f64).round() as usize
    }

    fn oldest_check(&self) -> usize {
        self.prune.as_ref().and_then(|prune| prune.ages.last().copied()).unwrap_or(0)
    }

    /// Tokens that branches grow by in one call of the sampler.
    fn stride(&self) -> usize {
        self.prune.as_ref().map_or(8, |prune| prune.ages[0])
    }
}

/// The strategy of [`TreeConfig`] (LATR: Lookahead Tree-Based Rollouts).
///
/// The tree of a prompt holds at most `K = round(share * group_size)` branches at any time; where more would begin at one
/// position, the more probable ones do, and a branch is never given up for another. It stops growing when it is full and
/// every branch is older than the last of `ages`, when all have ended, or after `until` tokens; what has not ended then is sampled to
/// its end. Whether it is full is looked at every `ages[0]` tokens. The rest of the group, and what the tree did not
/// fill, is drawn independently.
///
/// Tokens of pruned branches are counted in [`Group::spent`]. An episode of the tree has the facts `branch` and `born` (the position at
/// which it left its parent) and, unless it is the root, `parent`; the group has `branches` and `pruned`.
#[derive(Clone, Debug)]
pub struct Tree {
    pub config: TreeConfig,
    pub members: Independent,
}

/// A way from the root, alive or pruned.
struct Branch {
    splice: Splice,
    parent: Option<usize>,
    /// Actions that it shares with its parent.
    born: usize,
    ended: bool,
    pruned: bool,
}

/// The tree of one prompt.
struct Grown {
    branches: Vec<Branch>,
    capacity: usize,
    done: bool,
}

impl Grown {
    fn alive(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.branches.len()).filter(|&b| !self.branches[b].pruned)
    }

    fn len(&self, branch: usize) -> usize {
        self.branches[branch].splice.len()
    }

    /// The branches that begin at position `at`, where there is room for them.
    fn sprout(&mut self, at: usize, branch_at: BranchAt, controls: &Controls, dice: Dice) {
        let mut wanted: Vec<(usize, Alternative)> = Vec::new();
        for branch in self.alive() {
            let Branch { splice, born, parent, .. } = &self.branches[branch];
            // A branch's own positions; the root's are all.
            let first = born + usize::from(parent.is_some());
            if at < first || at >= splice.len() {
                continue;
            }
            let Some(alternatives) = splice.sample().alternatives.as_ref().and_then(|all| all.get(at)) else {
                continue;
            };
            let Some((best, others)) = alternatives.split_first() else { continue };
            let begins = |rank: usize, other: Alternative| match branch_at {
                BranchAt::Uncertain { above, within } => {
                    let probability = other.probability();
                    probability > above && best.probability() - probability < within
                }
                BranchAt::Random { rate } => dice.advanced(branch * 8 + rank).uniform(at * 4096) < rate,
            };
            let may = others.iter().copied().enumerate().filter(|(_, other)| !controls.forbidden.contains(&other.id));
            wanted.extend(may.filter(|(rank, other)| begins(*rank, *other)).map(|(_, other)| (branch, other)));
        }
        wanted.sort_by(|a, b| b.1.logp.total_cmp(&a.1.logp));
        wanted.truncate(self.capacity.saturating_sub(self.alive().count()));
        for (parent, Alternative { id, logp }) in wanted {
            let of = self.branches[parent].splice.sample();
            let (entropy, here) = (of.behaviour.entropy[at], of.alternatives.as_ref().map(|all| all[at].clone()));
            let stop = if controls.stop.contains(&id) { StopReason::End(id) } else { StopReason::Length };
            let splice = Splice::of(of, at).push(Action::sampled(id), f64::from(logp), entropy, here, stop);
            let ended = stop != StopReason::Length;
            self.branches.push(Branch { splice, parent: Some(parent), born: at, ended, pruned: false });
        }
    }

    /// Gives up what looks like its parent at `length` tokens.
    fn prune(&mut self, length: usize, prune: &Prune) {
        for branch in 0..self.branches.len() {
            let Branch { parent: Some(parent), born, pruned: false, .. } = self.branches[branch] else { continue };
            if !prune.ages.contains(&(length - born.min(length))) {
                continue;
            }
            let tokens = |b: usize| -> Option<Vec<u32>> {
                let Branch { splice, ended, .. } = &self.branches[b];
                // One that has ended within the stretch is compared with nothing.
                (splice.len() > length || (splice.len() == length && !ended))
                    .then(|| splice.sample().tokens().take(length).skip(born).collect())
            };
            let (Some(own), Some(other)) = (tokens(branch), tokens(parent)) else { continue };
            if (levenshtein(&own, &other) as f64) < prune.below * own.len() as f64 {
                self.give_up(branch);
            }
        }
    }

    /// Gives up a branch and all that left it.
    fn give_up(&mut self, branch: usize) {
        self.branches[branch].pruned = true;
        // Children come after their parents.
        for child in branch + 1..self.branches.len() {
            if self.branches[child].parent.is_some_and(|parent| self.branches[parent].pruned) {
                self.branches[child].pruned = true;
            }
        }
    }

    /// Whether it grows no more, at `length` tokens.
    fn is_grown(&self, length: usize, oldest_check: usize) -> bool {
        let (alive, ended) =
            self.alive().fold((0, 0), |(alive, ended), b| (alive + 1, ended + usize::from(self.branches[b].ended)));
        let are_old = self.alive().all(|b| self.branches[b].ended || length >= self.branches[b].born + oldest_check);
        alive == ended || (alive >= self.capacity && are_old)
    }
}

impl Tree {
    /// Lets all unfinished branches of all trees grow to `length`, greedily.
    fn grow(
        &self,
        trees: &mut [Grown],
        length: usize,
        ask: &Ask,
        prompts: &[Prompt],
        desk: Desk<'_>,
    ) -> Result<(), PolicyError> {
        let mut requests: Vec<Request> = Vec::new();
        let mut of: Vec<(usize, usize)> = Vec::new();
        for (t, tree) in trees.iter().enumerate().filter(|(_, tree)| !tree.done) {
            for branch in tree.alive().filter(|&b| !tree.branches[b].ended && tree.len(b) < length) {
                let controls = self.greedy(ask, desk, length - tree.len(branch));
                let context = tree.branches[branch].splice.context();
                requests.push(ask.request(&prompts[t], 0, 0, context, controls));
                of.push((t, branch));
            }
        }
        for ((t, branch), sample) in of.into_iter().zip(desk.sampler.sample(&requests)?) {
            let branch = &mut trees[t].branches[branch];
            branch.ended = sample.stop != StopReason::Length;
            branch.splice = branch.splice.clone().then(sample);
        }
        Ok(())
    }

    /// The trees of all prompts, grown together.
    fn trees(&self, capacity: usize, prompts: &[Prompt], ask: &Ask, desk: Desk<'_>) -> Result<Vec<Grown>, PolicyError> {
        let cap = desk.turns.controls(0, &ask.controls).max_actions;
        let (until, stride) = (self.config.until.min(cap), self.config.stride());
        let first =
            |p: &Prompt| ask.request(p, 0, 0, desk.turns.open(&p.context), self.greedy(ask, desk, stride.min(until)));
        let roots = desk.sampler.sample(&prompts.iter().map(first).collect::<Vec<_>>())?;
        let mut trees: Vec<Grown> = roots
            .into_iter()
            .map(|root| {
                let (ended, splice) = (root.stop != StopReason::Length, Splice::of(&root, root.actions.len()));
                let root = Branch { splice, parent: None, born: 0, ended, pruned: false };
                Grown { branches: vec![root], capacity, done: false }
            })
            .collect();
        let mut length = 0;
        let controls = desk.turns.controls(0, &ask.controls);
        while length < until && trees.iter().any(|tree| !tree.done) {
            let next = (length + stride).min(until);
            self.grow(&mut trees, next, ask, prompts, desk)?;
            for at in length..next {
                let mut has_grown = false;
                for (tree, prompt) in trees.iter_mut().zip(prompts).filter(|(tree, _)| !tree.done) {
                    let before = tree.branches.len();
                    let dice = ask.stream.dice(ask.step, prompt.slot, self.members.group_size as u32);
                    tree.sprout(at, self.config.branch_at, &controls, dice);
                    has_grown |= tree.branches.len() > before;
                }
                if has_grown {
                    self.grow(&mut trees, next, ask, prompts, desk)?;
                }
                if let Some(prune) = &self.config.prune {
                    trees.iter_mut().filter(|tree| !tree.done).for_each(|tree| tree.prune(at + 1, prune));
                }
            }
            length = next;
            let oldest_check = self.config.oldest_check();
            trees.iter_mut().for_each(|tree| tree.done |= tree.is_grown(length, oldest_check));
        }
        Ok(trees)
    }

    fn greedy(&self, ask: &Ask, desk: Desk<'_>, max_actions: usize) -> Arc<Controls> {
        let controls = desk.turns.controls(0, &ask.controls);
        Arc::new(Controls {
            decoding: Decoding::Greedy,
            max_actions,
            alternatives: self.config.top,
            ..Controls::clone(&controls)
        })
    }
}

impl Strategy for Tree {
    fn roll(&self, prompts: &[Prompt], ask: &Ask, desk: Desk<'_>) -> Result<Vec<Group>, PolicyError> {
        let capacity = self.config.capacity(ask.step, self.members.group_size);
        if capacity == 0 {
            return self.members.roll(prompts, ask, desk);
        }
        let mut trees = self.trees(capacity, prompts, ask, desk)?;
        // What has not ended is sampled to its end.
        let controls = desk.turns.controls(0, &ask.controls);
        let (mut requests, mut of): (Vec<Request>, Vec<(usize, usize)>) = (Vec::new(), Vec::new());
        for (t, tree) in trees.iter().enumerate() {
            for (member, branch) in tree.alive().enumerate() {
                let Branch { splice, ended, .. } = &tree.branches[branch];
                let left = controls.max_actions.saturating_sub(splice.len());
                if *ended || left == 0 {
                    continue;
                }
                let controls = Arc::new(Controls { max_actions: left, ..Controls::clone(&controls) });
                requests.push(ask.request(&prompts[t], member as u32, splice.len(), splice.context(), controls));
                of.push((t, branch));
            }
        }
        for ((t, branch), sample) in of.into_iter().zip(desk.sampler.sample(&requests)?) {
            let splice = &mut trees[t].branches[branch].splice;
            *splice = splice.clone().then(sample);
        }
        let filled: Vec<u32> = trees.iter().map(|tree| tree.alive().count() as u32).collect();
        let rest = self.members.episodes(prompts, &filled, ask, desk)?;
        Ok(prompts.iter().zip(trees).zip(rest).map(|((prompt, tree), rest)| group(prompt, tree, rest)).collect())
    }

    fn group_size(&self) -> usize {
        self.members.group_size
    }
}

/// The living branches, then the independent episodes.
fn group(prompt: &Prompt, tree: Grown, rest: Vec<Episode>) -> Group {
    let mut group = Group::of_episodes(prompt.key, Vec::new());
    let number = |x: usize| Fact::Number(x as f64);
    let pruned = tree.branches.iter().filter(|branch| branch.pruned).count();
    group.facts.insert("branches", number(tree.branches.len() - pruned));
    group.facts.insert("pruned", number(pruned));
    for (index, Branch { splice, parent, born, pruned, .. }) in tree.branches.into_iter().enumerate() {
        let mut sample = splice.done();
        // Its parent's actions are counted there; the prompt is read once.
        let own = (sample.actions.len() - born) as u64;
        let read = if parent.is_none() { sample.sampled_under.token_count() as u64 } else { 0 };
        let cost = Cost { context_tokens: read, sampled_actions: own, calls: 0 };
        if pruned {
            group.spent += cost;
            continue;
        }
        sample.alternatives = None;
        sample.scored_under.clone_from(&prompt.scored);
        let mut episode = Episode { cost, ..Episode::of_samples(vec![sample]) };
        episode.facts.insert("branch", number(index));
        episode.facts.insert("born", number(born));
        if let Some(parent) = parent {
            episode.facts.insert("parent", number(parent));
        }
        group.episodes.push(episode);
    }
    group.episodes.extend(rest);
    group
}
