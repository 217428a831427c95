//! Credit in a tree of rollouts that share prefixes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::statistic::mean;
use crate::{
    advantage::{
        field::divided,
        table::{Table, Values},
    },
    method_error::{MethodError, Place},
    registry::{Axis, Entry, Parameter},
};

pub(super) const ENTRY: Entry = Entry {
    axis: Axis::Estimator,
    name: "tree",
    summary: "an action gets the worth of its branch: the leaves below it against all leaves and against the parent's",
    formula: "V(v) = mean reward of the scored episodes that pass node v, V(root) = the mean of the group. An action at node v with parent u: \
              A = ((V(v) - V(root)) + (V(v) - V(u))) / (scale sqrt(L(v))), L(v) = number of leaves below v (1 with reweight none), as a node's \
              actions are trained L(v) times. The fact `branch` is one node number (a whole number from 0) an action; the first node's parent \
              is the root. Equal rewards give exactly 0. The baseline is not read. The paper has no scale: set `scale = none`.",
    parameters: &[Parameter {
        name: "reweight",
        default: "leaves",
        range: "none, leaves",
        meaning: "whether a shared prefix is divided by the root of its number of leaves",
    }],
    reads: &["facts.branch"],
    source: "TreeRL: arXiv 2506.11902 (global and local advantage); LATR's trees give the facts",
    unverified: "the reweighting by leaves",
    ..Entry::NONE
};

/// Whether shared prefixes are weighed down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reweight {
    /// Every node counts as it is.
    None,
    /// By the root of the number of leaves below.
    #[default]
    Leaves,
}

#[derive(Default)]
struct Node {
    parent: Option<u64>,
    leaves: Vec<f64>,
}

/// The nodes of an episode's trajectory, each once for a run of actions.
fn path(branch: &[f64], place: Place) -> Result<Vec<u64>, MethodError> {
    let mut path: Vec<u64> = Vec::new();
    let mut last = f64::NAN;
    for &node in branch {
        if node == last {
            continue;
        }
        if node < 0.0 || node.fract() != 0.0 || node > 9e15 {
            return Err(MethodError::unfit(place, "facts.branch", "whole numbers from 0", node));
        }
        path.push(node as u64);
        last = node;
    }
    Ok(path)
}

/// One row a trajectory.
pub(super) fn advantages(
    table: &Table<'_>,
    values: &Values,
    scales: &[Vec<f64>],
    reweight: Reweight,
) -> Result<Vec<Vec<Vec<f64>>>, MethodError> {
    let mut trees: Vec<(f64, BTreeMap<u64, Node>)> = Vec::with_capacity(values.len());
    for (g, values) in values.iter().enumerate() {
        let mut nodes: BTreeMap<u64, Node> = BTreeMap::new();
        for (e, value) in values.iter().enumerate() {
            let Some(value) = *value else { continue };
            let mut seen: Vec<u64> = Vec::new();
            for &t in &table.episodes[g][e] {
                let place = Place::trajectory(g, t);
                let mut parent = None;
                for id in path(table.groups[g].trajectories[t].list("branch", place)?, place)? {
                    let known = nodes.get(&id).map(|node| node.parent);
                    if known.is_some_and(|known| known != parent) {
                        return Err(MethodError::unfit(place, "facts.branch", "a tree: one parent a node", id));
                    }
                    if !seen.contains(&id) {
                        nodes.entry(id).or_insert(Node { parent, ..Node::default() }).leaves.push(value);
                        seen.push(id);
                    }
                    parent = Some(id);
                }
            }
        }
        trees.push((mean(&values.iter().flatten().copied().collect::<Vec<_>>()), nodes));
    }
    table.each(|g, e, trajectory| {
        if values[g][e].is_none() {
            return Ok(vec![0.0; trajectory.len()]);
        }
        let (root, nodes) = &trees[g];
        let worth = |id: &u64| nodes.get(id).map_or(*root, |node| mean(&node.leaves));
        let number = |id: u64| {
            let Some(node) = nodes.get(&id) else { return 0.0 };
            let value = mean(&node.leaves);
            let parent = node.parent.as_ref().map_or(*root, worth);
            let leaves = match reweight {
                Reweight::None => 1.0,
                Reweight::Leaves => (node.leaves.len() as f64).sqrt(),
            };
            divided(((value - root) + (value - parent)) / leaves, scales[g][e])
        };
        let branch = trajectory.list("branch", table.place(g, e))?;
        let mut last = (f64::NAN, 0.0);
        Ok(branch
            .iter()
            .map(|&node| {
                if node != last.0 {
                    last = (node, number(node as u64));
                }
                last.1
            })
            .collect())
    })
}

#[cfg(test)]
mod tests {
    use super::super::Estimator;
    use super::*;
    use crate::{
        advantage::{Advantage, Scale, tests::group},
        facts::Fact,
        memory::Memory,
    };

    fn of(paths: &[&[f64]], rewards: &[f64], reweight: Reweight) -> Result<Vec<Vec<f64>>, MethodError> {
        let mut batch = group(rewards);
        for (trajectory, path) in batch.trajectories.iter_mut().zip(paths) {
            trajectory.facts.insert("branch", Fact::List(path.to_vec()));
            trajectory.mask = vec![1.0; path.len()];
        }
        let advantage =
            Advantage { estimator: Estimator::Tree { reweight }, scale: Scale::None, ..Advantage::default() };
        Ok(advantage.credit(&[batch], &mut Memory::default())?.remove(0).into_iter().map(|c| c.coefficient).collect())
    }

    #[test]
    fn a_fork_by_hand() {
        // Node 0 has leaves 1 and 0, node 3 has 0: V = 1/2, 0; root 1/3.
        let paths: [&[f64]; 3] = [&[0.0, 0.0, 1.0], &[0.0, 0.0, 2.0], &[3.0]];
        let got = of(&paths, &[1.0, 0.0, 0.0], Reweight::None).unwrap();
        let want = [
            vec![1.0 / 3.0, 1.0 / 3.0, 2.0 / 3.0 + 0.5],
            vec![1.0 / 3.0, 1.0 / 3.0, -1.0 / 3.0 - 0.5],
            vec![-2.0 / 3.0],
        ];
        for (g, w) in got.iter().flatten().zip(want.iter().flatten()) {
            assert!((g - w).abs() < 1e-15, "{got:?}");
        }
        let shared = of(&paths, &[1.0, 0.0, 0.0], Reweight::Leaves).unwrap()[0][0];
        assert!((shared - 1.0 / 3.0 / 2f64.sqrt()).abs() < 1e-15, "two leaves");
    }

    #[test]
    fn a_star_is_twice_the_centred_reward() {
        let got = of(&[&[0.0], &[1.0], &[2.0]], &[1.0, 0.0, 2.0], Reweight::Leaves).unwrap();
        assert_eq!(got, [[0.0], [-2.0], [2.0]]);
    }

    #[test]
    fn two_parents_are_no_tree() {
        let error = of(&[&[0.0, 2.0], &[1.0, 2.0]], &[1.0, 0.0], Reweight::None).unwrap_err();
        assert!(error.to_string().contains("one parent"), "{error}");
    }
}
