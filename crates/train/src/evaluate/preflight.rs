//! A look before the rl stage: is there anything to learn from?

use cohort_core::{Group, Memory, Stream, curriculum};
use cohort_env::Split;
use serde::{Deserialize, Serialize};

use crate::{
    error::Error,
    recipe::{Recipe, low::NoSignal},
    run_dir::RunDir,
    sampling::{Actors, Clocks, Sampling},
    stage::record::{self, hold_budget, hold_failures},
    worker::Workers,
    world::World,
};

/// What a few prompts showed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Preflight {
    pub prompts: usize,
    pub completions: usize,
    /// Share of completions that are right.
    pub pass_rate: f64,
    /// Share of groups whose rewards differ at all.
    pub signal: f64,
    /// Share of completions cut at the cap.
    pub truncated: f64,
    /// Share of episodes whose reward failed.
    pub failed: f64,
    pub mean_reward: f64,
    pub mean_length: f64,
}

/// The share of failures that says more than the rest of a look does.
const MOST: f64 = 0.5;

/// Looks at `recipe.preflight.prompts` prompts as they are sampled in the run, and at four times as many when these show no signal.
/// Without any, the run ends or warns, as the recipe says; the warning is returned. Where most rewards failed, that
/// is what ends it, with a sample dumped into `directory`.
pub fn preflight(
    recipe: &Recipe,
    world: &World,
    actors: Actors<'_>,
    workers: Workers,
    directory: &RunDir,
) -> Result<(Preflight, Option<String>), Error> {
    let (mut look, mut groups) = (Preflight::default(), Vec::new());
    for count in [recipe.preflight.prompts, 4 * recipe.preflight.prompts] {
        groups = take(recipe, world, actors, workers, count)?;
        hold_failures(world, directory, &recipe.reward, &groups, 0)?;
        look = Preflight::of(world, &groups);
        if look.signal > 0.0 {
            return Ok((look, None));
        }
    }
    if look.failed > MOST {
        hold_budget(world, directory, recipe.reward.error_budget, &groups, 0)?;
    }
    let (reason, hint) = look.why_nothing(recipe);
    match recipe.preflight.no_signal {
        NoSignal::Stop => Err(Error::NoSignal { reason, hint }),
        NoSignal::Warn => Ok((look, Some(format!("{reason} ({hint})")))),
    }
}

/// Samples and scores `count` prompts.
fn take(
    recipe: &Recipe,
    world: &World,
    actors: Actors<'_>,
    workers: Workers,
    count: usize,
) -> Result<Vec<Group>, Error> {
    let stream = Stream::new(recipe.seed, "preflight");
    let items = world.task.items(Split::Train).len();
    let indices = curriculum::shuffled(items, count.min(items), 1, stream);
    let sampling = Sampling {
        decoding: recipe.rollout.decoding,
        max_actions: recipe.rollout.max_new_tokens,
        stream,
        step: 0,
        policy_version: 0,
        split: Split::Train,
        blocks: recipe.blocks(),
        ledger: None,
    };
    let prompts = world.prompts(Split::Train, &indices);
    let mut groups = sampling.run(world, world.strategy.as_ref(), actors, &prompts, workers, &mut Clocks::default())?;
    let mut comparisons = record::comparisons(&recipe.reward, world, &groups);
    let rule = world.method(&recipe.method).reward;
    rule.apply(&mut comparisons, &mut Memory::default()).map_err(|source| Error::Method { step: 0, source })?;
    record::outcomes(&comparisons, &mut groups);
    Ok(groups)
}

impl Preflight {
    fn of(world: &World, groups: &[Group]) -> Self {
        let episodes: Vec<_> = groups.iter().flat_map(|g| &g.episodes).collect();
        let count = episodes.len().max(1) as f64;
        let share = |n: usize| n as f64 / count;
        let scored: Vec<f64> = episodes.iter().filter_map(|e| e.outcome).collect();
        Self {
            prompts: groups.len(),
            completions: episodes.len(),
            pass_rate: share(episodes.iter().filter(|e| world.is_correct(e)).count()),
            signal: groups.iter().filter(|g| g.has_signal()).count() as f64 / groups.len().max(1) as f64,
            truncated: share(episodes.iter().filter(|e| e.is_truncated()).count()),
            failed: share(episodes.iter().filter(|e| e.rewards.iter().any(|r| r.is_failure())).count()),
            mean_reward: scored.iter().sum::<f64>() / scored.len().max(1) as f64,
            mean_length: share(episodes.iter().map(|e| e.action_count()).sum()),
        }
    }

    /// The cause, and what to do about it.
    fn why_nothing(&self, recipe: &Recipe) -> (String, String) {
        let seen = format!("{} prompts with {} completions", self.prompts, self.completions);
        let cap = recipe.rollout.max_new_tokens;
        if self.failed > MOST {
            let share = 100.0 * self.failed;
            return (
                format!("the reward of {share:.0} % of the completions failed, in {seen}"),
                "look at the verifier and at the columns that it reads".to_owned(),
            );
        }
        if self.pass_rate >= 1.0 {
            return (
                format!("every completion is right already, in {seen}"),
                "take a harder task, or a policy that has something to learn".to_owned(),
            );
        }
        if self.truncated > 0.9 {
            let share = 100.0 * self.truncated;
            return (
                format!(
                    "{share:.0} % of the completions were cut at rollout.max_new_tokens = {cap}, and all rewards are equal, in {seen}"
                ),
                "raise rollout.max_new_tokens, or start from a policy that ends its answers".to_owned(),
            );
        }
        (
            format!("all completions of a prompt get the same reward ({:.3} in the mean), in {seen}", self.mean_reward),
            "start from a policy that is sometimes right, add a reward with partial credit, or raise rollout.group_size".to_owned(),
        )
    }
}
