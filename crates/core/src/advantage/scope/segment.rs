//! Rank-GRPO's comparison.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{Compared, Numbers, Rule, Table, Values};
use crate::{
    memory::Memory,
    method_error::MethodError,
    registry::{Axis, Entry, Parameter},
};

pub(super) const ENTRY: Entry = Entry {
    axis: Axis::Scope,
    name: "segment",
    summary: "segment by segment: an action gets the advantage of its rank, round or part",
    formula: "A_{i,k} = (r_{i,k} - baseline_k) / scale_k over the group, for every segment number k; an action of segment k gets A_{i,k}. \
              A segment that nobody of the group has a reward for gets 0 (the bin after a list). A member with segment rewards, but none for \
              a segment that others have one for: an error, or a reward of 0. A member without any: compared with nobody.",
    parameters: &[Parameter {
        name: "missing",
        default: "error",
        range: "error, zero",
        meaning: "what a missing segment reward is; zero keeps ranks aligned where a list is short",
    }],
    reads: &["segment", "segment_rewards"],
    source: "Rank-GRPO: arXiv 2510.20150, and its repository",
    ..Entry::NONE
};

/// What a missing segment reward is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Lacking {
    /// An error that names it.
    #[default]
    Error,
    /// A reward of 0.
    Zero,
}

pub(super) fn of(
    table: &Table<'_>,
    missing: Lacking,
    rule: Rule<'_>,
    memory: &mut Memory,
) -> Result<Compared, MethodError> {
    let mut values: BTreeMap<u32, Values> = BTreeMap::new();
    for (g, episodes) in table.episodes.iter().enumerate() {
        let rewards_of = |e: usize| episodes[e].iter().map(|&t| &table.groups[g].trajectories[t].segment_rewards);
        let numbers: BTreeSet<u32> = (0..episodes.len()).flat_map(rewards_of).flat_map(|r| r.keys().copied()).collect();
        for k in numbers {
            let column = values.entry(k).or_insert_with(|| table.values(|_| None));
            for (e, cell) in column[g].iter_mut().enumerate() {
                let scored = rewards_of(e).any(|rewards| !rewards.is_empty());
                let found = rewards_of(e).find_map(|rewards| rewards.get(&k).copied());
                *cell = match (found, missing) {
                    (Some(reward), _) => Some(reward),
                    (None, Lacking::Zero) if scored => Some(0.0),
                    (None, Lacking::Error) if scored => {
                        return Err(MethodError::missing(table.place(g, e), format!("segment_rewards.{k}")));
                    }
                    (None, _) => None,
                };
            }
        }
    }
    for (k, column) in &values {
        rule.check(table, column, &format!("segment_rewards.{k}"))?;
    }
    let fields: Vec<_> = values
        .into_iter()
        .map(|(k, column)| (k, table.field(format!("segment.{k}"), column, table.by_group())))
        .collect();
    let compared = rule.compare(&fields.iter().map(|(_, field)| field).collect::<Vec<_>>(), memory)?;
    let of_segment: BTreeMap<u32, &Vec<Vec<f64>>> = fields.iter().map(|(k, _)| *k).zip(&compared).collect();
    let actions = table.each(|g, e, trajectory| {
        let mut last: Option<(u32, f64)> = None;
        let segments = table.segments(g, e, trajectory)?;
        let number = |k: u32| of_segment.get(&k).map_or(0.0, |numbers| numbers[g][e]);
        Ok(segments
            .iter()
            .map(|&k| match last {
                Some((segment, value)) if segment == k => value,
                _ => last.insert((k, number(k))).1,
            })
            .collect())
    })?;
    let none = table.values(|_| None);
    Ok(Compared::new(
        Numbers::Actions(actions),
        fields.iter().map(|(_, field)| &field.values).chain(fields.is_empty().then_some(&none)),
    ))
}

#[cfg(test)]
mod tests {
    use super::super::Scope;
    use super::*;
    use crate::{
        advantage::{Advantage, Scale, tests::group},
        memory::Memory,
    };

    fn ranked(rewards: &[&[(u32, f64)]], segments: &[&[u32]], missing: Lacking) -> Result<Vec<Vec<f64>>, MethodError> {
        let mut batch = group(&vec![0.0; rewards.len()]);
        for ((trajectory, rewards), segments) in batch.trajectories.iter_mut().zip(rewards).zip(segments) {
            trajectory.reward = None;
            trajectory.segment_rewards = rewards.iter().copied().collect();
            trajectory.segment = segments.to_vec();
            trajectory.mask = vec![1.0; segments.len()];
        }
        let scope = Scope::Segment { missing };
        let advantage = Advantage { scope, scale: Scale::None, ..Advantage::default() };
        Ok(advantage.credit(&[batch], &mut Memory::default())?.remove(0).into_iter().map(|c| c.coefficient).collect())
    }

    #[test]
    fn each_rank_by_itself_and_nothing_for_the_bin() {
        let got = ranked(&[&[(0, 1.0), (1, 0.0)], &[(0, 0.0), (1, 3.0)]], &[&[0, 0, 1, 2], &[1, 0]], Lacking::Error);
        assert_eq!(got.unwrap(), [vec![0.5, 0.5, -1.5, 0.0], vec![1.5, -0.5]]);
    }

    #[test]
    fn a_short_list_is_named_or_keeps_its_place() {
        let rewards: [&[(u32, f64)]; 2] = [&[(0, 1.0), (1, 1.0)], &[(0, 0.0)]];
        let error = ranked(&rewards, &[&[0], &[0]], Lacking::Error).unwrap_err();
        assert!(error.to_string().contains("group 0, trajectory 1: `segment_rewards.1`"), "{error}");
        assert_eq!(ranked(&rewards, &[&[1], &[0]], Lacking::Zero).unwrap(), [[0.5], [-0.5]]);
    }
}
