//! Verdicts that were already given, and samples that cannot be drawn again.
//!
//! A step that was begun and not committed is redone, and its samples come out the same. Its verdicts need
//! not: a verifier may depend on a clock. So the verdicts that `rollouts.jsonl` holds beyond the committed
//! length are kept when it is cut, and a redone episode takes its own back. Nor do samples come out the same that a
//! server drew: these are taken back too.

use std::{
    collections::HashMap,
    fs,
    io::{self, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use cohort_core::{Action, Episode, Facts, Group, Outcome, StopReason};
use serde::Deserialize;

use crate::{checkpoint::replace, error::Error, outside::Recorded, world::Term};

/// Verdicts by step, slot and episode.
#[derive(Default)]
pub struct Ledger {
    entries: HashMap<(u64, usize, usize), Entry>,
}

struct Entry {
    tokens: Vec<Vec<u32>>,
    rewards: HashMap<String, Outcome>,
    facts: Facts,
    /// All samples of the episode, where a sampler outside this process drew them.
    outside: Option<Vec<Recorded>>,
}

/// A line of `rollouts.jsonl`, as far as it matters here.
#[derive(Deserialize)]
struct Line {
    step: u64,
    slot: usize,
    episode: usize,
    /// Slot and episode that it was drawn in, where it was joined to another group.
    drawn: Option<(usize, usize)>,
    rewards: HashMap<String, Outcome>,
    #[serde(default)]
    facts: Facts,
    samples: Vec<LineSample>,
}

#[derive(Deserialize)]
struct LineSample {
    tokens: Vec<u32>,
    stop: Option<StopReason>,
    policy_version: Option<u64>,
    behaviour_logp: Option<Vec<f32>>,
}

impl LineSample {
    fn recorded(&self) -> Option<Recorded> {
        let logp = self.behaviour_logp.clone().filter(|logp| logp.len() == self.tokens.len())?;
        Some(Recorded { tokens: self.tokens.clone(), logp, stop: self.stop?, policy_version: self.policy_version? })
    }
}

impl Ledger {
    /// Collects the uncommitted verdicts of a run directory, before its logs are cut to `committed` bytes. They
    /// are put into a file of their own first, so that a second crash does not lose them.
    pub fn collect(directory: &Path, committed: u64) -> Result<Self, Error> {
        let rollouts = directory.join("rollouts.jsonl");
        let mut text = read_from(&kept_path(directory), 0)?;
        text.push_str(&read_from(&rollouts, committed)?);
        if text.is_empty() {
            return Ok(Self::default());
        }
        replace(&kept_path(directory), text.as_bytes()).map_err(Error::io(rollouts.display().to_string()))?;
        Ok(Self::parse(&text))
    }

    /// A half-written last line is no verdict.
    fn parse(text: &str) -> Self {
        let lines = text.lines().filter_map(|line| serde_json::from_str::<Line>(line).ok());
        let entry = |line: Line| {
            let outside = line.samples.iter().map(LineSample::recorded).collect();
            let tokens = line.samples.into_iter().map(|s| s.tokens).collect();
            let (slot, episode) = line.drawn.unwrap_or((line.slot, line.episode));
            ((line.step, slot, episode), Entry { tokens, rewards: line.rewards, facts: line.facts, outside })
        };
        Self { entries: lines.map(entry).collect() }
    }

    /// Gives the episodes of a redone step the verdicts they had; the groups are those from slot `first` on.
    pub fn recall(&self, step: u64, terms: &[Term], first: usize, groups: &mut [Group]) {
        for (slot, group) in (first..).zip(groups) {
            for (member, episode) in group.episodes.iter_mut().enumerate() {
                let Some(entry) = self.entries.get(&(step, slot, member)) else { continue };
                let recorded: Option<Vec<Outcome>> =
                    terms.iter().map(|t| entry.rewards.get(&t.name).cloned()).collect();
                if let Some(recorded) = recorded.filter(|_| entry.tokens == tokens_of(episode)) {
                    episode.rewards = recorded;
                    // What strategies recorded is recorded anew.
                    let told = |name: &str| terms.iter().any(|term| term.facts.contains_key(name));
                    let facts = entry.facts.iter().filter(|(name, _)| told(name));
                    facts.for_each(|(name, fact)| episode.facts.insert(name, fact.clone()));
                }
            }
        }
    }

    /// The samples of `step` that a sampler outside this process drew: slot, episode, and its samples in their order.
    pub fn samples(&self, step: u64) -> impl Iterator<Item = (usize, usize, &[Recorded])> {
        let of_step = self.entries.iter().filter(move |((at, ..), _)| *at == step);
        of_step.filter_map(|(&(_, slot, episode), entry)| Some((slot, episode, entry.outside.as_deref()?)))
    }

    /// Forgets the file: every verdict in it belongs to a committed step now.
    pub fn discard(directory: &Path) -> Result<(), Error> {
        match fs::remove_file(kept_path(directory)) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(Error::io("cannot remove the kept verdicts")(e)),
            _ => Ok(()),
        }
    }
}

fn kept_path(directory: &Path) -> PathBuf {
    directory.join("verdicts.jsonl")
}

fn read_from(path: &Path, offset: u64) -> Result<String, Error> {
    let mut bytes = Vec::new();
    let read = fs::File::open(path).and_then(|mut file| {
        file.seek(SeekFrom::Start(offset))?;
        file.read_to_end(&mut bytes)
    });
    match read {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(Error::io(path.display().to_string())(e)),
        _ => Ok(String::from_utf8_lossy(&bytes).into_owned()),
    }
}

fn tokens_of(episode: &Episode) -> Vec<Vec<u32>> {
    episode.samples.iter().map(|s| s.actions.iter().filter_map(Action::token).collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use cohort_core::{Context, GroupKey, Sample};
    use cohort_env::from_fn;

    fn group() -> Group {
        let sample = Sample::given(Context::of_tokens([1]), &[5, 6]);
        let mut episode = Episode::of_samples(vec![sample]);
        episode.rewards = vec![Outcome::scored(1.0)];
        Group::of_episodes(GroupKey(0), vec![episode])
    }

    fn line(tokens: &str) -> String {
        format!(
            r#"{{"step":3,"slot":0,"episode":0,"rewards":{{"clock":{{"outcome":"timeout"}}}},"facts":{{"gains":[1.0,0.5]}},"samples":[{{"tokens":{tokens}}}]}}"#
        )
    }

    #[test]
    fn a_redone_episode_takes_its_verdict_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rollouts.jsonl");
        fs::write(&path, format!("committed\n{}\n{{\"step\":3,\"half", line("[5,6]"))).unwrap();
        let facts = [("gains".to_owned(), "gains".to_owned())].into();
        let terms = [Term { facts, ..Term::new("clock", 1.0, from_fn("clock", (0.0, 1.0), |_| 1.0)) }];

        let ledger = Ledger::collect(folder.path(), 10).unwrap();
        let mut groups = [group()];
        ledger.recall(3, &terms, 0, &mut groups);
        assert_eq!(groups[0].episodes[0].rewards, [Outcome::Timeout]);
        assert_eq!(groups[0].episodes[0].facts.list("gains"), Some(&[1.0, 0.5][..]));
        ledger.recall(4, &terms, 0, &mut [group()]);

        // After a second crash, with the log already cut, they are still there.
        fs::write(&path, "committed\n").unwrap();
        let mut groups = [group()];
        Ledger::collect(folder.path(), 10).unwrap().recall(3, &terms, 0, &mut groups);
        assert_eq!(groups[0].episodes[0].rewards, [Outcome::Timeout]);

        Ledger::discard(folder.path()).unwrap();
        let mut groups = [group()];
        Ledger::collect(folder.path(), 10).unwrap().recall(3, &terms, 0, &mut groups);
        assert_eq!(groups[0].episodes[0].rewards, [Outcome::scored(1.0)]);
    }

    #[test]
    fn other_tokens_are_another_episode() {
        let terms = [Term::new("clock", 1.0, from_fn("clock", (0.0, 1.0), |_| 1.0))];
        let mut groups = [group()];
        Ledger::parse(&line("[5,7]")).recall(3, &terms, 0, &mut groups);
        assert_eq!(groups[0].episodes[0].rewards, [Outcome::scored(1.0)]);
    }
}
