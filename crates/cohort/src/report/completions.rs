//! The completions that are worth reading: best, worst and random ones of the last third of a run.

use std::{cmp::Ordering, collections::BTreeMap, path::Path};

use cohort_core::{Outcome, StopReason};
use serde::Deserialize;

use super::data::{Line, RunError, each_line};

/// An episode as `rollouts.jsonl` tells of it, without its rows.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct EpisodeLine {
    pub step: u64,
    #[serde(default)]
    pub slot: usize,
    #[serde(default)]
    pub episode: usize,
    #[serde(default)]
    pub origin: String,
    pub prompt: String,
    pub completion: String,
    #[serde(default)]
    pub stop: Option<StopReason>,
    #[serde(default)]
    pub correct: Option<bool>,
    #[serde(default)]
    pub rewards: BTreeMap<String, Outcome>,
    /// Absent where a term failed.
    #[serde(default)]
    pub reward: Option<f64>,
    #[serde(default)]
    pub advantage: Option<f64>,
}

/// Why an episode was picked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    Best,
    Worst,
    Random,
    Unscored,
}

/// Episodes picked from a run. The same file gives the same picks.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Picks {
    pub best: Vec<EpisodeLine>,
    pub worst: Vec<EpisodeLine>,
    pub random: Vec<EpisodeLine>,
    /// Episodes without a reward, because a term of it failed or said nothing.
    pub unscored: Vec<EpisodeLine>,
    /// Steps that were picked from; absent without an episode.
    pub steps: Option<(u64, u64)>,
    /// Lines that could not be read.
    pub broken: usize,
}

/// Episodes of each kind.
const EACH: usize = 3;

/// Picks from the last third of the steps up to `last_step`.
pub fn pick(rollouts: &Path, last_step: u64) -> Result<Picks, RunError> {
    #[derive(Deserialize)]
    struct Step {
        step: u64,
    }
    let from = last_step - last_step.div_ceil(3).min(last_step) + 1;
    let mut shelves = [Why::Best, Why::Worst, Why::Random, Why::Unscored].map(Shelf::new);
    let mut steps: Option<(u64, u64)> = None;
    let broken = each_line(rollouts, |line| {
        // Most lines of a long run are too early: their rows are not worth reading.
        let Ok(Step { step }) = serde_json::from_str(line) else { return Line::Broken };
        if step < from {
            return Line::Read;
        }
        let Ok(episode) = serde_json::from_str::<EpisodeLine>(line) else { return Line::Broken };
        steps = Some(steps.map_or((step, step), |(first, last)| (first.min(step), last.max(step))));
        shelves.iter_mut().for_each(|shelf| shelf.offer(&episode));
        Line::Read
    })?;
    let [best, worst, random, unscored] = shelves;
    let mut taken = Vec::new();
    let mut take = |shelf: Shelf| {
        let fresh = shelf.held.into_iter().filter(|(_, e)| !taken.contains(&place(e)));
        let chosen: Vec<EpisodeLine> = fresh.map(|(_, e)| e).take(EACH).collect();
        taken.extend(chosen.iter().map(place));
        chosen
    };
    let (unscored, best, worst, random) = (take(unscored), take(best), take(worst), take(random));
    Ok(Picks { best, worst, random, unscored, steps, broken })
}

fn place(e: &EpisodeLine) -> (u64, usize, usize) {
    (e.step, e.slot, e.episode)
}

/// The foremost episodes by one order.
struct Shelf {
    why: Why,
    held: Vec<((f64, u64), EpisodeLine)>,
}

impl Shelf {
    /// Enough that other shelves can take theirs away.
    const ROOM: usize = 4 * EACH;

    fn new(why: Why) -> Self {
        Self { why, held: Vec::new() }
    }

    fn offer(&mut self, episode: &EpisodeLine) {
        let Some(first) = self.rank(episode) else { return };
        // Each shelf scatters anew: else the best, taken first, would be missing among the random ones.
        let rank = (first, scatter(self.why as u64, place(episode)));
        let order = |a: &(f64, u64), b: &(f64, u64)| -> Ordering { a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)) };
        let at = self.held.partition_point(|(held, _)| order(held, &rank) == Ordering::Less);
        if at < Self::ROOM {
            self.held.insert(at, (rank, episode.clone()));
            self.held.truncate(Self::ROOM);
        }
    }

    /// Smaller is further to the front; `None` does not belong here. Equals are told apart by their scattered places.
    fn rank(&self, episode: &EpisodeLine) -> Option<f64> {
        match (self.why, episode.reward) {
            (Why::Best, Some(reward)) => Some(-reward),
            (Why::Worst, Some(reward)) => Some(reward),
            (Why::Random, Some(_)) | (Why::Unscored, None) => Some(0.0),
            (Why::Unscored, Some(_)) | (_, None) => None,
        }
    }
}

/// A number that looks random and is the same for the same episode (the finalizer of SplitMix64).
fn scatter(salt: u64, (step, slot, episode): (u64, usize, usize)) -> u64 {
    let mut z = (step + (salt << 48)).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ ((slot as u64) << 20) ^ episode as u64;
    for (shift, factor) in [(30, 0xbf58_476d_1ce4_e5b9_u64), (27, 0x94d0_49bb_1331_11eb)] {
        z = (z ^ (z >> shift)).wrapping_mul(factor);
    }
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn rollouts(rewards: impl Fn(u64, usize) -> Option<f64>, steps: u64) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut text = String::new();
        for step in 1..=steps {
            for episode in 0..8 {
                let line = json!({ "step": step, "slot": steps, "episode": episode, "prompt": "p", "completion": "c",
                    "reward": rewards(step, episode), "samples": [] });
                text.push_str(&format!("{line}\n"));
            }
        }
        std::fs::write(file.path(), text + "{\"step\": 9, \"torn").unwrap();
        file
    }

    #[test]
    fn picks_are_of_the_last_third_ordered_and_not_repeated() {
        let file = rollouts(|step, episode| Some(step as f64 + 0.1 * episode as f64), 9);
        let picks = pick(file.path(), 9).unwrap();
        assert_eq!(picks.steps, Some((7, 9)));
        assert_eq!(picks.broken, 1);
        let rewards = |of: &[EpisodeLine]| of.iter().map(|e| e.reward.unwrap()).collect::<Vec<_>>();
        assert_eq!(rewards(&picks.best), [9.7, 9.6, 9.5]);
        assert_eq!(rewards(&picks.worst), [7.0, 7.1, 7.2]);
        assert_eq!(picks.random.len(), 3);
        assert!(picks.random.iter().all(|e| !picks.best.contains(e) && !picks.worst.contains(e)));
        assert_eq!(picks, pick(file.path(), 9).unwrap(), "the same file gives the same picks");
    }

    #[test]
    fn random_ones_are_as_good_as_all_are() {
        // Half of all are best, a few are worst, the rest lie between.
        let reward = |_, episode: usize| Some(if episode == 0 { 0.0 } else { 1.0 + (episode % 2) as f64 });
        let mut best = 0;
        for steps in 10..110 {
            let file = rollouts(reward, steps);
            best += pick(file.path(), steps).unwrap().random.iter().filter(|e| e.reward == Some(2.0)).count();
        }
        assert!((100..200).contains(&best), "{best} of 300");
    }

    #[test]
    fn an_episode_without_a_reward_is_neither_best_nor_worst() {
        let file = rollouts(|_, episode| (episode > 0).then_some(0.0), 1);
        let picks = pick(file.path(), 1).unwrap();
        assert_eq!(picks.unscored.len(), 1);
        assert!(picks.best.iter().chain(&picks.worst).chain(&picks.random).all(|e| e.reward.is_some()));
        assert_eq!(picks.best.len() + picks.worst.len() + picks.random.len(), 7);
    }

    #[test]
    fn no_rollouts_no_picks() {
        let picks = pick(Path::new("/nonexistent/rollouts.jsonl"), 0).unwrap();
        assert_eq!(picks, Picks::default());
    }
}
