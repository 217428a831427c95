//! Normalise first, then add: Pref-GRPO and G2RPO.

use std::collections::{BTreeMap, BTreeSet};

use super::{Compared, Numbers, Rule, Table};
use crate::{
    memory::Memory,
    method_error::{MethodError, Place},
    registry::{Axis, Entry, Parameter},
};

pub(super) const ENTRY: Entry = Entry {
    axis: Axis::Scope,
    name: "granularity",
    summary: "every reward term is compared by itself, and the advantages are added up",
    formula: "A_i = sum_k w_k (r_{i,k} - baseline_k) / scale_k over the group, k the reward terms (reward models, denoising granularities). A term \
              that did not score for i adds 0 to A_i and leaves i out of its statistics. In a group without terms the combined reward is the \
              only one.",
    parameters: &[Parameter {
        name: "weights",
        default: "{}",
        range: "finite, by a term's name",
        meaning: "the weights of the terms; 1 for those not named",
    }],
    reads: &["rewards"],
    source: "Pref-GRPO: arXiv 2508.20751; G2RPO: arXiv 2510.01982; GDPO normalises likewise",
    ..Entry::NONE
};

pub(super) fn of(
    table: &Table<'_>,
    weights: &BTreeMap<String, f64>,
    rule: Rule<'_>,
    memory: &mut Memory,
) -> Result<Compared, MethodError> {
    let members = || table.groups.iter().flat_map(|group| &group.trajectories).filter(|t| t.is_member());
    let names: BTreeSet<&str> = members().flat_map(|t| t.rewards.keys().map(String::as_str)).collect();
    if let Some(absent) = weights.keys().find(|name| !names.is_empty() && !names.contains(name.as_str())) {
        return Err(MethodError::missing(Place::default(), format!("rewards.{absent}")));
    }
    // The combined reward stands in for groups that have no terms.
    let bare: Vec<bool> = table
        .groups
        .iter()
        .map(|group| group.trajectories.iter().all(|t| !t.is_member() || t.rewards.is_empty()))
        .collect();
    let mut combined = table.rewards();
    combined.iter_mut().zip(&bare).filter(|(_, bare)| !**bare).for_each(|(row, _)| row.fill(None));
    rule.check(table, &combined, "reward")?;
    let mut fields = vec![(1.0, table.field("", combined, table.by_group()))];
    for name in names {
        let values = table.values(|trajectory| trajectory.rewards.get(name)?.value());
        rule.check(table, &values, &format!("rewards.{name}"))?;
        let weight = weights.get(name).copied().unwrap_or(1.0);
        fields.push((weight, table.field(format!("rewards.{name}"), values, table.by_group())));
    }
    let compared = rule.compare(&fields.iter().map(|(_, field)| field).collect::<Vec<_>>(), memory)?;
    let mut sum: Vec<Vec<f64>> = table.episodes.iter().map(|episodes| vec![0.0; episodes.len()]).collect();
    for ((weight, _), numbers) in fields.iter().zip(&compared) {
        sum.iter_mut().flatten().zip(numbers.iter().flatten()).for_each(|(sum, number)| *sum += weight * number);
    }
    Ok(Compared::new(Numbers::Episodes(sum), fields.iter().map(|(_, field)| &field.values)))
}

#[cfg(test)]
mod tests {
    use super::super::Scope;
    use super::*;
    use crate::{
        advantage::{Advantage, Scale, tests::group},
        outcome::Outcome,
    };

    #[test]
    fn a_term_of_a_large_unit_does_not_drown_another() {
        let mut batch = group(&[0.0; 3]);
        for (t, (a, b)) in batch.trajectories.iter_mut().zip([(1.0, 300.0), (0.0, 600.0), (0.0, 300.0)]) {
            t.rewards = [("a", a), ("b", b)].map(|(name, value)| (name.to_owned(), Outcome::Scored { value })).into();
        }
        let scope = Scope::Granularity { weights: [("b".to_owned(), 0.5)].into() };
        let advantage = Advantage { scope, scale: Scale::Std { ddof: 1, eps: 0.0 }, ..Advantage::default() };
        let credits = advantage.credit(&[batch], &mut Memory::default()).unwrap();
        // z of (1, 0, 0) is (2, -1, -1) / sqrt 3.
        let z = 1.0 / 3f64.sqrt();
        for (credit, want) in credits[0].iter().zip([1.5 * z, 0.0, -1.5 * z]) {
            assert!((credit.coefficient[0] - want).abs() < 1e-14);
        }
    }

    #[test]
    fn a_weight_of_no_term_is_an_error() {
        let mut batch = group(&[0.0, 1.0]);
        batch.trajectories[0].rewards.insert("a".to_owned(), Outcome::Scored { value: 1.0 });
        let scope = Scope::Granularity { weights: [("c".to_owned(), 0.5)].into() };
        let error = Advantage { scope, ..Advantage::default() }.credit(&[batch], &mut Memory::default()).unwrap_err();
        assert!(error.to_string().contains("`rewards.c` is missing"), "{error}");
    }
}
