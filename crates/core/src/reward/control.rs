//! `reward.control`: the reward made worthless on purpose, to see what learns without it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    memory::Memory,
    random::{Stream, permutation},
    trajectory::{Comparison, Trajectory},
};

/// What becomes of the combined rewards before they are compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Control {
    /// Nothing: each episode has its own.
    #[default]
    None,
    /// They are dealt out again over the episodes of the batch: the same rewards, and nothing that earned them. A
    /// negative control: what gets better under it gets better without a reward.
    Permuted,
}

impl Control {
    pub fn is_none(&self) -> bool {
        *self == Self::None
    }

    /// Applies the control to the combined rewards of a batch. An episode without a reward stays without; the
    /// trajectories of an episode keep one reward between them. Rewards of segments go with it. The permutation is a function of the step alone.
    pub fn apply(self, groups: &mut [Comparison], memory: &Memory) {
        match self {
            Control::None => {}
            Control::Permuted => permute(groups, memory.run("step").unwrap_or(0.0) as u32),
        }
    }
}

fn permute(groups: &mut [Comparison], step: u32) {
    let episodes = episodes(groups);
    let first = |of: &Vec<(usize, usize)>| &groups[of[0].0].trajectories[of[0].1];
    let rewards: Vec<_> = episodes.iter().map(|of| (first(of).reward, first(of).segment_rewards.clone())).collect();
    let order = permutation(episodes.len(), Stream::new(0, "reward/control").dice(step, 0, 0));
    for (of, from) in episodes.iter().zip(order) {
        for &(group, trajectory) in of {
            let trajectory = &mut groups[group].trajectories[trajectory];
            (trajectory.reward, trajectory.segment_rewards) = rewards[from].clone();
        }
    }
}

/// The members of every episode that has a reward, as places (group, trajectory).
fn episodes(groups: &[Comparison]) -> Vec<Vec<(usize, usize)>> {
    let mut episodes: BTreeMap<(usize, usize), Vec<(usize, usize)>> = BTreeMap::new();
    for (g, group) in groups.iter().enumerate() {
        let rewarded = |(_, t): &(usize, &Trajectory)| t.is_member() && t.reward.is_some();
        for (t, trajectory) in group.trajectories.iter().enumerate().filter(rewarded) {
            episodes.entry((g, trajectory.episode)).or_default().push((g, t));
        }
    }
    episodes.into_values().collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::trajectory::Role;

    fn group(rewards: &[Option<f64>]) -> Comparison {
        let member = |(episode, &reward)| Trajectory { episode, reward, ..Trajectory::default() };
        let trajectories = rewards.iter().enumerate().map(member).collect();
        Comparison { trajectories, ..Comparison::default() }
    }

    fn rewards(groups: &[Comparison]) -> Vec<Option<f64>> {
        groups.iter().flat_map(|g| &g.trajectories).map(|t| t.reward).collect()
    }

    fn at(step: u64) -> Memory {
        let mut memory = Memory::default();
        memory.set_run("step", step as f64);
        memory
    }

    proptest! {
        #[test]
        fn the_same_rewards_are_dealt_out_again(
            batch in prop::collection::vec(prop::collection::vec(prop::option::of(-3.0..3.0f64), 0..6), 0..6),
            step in 0u64..50,
        ) {
            let mut groups: Vec<Comparison> = batch.iter().map(|rewards| group(rewards)).collect();
            Control::Permuted.apply(&mut groups, &at(step));
            let (mut before, mut after) = (batch.concat(), rewards(&groups));
            prop_assert!(before.iter().zip(&after).all(|(b, a)| b.is_none() == a.is_none()));
            let order = |x: &Option<f64>, y: &Option<f64>| x.partial_cmp(y).unwrap();
            before.sort_by(order);
            after.sort_by(order);
            prop_assert_eq!(before, after);
        }
    }

    #[test]
    fn rewards_cross_groups_and_steps_differ() {
        let numbers: Vec<Option<f64>> = (0..64).map(|i| Some(f64::from(i))).collect();
        let batch = || numbers.chunks(8).map(group).collect::<Vec<_>>();
        let permuted = |step| {
            let mut groups = batch();
            Control::Permuted.apply(&mut groups, &at(step));
            rewards(&groups)
        };
        assert_eq!(permuted(1), permuted(1));
        assert_ne!(permuted(1), permuted(2));
        let own_group = permuted(1).iter().enumerate().filter(|(i, r)| r.unwrap() as usize / 8 == i / 8).count();
        assert!(own_group < 24, "{own_group} of 64 stayed in their group");
        let mut untouched = batch();
        Control::None.apply(&mut untouched, &at(1));
        assert_eq!(rewards(&untouched), numbers);
    }

    #[test]
    fn rewards_of_segments_go_with_their_episode() {
        let member = |episode| Trajectory {
            episode,
            reward: Some(episode as f64),
            segment_rewards: BTreeMap::from([(0, episode as f64), (1, 0.0)]),
            ..Trajectory::default()
        };
        let mut groups = vec![Comparison { trajectories: (0..16).map(member).collect(), ..Comparison::default() }];
        Control::Permuted.apply(&mut groups, &at(1));
        let dealt = &groups[0].trajectories;
        assert!(dealt.iter().all(|t| t.reward == Some(t.segment_rewards[&0])), "{dealt:?}");
        assert!(dealt.iter().any(|t| t.reward != Some(t.episode as f64)), "{dealt:?}");
    }

    #[test]
    fn an_episode_of_two_samples_has_one_reward_and_auxiliaries_have_none() {
        let member = |episode, reward| Trajectory { episode, reward: Some(reward), ..Trajectory::default() };
        let auxiliary = Trajectory { role: Role::Auxiliary, ..Trajectory::default() };
        let trajectories = vec![member(0, 1.0), member(0, 1.0), member(1, 2.0), auxiliary, member(2, 3.0)];
        let mut groups = vec![Comparison { trajectories, ..Comparison::default() }];
        for step in 0..20 {
            Control::Permuted.apply(&mut groups, &at(step));
            let rewards = rewards(&groups);
            assert_eq!(rewards[0], rewards[1]);
            assert_eq!(rewards[3], None);
        }
    }
}
