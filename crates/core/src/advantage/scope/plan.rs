//! The split advantage of PTA-GRPO.

use std::collections::BTreeMap;

use super::{Compared, Numbers, Rule, Table};
use crate::{
    memory::Memory,
    method_error::MethodError,
    registry::{Axis, Entry, Parameter},
};

pub(super) const ENTRY: Entry = Entry {
    axis: Axis::Scope,
    name: "plan",
    summary: "actions of the plan get the advantage of the plan among plans, the others that of the response",
    formula: "q_p = mean of r (or of the reward term `term`) over the scored episodes of the group with plan p; actions of segment `segment` get \
              (q_p - baseline) / scale over the distinct plans of the group (one plan: 0), all others (r_i - baseline) / scale over its episodes.",
    parameters: &[
        Parameter { name: "by", default: "plan", range: "a fact's name", meaning: "which plan an episode follows" },
        Parameter {
            name: "segment",
            default: "0",
            range: "a segment's number",
            meaning: "the segment that is the plan",
        },
        Parameter {
            name: "term",
            default: "none",
            range: "a term's name",
            meaning: "what a plan is judged by; the combined reward where left out",
        },
    ],
    reads: &["facts.plan", "segment", "rewards.TERM"],
    source: "PTA-GRPO (Plan Then Action, 2025): r_analytic over the m plans; the split is ours",
    unverified: "whether the paper gives plan tokens an advantage of their own",
    ..Entry::NONE
};

pub(super) fn by() -> String {
    "plan".to_owned()
}

pub(super) fn of(
    table: &Table<'_>,
    by: &str,
    segment: u32,
    term: Option<&str>,
    rule: Rule<'_>,
    memory: &mut Memory,
) -> Result<Compared, MethodError> {
    let rewards = table.rewards();
    rule.check(table, &rewards, "reward")?;
    let parts = table.by_fact(by, &rewards)?;
    let whole = table.field("", rewards, table.by_group());
    // By group: the plans in order of appearance, and the plan of every scored episode.
    let mut plans = table.field("plan", Vec::new(), Vec::new());
    plans.lengths.clear();
    let mut plan_of: Vec<Vec<Option<usize>>> = Vec::new();
    for (g, rewards) in whole.values.iter().enumerate() {
        let mut index: BTreeMap<usize, usize> = BTreeMap::new();
        let mut judged: Vec<Vec<f64>> = Vec::new();
        let mut lengths: Vec<f64> = Vec::new();
        let mut row = vec![None; rewards.len()];
        for (e, reward) in rewards.iter().enumerate() {
            let Some(reward) = *reward else { continue };
            let judge = match term {
                None => reward,
                Some(term) => {
                    let outcome = table.first(g, e).rewards.get(term).and_then(|outcome| outcome.value());
                    outcome.ok_or_else(|| MethodError::missing(table.place(g, e), format!("rewards.{term}")))?
                }
            };
            let plan = *index.entry(parts[g][e]).or_insert_with(|| {
                judged.push(Vec::new());
                lengths.push(0.0);
                judged.len() - 1
            });
            judged[plan].push(judge);
            lengths[plan] += table.lengths[g][e];
            row[e] = Some(plan);
        }
        plans.parts.push(vec![g; judged.len()]);
        plans.values.push(judged.iter().map(|rewards| Some(super::super::statistic::mean(rewards))).collect());
        plans.lengths.push(lengths);
        plan_of.push(row);
    }
    let compared = rule.compare(&[&whole, &plans], memory)?;
    let actions = table.each(|g, e, trajectory| {
        let of_plan = plan_of[g][e].map_or(0.0, |plan| compared[1][g][plan]);
        let segments = table.segments(g, e, trajectory)?;
        Ok(segments.iter().map(|k| if *k == segment { of_plan } else { compared[0][g][e] }).collect())
    })?;
    Ok(Compared::new(Numbers::Actions(actions), [&whole.values]))
}

#[cfg(test)]
mod tests {
    use super::super::Scope;
    use crate::{
        advantage::{Advantage, Scale, tests::group},
        facts::Fact,
        memory::Memory,
    };

    #[test]
    fn two_plans_of_two() {
        let mut batch = group(&[1.0, 0.0, 0.0, 0.0]);
        for (trajectory, plan) in batch.trajectories.iter_mut().zip(["a", "a", "b", "b"]) {
            trajectory.facts.insert("plan", Fact::Text(plan.to_owned()));
            trajectory.segment = vec![0, 1];
            trajectory.mask = vec![1.0; 2];
        }
        let scope = Scope::Plan { by: super::by(), segment: 0, term: None };
        let advantage = Advantage { scope, scale: Scale::None, ..Advantage::default() };
        let credits = advantage.credit(&[batch], &mut Memory::default()).unwrap();
        let got: Vec<&[f64]> = credits[0].iter().map(|c| c.coefficient.as_slice()).collect();
        assert_eq!(got, [[0.25, 0.75], [0.25, -0.25], [-0.25, -0.25], [-0.25, -0.25]]);
    }
}
