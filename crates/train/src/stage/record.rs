//! What of a step is written down: its metrics, and one line an episode.

use std::{collections::BTreeSet, sync::Arc};

use cohort_core::{
    Action, Author, Choice, Comparison, Context, Cost, Episode, Fact, Group, Mixture, Outcome, Rows, Sample,
    StopReason,
    advantage::Credit,
    metric::{Metric, Metrics},
};
use cohort_env::Split;
use serde_json::{Map, Value, json};

use super::draw::{Drawn, Fate};
use crate::{
    error::Error,
    recipe::{
        Reward,
        low::{OnFailure, SegmentsSection},
    },
    run_dir::RunDir,
    segments,
    update::Pass,
    world::World,
};

/// Writes the combined rewards, and those of parts that went with them, into the episodes.
pub(crate) fn outcomes(comparisons: &[Comparison], groups: &mut [Group]) {
    for (comparison, group) in comparisons.iter().zip(groups) {
        for trajectory in comparison.trajectories.iter().filter(|t| t.is_member()) {
            let episode = &mut group.episodes[trajectory.episode];
            episode.outcome = trajectory.reward;
            episode.segment_rewards.clone_from(&trajectory.segment_rewards);
        }
    }
}

/// The fact that votes are counted by: the answer that the deciding term reads, or an empty text.
const ANSWER: &str = "answer";

/// What methods see of judged groups, with `reward.on_failure` applied: a term that failed is there as 0 where the recipe says so.
pub(crate) fn comparisons(reward: &Reward, world: &World, groups: &[Group]) -> Vec<Comparison> {
    let terms = world.term_names();
    let mut comparisons: Vec<Comparison> = groups.iter().map(|group| Comparison::of_group(group, &terms)).collect();
    for (comparison, group) in comparisons.iter_mut().zip(groups) {
        let answers: Vec<String> = group.episodes.iter().map(|e| world.answer(e).unwrap_or_default()).collect();
        for trajectory in comparison.trajectories.iter_mut().filter(|t| t.is_member()) {
            trajectory.facts.insert(ANSWER, Fact::Text(answers[trajectory.episode].clone()));
        }
    }
    if let Some(segments) = &reward.segments {
        groups.iter().zip(&mut comparisons).for_each(|(group, comparison)| segment(segments, world, group, comparison));
    }
    for trajectory in comparisons.iter_mut().flat_map(|c| &mut c.trajectories) {
        for (term, outcome) in &mut trajectory.rewards {
            if outcome.is_failure() && reward.on_failure(term) == OnFailure::Zero {
                *outcome = Outcome::scored(0.0);
            }
        }
    }
    comparisons
}

/// Numbers the parts of a group's completions, and gives each its reward. A verdict that is none has told nothing, and its completion no
/// rewards of parts.
fn segment(section: &SegmentsSection, world: &World, group: &Group, comparison: &mut Comparison) {
    for (sample, trajectory) in group.samples().zip(&mut comparison.trajectories) {
        trajectory.segment = segments::of(section.cut, world.codec.as_ref(), sample);
        if !trajectory.segment_rewards.is_empty() {
            // They were dealt out, maybe to another than whom they were told of.
            continue;
        }
        let Some(rewards) = trajectory.facts.list(&section.rewards) else { continue };
        let rewards = if rewards.is_empty() { &[0.0] } else { rewards };
        trajectory.segment_rewards = (0..).zip(rewards.iter().copied()).collect();
    }
}

/// The metrics of a step's groups: rewards and their parts, signal, lengths, and the numbers that strategies record of groups.
pub(super) fn measure(world: &World, groups: &[Group], metrics: &mut Metrics) {
    for group in groups {
        metrics.add("groups/signal", Metric::mean_of(f64::from(group.has_signal())));
        if group.episodes.len() < world.strategy.group_size() {
            metrics.add("groups/short", Metric::Sum(1.0));
        }
        let answers: BTreeSet<String> = group.episodes.iter().filter_map(|e| world.answer(e)).collect();
        if !answers.is_empty() {
            metrics.add("groups/answers", Metric::mean_of(answers.len() as f64));
        }
        for (name, fact) in group.facts.iter() {
            if let Fact::Number(value) = fact {
                metrics.add(&format!("groups/{name}"), Metric::mean_of(*value));
            }
        }
        if group.spent != Cost::default() {
            metrics.add("tokens/prompt", Metric::Sum(group.spent.context_tokens as f64));
            metrics.add("tokens/completion", Metric::Sum(group.spent.sampled_actions as f64));
            metrics.add("tokens/discarded", Metric::Sum(group.spent.sampled_actions as f64));
        }
        for episode in &group.episodes {
            for (term, outcome) in world.terms.iter().zip(&episode.rewards) {
                match outcome.value() {
                    Some(value) => metrics.add(&format!("reward/{}", term.name), Metric::mean_of(value)),
                    None => metrics.add(&format!("reward/{}/{}", term.name, outcome.kind()), Metric::Sum(1.0)),
                }
            }
            if let Some(reward) = episode.outcome {
                metrics.add("reward/mean", Metric::mean_of(reward));
            }
            metrics.add("reward/unscored", Metric::mean_of(f64::from(episode.outcome.is_none())));
            metrics.add("correct", Metric::mean_of(f64::from(world.is_correct(episode))));
            metrics.add("truncated", Metric::mean_of(f64::from(episode.is_truncated())));
            metrics.add("length/mean", Metric::mean_of(episode.action_count() as f64));
            metrics.add("length/max", Metric::Max(episode.action_count() as f64));
            metrics.add("tokens/prompt", Metric::Sum(episode.cost.context_tokens as f64));
            metrics.add("tokens/completion", Metric::Sum(episode.cost.sampled_actions as f64));
        }
    }
}

/// What is written of a step: one line an episode, those of discarded groups among them.
pub(super) struct Lines<'a> {
    pub step: u64,
    pub drawn: &'a Drawn,
    /// Of the trained groups, sample by sample, auxiliary ones after the episodes'.
    pub credits: &'a [Vec<Credit>],
    /// Of the trained groups; without one the sampler's rows are written.
    pub pass: Option<&'a Pass>,
    pub split: Split,
}

impl Lines<'_> {
    pub fn write(&self, world: &World) -> String {
        let mut text = String::new();
        let mut trained = 0;
        for (slot, (group, fate)) in self.drawn.groups.iter().zip(&self.drawn.fates).enumerate() {
            let place = (*fate == Fate::Trained).then_some(trained);
            trained += usize::from(place.is_some());
            let mut next = 0;
            for (member, one) in group.episodes.iter().enumerate() {
                let mut line = episode(world, self.step, group, one, self.split);
                let Value::Object(fields) = &mut line else { continue };
                fields.insert("slot".to_owned(), json!(slot));
                fields.insert("episode".to_owned(), json!(member));
                let drawn = self.drawn.origin(slot, member);
                if drawn != (slot, member) {
                    fields.insert("drawn".to_owned(), json!(drawn));
                }
                if member == 0 && group.spent != Cost::default() {
                    fields.insert("spent".to_owned(), json!(group.spent));
                }
                if *fate != Fate::Trained {
                    fields.insert("discarded".to_owned(), json!(fate.word()));
                }
                let prompt = &world.item(self.split, group.key).context;
                let samples = one.samples.iter().map(|sample| {
                    next += 1;
                    self.sample(world, prompt, sample, place, next - 1)
                });
                fields.insert("samples".to_owned(), samples.collect());
                if member == 0 && !group.auxiliary.is_empty() {
                    let first = group.episodes.iter().map(|e| e.samples.len()).sum::<usize>();
                    let beside = group.auxiliary.iter().enumerate();
                    let beside = beside.map(|(i, a)| self.sample(world, prompt, &a.sample, place, first + i));
                    fields.insert("auxiliary".to_owned(), beside.collect());
                }
                let last = place.and_then(|g| self.credits[g].get(next.wrapping_sub(1)));
                fields.insert("advantage".to_owned(), json!(last.and_then(|c| c.coefficient.first())));
                text.push_str(&line.to_string());
                text.push('\n');
            }
        }
        text
    }

    /// Sample `i` of the group that was trained in `place`, if it was.
    fn sample(&self, world: &World, prompt: &Context, sample: &Sample, place: Option<usize>, i: usize) -> Value {
        let Some(g) = place else { return trained(world, prompt, sample, &[], &sample.behaviour, None) };
        let rows = self.pass.map_or(&sample.behaviour, |pass| &pass.rows[g][i]);
        let d_logp = self.pass.map(|pass| pass.row_gradients[g][i].logp.as_slice());
        trained(world, prompt, sample, &self.credits[g][i].coefficient, rows, d_logp)
    }
}

/// What is known of an episode before training: prompt, completion, verdicts.
pub(super) fn episode(world: &World, step: u64, group: &Group, episode: &Episode, split: Split) -> Value {
    let item = world.item(split, group.key);
    let rewards: Map<String, Value> =
        world.terms.iter().zip(&episode.rewards).map(|(term, outcome)| (term.name.clone(), json!(outcome))).collect();
    let last = episode.samples.last();
    let mut line = json!({
        "step": step,
        "key": group.key,
        "origin": item.origin.to_string(),
        "prompt": item.prompt,
        "completion": last.map_or(String::new(), |s| world.completion(s)),
        "stop": last.map(|s| s.stop),
        "correct": world.is_correct(episode),
        "rewards": rewards,
        "reward": episode.outcome,
        "cost": episode.cost,
    });
    if !episode.segment_rewards.is_empty() {
        line["segment_rewards"] = json!(episode.segment_rewards);
    }
    if !episode.facts.is_empty() {
        line["facts"] = json!(episode.facts);
    }
    line
}

fn trained(
    world: &World,
    prompt: &Context,
    sample: &Sample,
    coefficient: &[f64],
    rows: &Rows,
    d_logp: Option<&[f64]>,
) -> Value {
    // Rows are f32 in f64's clothes; what is written need not be longer than what was computed.
    let short = |column: &[f64]| column.iter().map(|&x| x as f32).collect::<Vec<_>>();
    let mut value = json!({
        "context_tokens": sample.scored_context().token_count(),
        "tokens": sample.tokens().collect::<Vec<_>>(),
        "text": world.text(&sample.actions),
        "stop": sample.stop,
        "policy_version": sample.policy_version,
        "coefficient": short(coefficient.get(..1).unwrap_or_default()),
        "logp": short(&rows.logp),
        "entropy": short(&rows.entropy),
        "d_logp": d_logp.map(short),
    });
    if sample.sampled_under != *prompt {
        value["context"] = json!(world.context_text(&sample.sampled_under));
    }
    if let Some(scored) = &sample.scored_under {
        value["scored_under"] = json!(world.context_text(scored));
    }
    let segments: Vec<u32> = sample.actions.iter().map(|a| a.segment).collect();
    match segments.first() {
        Some(first) if segments.iter().any(|segment| segment != first) => value["segments"] = json!(segments),
        Some(first) if *first > 0 => value["segments"] = json!([first]),
        _ => {}
    }
    if sample.is_from_outside() {
        value["behaviour_logp"] = json!(short(&sample.behaviour.logp));
    }
    if let Some(truncated) = &sample.truncated_logp {
        value["truncated_logp"] = json!(short(truncated));
    }
    if let Some(mixtures) = &sample.mixtures {
        let of =
            |mixture: &Arc<Mixture>| mixture.ids().iter().copied().zip(mixture.weights().iter().copied()).collect();
        let mixtures: Vec<Option<Vec<(u32, f32)>>> = mixtures.iter().map(|mixture| mixture.as_ref().map(of)).collect();
        value["mixtures"] = json!(mixtures);
    }
    if let StopReason::Text(stop) = sample.stop {
        value["stop_text"] = json!(world.controls.stop_texts.get(stop as usize));
    }
    let others: Vec<(usize, Author)> = sample
        .actions
        .iter()
        .enumerate()
        .filter(|(_, a)| a.author != Author::Policy)
        .map(|(i, a)| (i, a.author))
        .collect();
    if !others.is_empty() {
        value["authors"] = json!(others);
    }
    let choices: Vec<&Choice> =
        sample.actions.iter().filter(|a| a.token().is_none()).map(|a: &Action| &a.choice).collect();
    if !choices.is_empty() {
        value["choices"] = json!(choices);
    }
    if coefficient.iter().any(|c| Some(c) != coefficient.first()) {
        value["coefficient"] = json!(short(coefficient));
    }
    value
}

/// A whole batch, for a dump.
pub(super) fn batch(world: &World, step: u64, groups: &[Group], split: Split) -> Value {
    let episodes = groups.iter().flat_map(|g| g.episodes.iter().map(move |e| episode(world, step, g, e, split)));
    json!({ "step": step, "episodes": episodes.collect::<Vec<_>>() })
}

/// An outcome in words.
fn describe(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Scored { value } => format!("scored {value}"),
        Outcome::Abstain => "abstained".to_owned(),
        Outcome::Timeout => "outlived its time".to_owned(),
        Outcome::Error { reason } => reason.clone(),
    }
}

/// Ends the run at a failure of a term that the recipe says so of. The sample is dumped.
pub(crate) fn hold_failures(
    world: &World,
    directory: &RunDir,
    reward: &Reward,
    groups: &[Group],
    step: u64,
) -> Result<(), Error> {
    let episodes = groups.iter().flat_map(|g| g.episodes.iter().map(move |e| (g, e)));
    let mut verdicts = episodes.flat_map(|(g, e)| world.terms.iter().zip(&e.rewards).map(move |(t, r)| (g, e, t, r)));
    let found = verdicts.find(|(.., t, r)| r.is_failure() && reward.on_failure(&t.name) == OnFailure::Abort);
    let Some((group, failed, term, outcome)) = found else { return Ok(()) };
    let sample = episode(world, step, group, failed, Split::Train);
    let dump = directory.dump(&format!("step-{step:06}-reward"), &sample)?;
    let origin = world.item(Split::Train, group.key).origin.to_string();
    Err(Error::RewardFailed { step, term: term.name.clone(), origin, what: describe(outcome), dump })
}

/// Ends the run when more than a share `budget` of the episodes have a reward that failed. The first of them is dumped.
pub(crate) fn hold_budget(
    world: &World,
    directory: &RunDir,
    budget: f64,
    groups: &[Group],
    step: u64,
) -> Result<(), Error> {
    let episodes = || groups.iter().flat_map(|g| g.episodes.iter().map(move |e| (g, e)));
    let failed = |e: &Episode| e.rewards.iter().any(Outcome::is_failure);
    let count = episodes().filter(|(_, e)| failed(e)).count();
    let total = episodes().count();
    if count as f64 <= budget * total as f64 {
        return Ok(());
    }
    let Some((group, first)) = episodes().find(|(_, e)| failed(e)) else { return Ok(()) };
    let sample = episode(world, step, group, first, Split::Train);
    let dump = directory.dump(&format!("step-{step:06}-reward"), &sample)?;
    let verdict = world.terms.iter().zip(&first.rewards).find(|(_, r)| r.is_failure());
    let first = verdict.map_or(String::new(), |(term, outcome)| format!("`{}`: {}", term.name, describe(outcome)));
    Err(Error::RewardBudget { step, failed: count, episodes: total, percent: 100.0 * budget, first, dump })
}
